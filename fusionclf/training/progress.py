"""The state of a stage, its callbacks, and the stop at a loss that is not finite."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fusionclf.batches import ProductSource
from fusionclf.errors import TrainingError
from fusionclf.files import write_json

NOT_FINITE = "not-finite.json"


@dataclass
class Progress:
    """Callbacks of a training stage.

    Attributes:
        step: called with epoch, steps done and to do in it, mean loss so far, and products a second.
        epoch: called with the epoch's row of the log.
        warn: called with a line of text.
    """

    step: Callable[[int, int, int, float, float], None] = lambda epoch, step, steps, loss, rate: None
    epoch: Callable[[dict[str, Any]], None] = lambda row: None
    warn: Callable[[str], None] = lambda text: None


@dataclass
class StageState:
    """The state of a stage; saved with every checkpoint."""

    epoch: int = 1
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    best_score: float = -1.0
    best_epoch: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether a step was taken, or the start was scored."""
        return self.epoch > 1 or self.step > 0 or self.best_score >= 0


def refuse_not_finite(
    losses: Sequence[float],
    batches: Sequence[np.ndarray],
    state: StageState,
    source: ProductSource,
    folder: Path,
) -> None:
    """Stop at the first loss that is not finite; the ids of its batch are saved.

    Args:
        losses: of the steps since the last look.
        batches: their lines, (b, 2) each.
        state: of the stage before them.
        source: whose ids name the products.
        folder: of the stage's checkpoints.

    Raises:
        TrainingError: a loss is not finite.
    """
    for number, (loss, lines) in enumerate(zip(losses, batches, strict=True), start=1):
        if math.isfinite(loss):
            continue
        rows = lines[:, 0].tolist()
        ids = [source.ids[row] for row in rows] if source.ids is not None else rows
        where = {"epoch": state.epoch, "step": state.step + number, "loss": str(loss), "ids": ids}
        write_json(folder / NOT_FINITE, where)
        raise TrainingError(
            f"the loss is not finite in epoch {state.epoch}, step {state.step + number}; the ids of its batch are in "
            f"{folder / NOT_FINITE}; look at them, lower train.optimiser.learning_rate or set train.clip_norm, "
            "then --overwrite"
        )
