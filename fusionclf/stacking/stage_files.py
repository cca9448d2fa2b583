"""Files that a stage saves beside its checkpoints, so that a resumed run need not compute them again."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fusionclf.errors import RunError
from fusionclf.models.weights import load_weights, save_weights
from fusionclf.runfolder import AGAIN, CHECKPOINTS
from fusionclf.stacking.auxiliary import LABEL, TaskLogits
from fusionclf.stacking.out_of_fold import OutOfFoldPredictions
from fusionclf.stacking.part_answers import PartAnswers

HELD_OUT, LOGITS = "held_out.safetensors", "logits.safetensors"
PREDICTED = ("rows", "logits", "seen")
PART, AS_UNSEEN = "parts.", "as_unseen."
TASK, TASK_ROWS = "task.", "task_rows"  # auxiliary tasks: before the name of a column; their rows


class StageFiles:
    """Files of one stage below a run folder's checkpoints.

    Args:
        out: the run folder.
        stage: name of the stage.
    """

    def __init__(self, out: Path, stage: str) -> None:
        self.stage, self.folder = stage, out / CHECKPOINTS / stage

    def save_held_out(self, predictions: OutOfFoldPredictions, tasks: TaskLogits, seconds: float) -> None:
        """Save predictions for held-out rows, logits of auxiliary tasks for validation rows, and what fitting took."""
        values = {name: getattr(predictions, name) for name in PREDICTED}
        if predictions.parts is not None:
            values |= {
                PART + "rows": predictions.parts.rows, PART + "answers": predictions.parts.answers,
                PART + "powers": predictions.parts.powers, PART + "losses": predictions.parts.losses,
            }  # fmt: skip
        if (unseen := predictions.as_unseen) is not None:
            values |= {AS_UNSEEN + name: getattr(unseen, name) for name in PREDICTED}
        if tasks.logits:
            values |= {TASK_ROWS: tasks.rows, **{TASK + name: own for name, own in tasks.logits.items()}}
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in values.items()}
        save_weights(self.folder / HELD_OUT, {**tensors, "seconds": torch.tensor(seconds)})

    def read_held_out(self) -> tuple[OutOfFoldPredictions, TaskLogits, float]:
        """The arguments of `save_held_out`.

        Raises:
            RunError: the file is missing or damaged.
        """
        file = self.folder / HELD_OUT
        saved = load_weights(file)
        if lacking := {*PREDICTED, "seconds"} - set(saved):
            raise RunError(f"{file}: no tensor {min(lacking)!r}; {AGAIN}")
        tasks = {name: values.numpy() for name, values in _tasks(saved).items()}
        found = TaskLogits(saved[TASK_ROWS].numpy(), tasks) if TASK_ROWS in saved else TaskLogits()
        unseen = _predictions(saved, AS_UNSEEN) if AS_UNSEEN + "rows" in saved else None
        predictions = replace(_predictions(saved), parts=_parts(saved), as_unseen=unseen)
        return predictions, found, float(saved["seconds"])

    def save_logits(self, logits: Mapping[str, torch.Tensor], seconds: float) -> None:
        """Save each task's logits of the test rows, and what they took."""
        named = {"logits" if task == LABEL else TASK + task: values for task, values in logits.items()}
        save_weights(self.folder / LOGITS, {**named, "seconds": torch.tensor(seconds)})

    def read_logits(self) -> tuple[dict[str, torch.Tensor], float] | None:
        """The arguments of `save_logits`; None if the file is missing or damaged: they are then computed again."""
        try:
            saved = load_weights(self.folder / LOGITS) if (self.folder / LOGITS).is_file() else None
        except RunError:
            return None
        if saved is None:
            return None
        return {LABEL: saved["logits"], **_tasks(saved)}, float(saved["seconds"])


def _predictions(saved: Mapping[str, torch.Tensor], prefix: str = "") -> OutOfFoldPredictions:
    rows, logits, seen = (saved[prefix + name].numpy() for name in PREDICTED)
    return OutOfFoldPredictions(rows, logits, seen)


def _parts(saved: Mapping[str, torch.Tensor]) -> PartAnswers | None:
    if PART + "rows" not in saved:
        return None
    rows, answers, powers, losses = (
        saved[PART + name].numpy() for name in ("rows", "answers", "powers", "losses")
    )
    return PartAnswers(rows, answers, tuple(powers.tolist()), tuple(losses.tolist()))


def _tasks(saved: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Column → logits, of auxiliary tasks."""
    return {name.removeprefix(TASK): values for name, values in saved.items() if name.startswith(TASK)}
