"""What a stage saves beside its checkpoints, so that a resumed run does not compute it again."""

from pathlib import Path

import numpy as np
import torch

from fusionclf.errors import RunError
from fusionclf.models.weights import load_weights, save_weights
from fusionclf.runfolder import AGAIN
from fusionclf.stacking.out_of_fold import OutOfFoldPredictions

HELD_OUT, LOGITS = "held_out.safetensors", "logits.safetensors"


class StageFiles:
    """Files of one stage below a run folder's checkpoints.

    Args:
        out: the run folder.
        stage: name of the stage.
    """

    def __init__(self, out: Path, stage: str) -> None:
        self.stage, self.folder = stage, out / "checkpoints" / stage

    def save_held_out(self, predictions: OutOfFoldPredictions, seconds: float) -> None:
        """Save predictions for held-out rows, and what fitting took."""
        values = {"rows": predictions.rows, "logits": predictions.logits, "seen": predictions.seen}
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in values.items()}
        save_weights(self.folder / HELD_OUT, {**tensors, "seconds": torch.tensor(seconds)})

    def read_held_out(self) -> tuple[OutOfFoldPredictions, float]:
        """What `save_held_out` was given.

        Raises:
            RunError: the file is missing or damaged.
        """
        file = self.folder / HELD_OUT
        saved = load_weights(file)
        if lacking := {"rows", "logits", "seen", "seconds"} - set(saved):
            raise RunError(f"{file}: no tensor {min(lacking)!r}; {AGAIN}")
        rows, logits, seen = (saved[key].numpy() for key in ("rows", "logits", "seen"))
        return OutOfFoldPredictions(rows, logits, seen), float(saved["seconds"])

    def save_logits(self, logits: torch.Tensor, seconds: float) -> None:
        """Save the test rows' logits, and what they took."""
        save_weights(self.folder / LOGITS, {"logits": logits, "seconds": torch.tensor(seconds)})

    def read_logits(self) -> tuple[torch.Tensor, float] | None:
        """What `save_logits` was given; None where there is none or it is damaged: it can be computed again."""
        try:
            saved = load_weights(self.folder / LOGITS) if (self.folder / LOGITS).is_file() else None
        except RunError:
            return None
        return None if saved is None else (saved["logits"], float(saved["seconds"]))
