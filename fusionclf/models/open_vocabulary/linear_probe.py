"""A linear probe: a classifier on features that stay as they are, trained anew in seconds."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPOCHS = 12
LEAST_STEPS = 300  # few rows are shown more often
BATCH = 256
LEARNING_RATE = 0.01
WEIGHT_DECAY = 0.05
DROPOUT = 0.2


class LinearProbe(nn.Module):
    """Logits of K classes from layer-normalised features, (B, D) → (B, K).

    Args:
        dim: D.
        classes: K.

    Source: Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes (2016).
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.dim = dim
        self.linear = nn.Linear(dim, classes)
        self.requires_grad_(False)  # fitted by `fit`, after the network was trained

    def normalised(self, features: Tensor) -> Tensor:
        """(B, D) features of mean 0 and variance 1."""
        return F.layer_norm(features.float(), (self.dim,))

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return self.linear(self.normalised(features))

    def fit(self, features: Tensor, targets: Tensor, seed: int = 0) -> None:
        """Train by AdamW and the cross-entropy, from the start.

        Args:
            features: (n, D).
            targets: (n,) class numbers.
            seed: of order, dropout and first weights.
        """
        features, targets = features.to(self.linear.weight.device), targets.to(self.linear.weight.device)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            self.linear.reset_parameters()
            self.requires_grad_(True)
            optimiser = torch.optim.AdamW(
                self.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
            )
            batches = -(-len(targets) // BATCH)
            epochs = max(EPOCHS, -(-LEAST_STEPS // batches))
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimiser, LEARNING_RATE, total_steps=epochs * batches
            )
            for _ in range(epochs):
                for rows in torch.randperm(len(targets)).split(BATCH):
                    logits = self.linear(F.dropout(self.normalised(features[rows]), DROPOUT))
                    optimiser.zero_grad()
                    F.cross_entropy(logits, targets[rows]).backward()
                    optimiser.step()
                    schedule.step()
            self.requires_grad_(False)
