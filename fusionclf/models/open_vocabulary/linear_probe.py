"""A linear probe: a classifier on features of a trained network, which does not change. It is fitted in seconds."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.open_vocabulary.prototypes import normalised

EPOCHS = 12
LEAST_STEPS = 300  # a batch is smaller where rows are few
BATCH, LEAST_BATCH = 256, 32
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

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Draw first weights, as nn.Linear does."""
        bound = self.linear.in_features**-0.5
        for weights in (self.linear.weight, self.linear.bias):
            nn.init.uniform_(weights, -bound, bound, generator=generator)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return self.linear(normalised(features))


def fit_linear_probe(
    features: Tensor, targets: Tensor, classes: int, seed: int = 0, places: Tensor | None = None
) -> LinearProbe:
    """A probe trained by AdamW and the cross-entropy; a class without a row gets weights of 0.

    Several threads may fit probes.

    Args:
        features: (n, D); n may be 0, which gives an untrained probe.
        targets: (n,) class numbers.
        classes: K.
        seed: of order and first weights.
        places: (m,) of the rows to fit on; None: all of them.
    """
    rows = torch.arange(len(targets)) if places is None else places
    whole = LinearProbe(features.shape[1], classes)
    if not len(rows):
        return whole
    found, numbers = targets[rows].unique(return_inverse=True)
    generator = torch.Generator().manual_seed(seed)
    own = LinearProbe(features.shape[1], len(found))
    own.start(generator)
    _train(own, features, rows, numbers, generator)
    for weights, of_own in zip(whole.parameters(), own.parameters(), strict=True):
        weights.zero_()[found] = of_own
    return whole


def _train(
    probe: LinearProbe, features: Tensor, rows: Tensor, targets: Tensor, generator: torch.Generator
) -> None:
    """Train a probe on m rows of the features, of classes (m,)."""
    size = min(max(EPOCHS * len(rows) // LEAST_STEPS, LEAST_BATCH), BATCH)
    batches = -(-len(rows) // size)
    steps = batches * max(EPOCHS, -(-LEAST_STEPS // batches))
    with torch.enable_grad():
        probe.requires_grad_(True)
        optimiser = torch.optim.AdamW(
            probe.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
        for _ in range(steps // batches):
            for some in torch.randperm(len(rows), generator=generator).split(size):
                optimiser.zero_grad()
                F.cross_entropy(probe(features[rows[some]]), targets[some]).backward()
                optimiser.step()
                schedule.step()
    probe.requires_grad_(False)
