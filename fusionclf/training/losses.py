"""Losses that add up right over processes: a sum on this process over a weight of the whole batch."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class WeightedCrossEntropy(nn.Module):
    """Cross-entropy with a weight per class, as torch's weighted mean, but split into sum and total weight.

    Args:
        weights: (K,) class weights.
        label_smoothing: share of the target spread over all classes.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights.float())
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sum over the batch; targets of -1 do not count."""
        return F.cross_entropy(
            logits.float(),
            targets,
            self.weights,
            ignore_index=-1,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )

    def total(self, targets: np.ndarray) -> float:
        """Weight of all products of a batch: what the sum is divided by."""
        return float(self.weights.cpu().numpy()[targets[targets >= 0]].sum())


def inverse_frequency_weights(targets: np.ndarray, classes: int) -> Tensor:
    """n / (k · (count + 1)) per class, for n products and k classes.

    Source: the reference's training notebook (uditarora/fashion-product-classification).
    """
    counts = np.bincount(targets[targets >= 0], minlength=classes)
    return torch.from_numpy(counts.sum() / (classes * (counts + 1.0))).float()
