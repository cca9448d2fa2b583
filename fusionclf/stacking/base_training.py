"""Training of a stage's base model on train rows, optionally then on the smallest classes; and refitting."""

import json
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from fusionclf.batches import ProductSource
from fusionclf.config import RunConfig, TrainConfig
from fusionclf.console import Console
from fusionclf.files import write_text
from fusionclf.models import ProductClassifier, pretrained_encoders
from fusionclf.runfolder import CHECKPOINTS
from fusionclf.stacking.run_inputs import RunInputs
from fusionclf.stacking.stages import Stage, StageRows
from fusionclf.training import StageSpec, StageState, train_stage


class BaseTraining:
    """Trains base models of a run, one after the other.

    Args:
        settings: of the run.
        inputs: what the models read.
        accelerator: where it runs.
        out: the run folder.
        console: where progress shows.

    Attributes:
        states: of the trainings so far.
    """

    def __init__(
        self,
        settings: RunConfig[Any],
        inputs: RunInputs,
        accelerator: Accelerator,
        out: Path,
        console: Console,
    ) -> None:
        self.settings, self.inputs, self.accelerator = settings, inputs, accelerator
        self.out, self.console = out, console
        self.states: list[StageState] = []
        self._start: dict[str, torch.Tensor] = {}

    def train(self, stage: Stage, base: ProductClassifier, source: ProductSource, rows: StageRows) -> None:
        """Train the base model and, if `stage3_classes` is set, train it further on the smallest classes."""
        if has_frozen_encoders(base):
            learned = {name: value for name, value in base.named_parameters() if value.requires_grad}
            self._start = {name: value.detach().clone() for name, value in learned.items()}
        self._train(stage.part, base, source, rows, stage.settings)
        if stage.last and self.settings.stage3_classes:
            smallest = StageRows(self.inputs.of_smallest_classes(stage, rows.train), rows.validation)
            self._train(f"{stage.part}-smallest", base, source, smallest, self.settings.third_stage, True)

    def refit(self, stage: Stage, base: ProductClassifier, source: ProductSource, rows: StageRows) -> None:
        """Train the heads of a base model with frozen encoders again from scratch, on train and validation rows.

        Temperatures and the held-out predictions are those of the training before.
        """
        base.load_state_dict(self._start, strict=False)
        settings = stage.settings.model_copy(update={"select_by": "last", "patience": None})
        every = StageRows(rows.all, rows.validation[:0])
        self._train(f"{stage.part}-refit", base, source, every, settings)

    def _train(
        self,
        name: str,
        base: ProductClassifier,
        source: ProductSource,
        rows: StageRows,
        settings: TrainConfig,
        score_first: bool = False,
    ) -> None:
        train, validation = (
            self.inputs.trainable_by_base(some, base) for some in (rows.train, rows.validation)
        )
        if others := len(rows.all) - len(train) - len(validation):
            self.console.info(f"{name}: {others} rows without a picture are left to the linear text model")
        self.console.stage(name, len(train), len(validation), settings.epochs)
        spec = StageSpec(
            name, self.out / CHECKPOINTS / name, train, validation, self.settings.seed,
            score_first=score_first,
        )  # fmt: skip
        with self.console.training(name, settings.epochs, self.accelerator.log) as progress:
            self.states.append(train_stage(base, source, spec, settings, self.accelerator, progress))
        if self.accelerator.is_main_process:
            log = [json.dumps(row) for state in self.states for row in state.log]
            write_text(self.out / "log.jsonl", "\n".join(log) + "\n")


def has_frozen_encoders(base: ProductClassifier) -> bool:
    """Whether no pretrained encoder is trained, so that training takes seconds."""
    encoders = pretrained_encoders(base)
    return bool(encoders) and all(encoder.frozen for encoder in encoders)
