"""A linear probe: a classifier on features of a trained network, which does not change. It is fitted in seconds."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.open_vocabulary.prototypes import normalised

EPOCHS = 12
LEAST_STEPS = 300  # few rows are shown more often
BATCH = 256
LEARNING_RATE = 0.01
WEIGHT_DECAY = (
    0.7  # features are many and rows often few; this calibrates better than dropout, at half the time
)


class LinearProbe(nn.Module):
    """Logits of K classes from layer-normalised features, (B, D) → (B, K).

    Args:
        dim: D.
        classes: K.

    Source: Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes (2016).
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, classes)
        self.requires_grad_(False)  # `fit_linear_probe` trains it, after the network

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return self.linear(normalised(features))


def fit_linear_probe(features: Tensor, targets: Tensor, classes: int, seed: int = 0) -> LinearProbe:
    """A probe trained by AdamW and the cross-entropy.

    Args:
        features: (n, D); n may be 0, which gives an untrained probe.
        targets: (n,) class numbers.
        classes: K.
        seed: of order and first weights.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        probe = LinearProbe(features.shape[1], classes)
        if not len(targets):
            return probe
        probe.requires_grad_(True)
        optimiser = torch.optim.AdamW(
            probe.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        inputs = normalised(features)
        batches = -(-len(targets) // BATCH)
        epochs = max(EPOCHS, -(-LEAST_STEPS // batches))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=epochs * batches)
        for _ in range(epochs):
            for rows in torch.randperm(len(targets)).split(BATCH):
                logits = probe.linear(inputs[rows])
                optimiser.zero_grad()
                F.cross_entropy(logits, targets[rows]).backward()
                optimiser.step()
                schedule.step()
    return probe.requires_grad_(False)
