"""What a stage minimises: each task's loss, weighed, over the weight of the global batch."""

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches import Batch, ProductSource
from fusionclf.config import TrainConfig
from fusionclf.models import ProductClassifier
from fusionclf.training.losses import WeightedCrossEntropy, inverse_frequency_weights
from fusionclf.training.mixing import partner_targets


class Objective:
    """The loss of a model's tasks.

    Args:
        model: whose tasks and task weights they are.
        source: all products' targets.
        rows: the training rows, for class weights.
        settings: class weights, label smoothing, focal loss.
        device: where logits are.
    """

    def __init__(
        self,
        model: ProductClassifier,
        source: ProductSource,
        rows: np.ndarray,
        settings: TrainConfig,
        device: torch.device,
    ) -> None:
        self.targets, self.rows, self.settings = source.targets, rows, settings
        self.task_weights = model.task_weights
        self.losses = {
            task: self._loss(task, head.out_features).to(device)  # pyright: ignore[reportArgumentType]
            for task, head in model.heads.items()
        }

    def _loss(self, task: str, classes: int) -> WeightedCrossEntropy:
        weights = torch.ones(classes)
        if task == "label" and self.settings.class_weights == "inverse":
            weights = inverse_frequency_weights(self.targets[task][self.rows], classes)
        return WeightedCrossEntropy(weights, self.settings.label_smoothing, self.settings.focal_gamma)

    def totals(self, rows: np.ndarray) -> dict[str, float]:
        """For each task the weight of a global batch, which its losses are divided by."""
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
