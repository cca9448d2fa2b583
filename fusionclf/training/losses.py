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
        focal_gamma: each product's loss is multiplied by (1 - p)^gamma, p the probability of its class.

    Source: Lin et al., Focal Loss for Dense Object Detection (2017), equation 5.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, label_smoothing: float = 0.0, focal_gamma: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights.float())
        # A copy that stays on the CPU: reading the device's own would wait for it at every step.
        self._weights = weights.float().numpy().copy()
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sum over the batch; targets of -1 do not count."""
        logits = logits.float()  # (B, K)
        losses = F.cross_entropy(
            logits,
            targets,
            self.weights,
            ignore_index=-1,
            reduction="none" if self.focal_gamma else "sum",
            label_smoothing=self.label_smoothing,
        )
        if not self.focal_gamma:
            return losses
        own = logits.softmax(dim=1).gather(1, targets.clamp_min(0)[:, None]).squeeze(1)  # (B,)
        # At a certainty of 1 a power below 1 has no finite gradient.
        return ((1 - own).clamp_min(1e-6) ** self.focal_gamma * losses).sum()

    def total(self, targets: np.ndarray) -> float:
        """Weight of all products of a batch: what the sum is divided by."""
        return float(self._weights[targets[targets >= 0]].sum())


class BinaryCrossEntropy(nn.Module):
    """Binary cross-entropy of each label, added up, for products that can have several labels.

    Args:
        label_smoothing: share of the target that is spread over both answers.
        focal_gamma: each label's loss is multiplied by (1 - p)^gamma, p the probability of the right answer.

    >>> loss = BinaryCrossEntropy()
    >>> targets = torch.tensor([[True, False]])
    >>> round(loss(torch.zeros(1, 2), targets).item(), 3), loss.total(targets.numpy())
    (1.386, 1.0)
    """

    def __init__(self, label_smoothing: float = 0.0, focal_gamma: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing, self.focal_gamma = label_smoothing, focal_gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sum over the batch; targets are (B, K)."""
        logits, own = logits.float(), targets.float()  # (B, K)
        smooth = own * (1 - self.label_smoothing) + self.label_smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
        if self.focal_gamma:
            right = torch.where(targets.bool(), logits, -logits).sigmoid()
            losses = (1 - right).clamp_min(1e-6) ** self.focal_gamma * losses
        return losses.sum()

    def total(self, targets: np.ndarray) -> float:
        """Number of products of a batch: what the sum is divided by."""
        return float(len(targets))


def inverse_frequency_weights(targets: np.ndarray, classes: int) -> Tensor:
    """n / (k · (count + 1)) per class, for n products and k classes.

    Source: the reference's training notebook (uditarora/fashion-product-classification).
    """
    counts = np.bincount(targets[targets >= 0], minlength=classes)
    return torch.from_numpy(counts.sum() / (classes * (counts + 1.0))).float()
