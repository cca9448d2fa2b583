"""What a stage minimises: each task's loss, weighted, over the weight of the global batch."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches import Batch, ProductSource
from fusionclf.training.losses import (
    BinaryCrossEntropy,
    WeightedCrossEntropy,
    inverse_frequency_weights,
)
from fusionclf.training.mixing import partner_targets

Loss = WeightedCrossEntropy | BinaryCrossEntropy


def build_losses(
    source: ProductSource,
    rows: np.ndarray,
    *,
    class_weights: str = "none",
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
) -> dict[str, Loss]:
    """Task → loss; binary cross-entropy of each label where a product can have several.

    Args:
        source: all products' targets.
        rows: the training rows, for class weights.
        class_weights: "none", or "inverse" for the label's inverse frequencies.
        label_smoothing, focal_gamma: as of WeightedCrossEntropy.
    """
    losses: dict[str, Loss] = {}
    for task, targets in source.targets.items():
        if targets.ndim == 2:
            losses[task] = BinaryCrossEntropy(label_smoothing, focal_gamma)
            continue
        classes = source.count_classes(task)
        weights = torch.ones(classes)
        if task == "label" and class_weights == "inverse":
            weights = inverse_frequency_weights(targets[rows], classes)
        losses[task] = WeightedCrossEntropy(weights, label_smoothing, focal_gamma)
    return losses


class Objective:
    """The weighted sum of the tasks' losses.

    Args:
        losses: task → loss.
        task_weights: task → factor of its loss; tasks that are not in it do not count.
        targets: task → (N,) class numbers of all products, or (N, K) whether they have each label.
    """

    def __init__(
        self,
        losses: Mapping[str, Loss],
        task_weights: Mapping[str, float],
        targets: Mapping[str, np.ndarray],
    ) -> None:
        self.losses, self.task_weights, self.targets = losses, task_weights, targets

    def totals(self, rows: np.ndarray) -> dict[str, float]:
        """Task → weight of the products of a global batch, which its loss is divided by."""
        return {task: self.losses[task].total(self.targets[task][rows]) for task in self.task_weights}

    def __call__(
        self, logits: dict[str, Tensor], batch: Batch, totals: dict[str, float], share: float
    ) -> Tensor:
        """A micro-batch's part of the loss of its global batch.

        Args:
            logits: task → (b, K).
            batch: its targets.
            totals: of the global batch.
            share: of each product's own target; the rest is its partner's, where pictures are mixed.
        """
        loss = logits["label"].new_zeros((), dtype=torch.float32)
        for task, weight in self.task_weights.items():
            targets = batch.targets[task]
            own = self.losses[task](logits[task], targets)
            if share < 1:
                own = share * own + (1 - share) * self.losses[task](logits[task], partner_targets(targets))
            # A task without a target in the batch has a loss of 0, and its parameters a gradient all the same.
            loss = loss + weight / max(totals[task], 1e-12) * own
        return loss
