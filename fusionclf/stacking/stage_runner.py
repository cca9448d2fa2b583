"""One stage of a training run: train the base model, fit what is stacked on it, save it, predict the test rows.

Finished steps of a stage are saved in the run folder; a resumed run does not repeat them.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator

from fusionclf.batches import ProductSource
from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.fields import Fields
from fusionclf.catalog.groups import variant_groups
from fusionclf.config import RunConfig
from fusionclf.console import Console
from fusionclf.evaluation.multilabel import SigmoidDecision
from fusionclf.models import (
    Model,
    ProductClassifier,
    StackedClassifier,
    Variant,
    base_model,
    count_parameters,
)
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.storage import fill_model, save_model
from fusionclf.run_schema import ALL_CLASSES, read_labels
from fusionclf.stacking.auxiliary import AuxiliaryTasks, TaskLogits, base_logits
from fusionclf.stacking.base_training import BaseTraining, has_frozen_encoders
from fusionclf.stacking.chosen_logits import ChosenLogits
from fusionclf.stacking.class_places import class_families
from fusionclf.stacking.cost import StageCost
from fusionclf.stacking.fitting import (
    FittedStackedHead,
    FittedWeightedSum,
    FittingContext,
    fit_label_temperature,
    fit_stacked_head,
    fit_weighted_sum,
)
from fusionclf.stacking.label_sets import LabelSetFrames, fit_label_decision
from fusionclf.stacking.out_of_fold import OutOfFoldPredictions
from fusionclf.stacking.run_inputs import RunInputs
from fusionclf.stacking.stage_files import StageFiles
from fusionclf.stacking.stages import Stage, StageRows
from fusionclf.training import device_name, predict_tasks, to_device

Classes = dict[str, tuple[str, ...]]


class StageRunner:
    """Runs the stages of a run, one after the other.

    Args:
        variant: what is trained.
        settings: of the run.
        catalog, split: the products.
        accelerator: where it runs.
        out: the run folder.
        console: where progress shows.

    Attributes:
        inputs: what the models read.
        held_out: name → predictions for held-out rows, of the stages that ran.
        as_unseen: name → predictions for rows as if their class had no rows; empty if every class has rows.
        answers: name → answers for further columns, of the stages that ran; empty without auxiliary tasks.
        fusion_parts: name → predictions of the parts of a stacked head for held-out rows.
        cost: what they took.
    """

    def __init__(
        self,
        variant: Variant,
        settings: RunConfig[Any],
        catalog: Catalog,
        split: Split,
        accelerator: Accelerator,
        out: Path,
        console: Console,
    ) -> None:
        self.variant, self.settings, self.catalog, self.split = variant, settings, catalog, split
        self.accelerator, self.out, self.console = accelerator, out, console
        self.inputs = RunInputs(settings, catalog, split, accelerator, console)
        self.held_out: dict[str, pd.DataFrame] = {}
        self.as_unseen: dict[str, pd.DataFrame] = {}
        self.answers: dict[str, pd.DataFrame] = {}
        self.fusion_parts: dict[str, dict[str, Any]] = {}
        self.training = BaseTraining(settings, self.inputs, accelerator, out, console)
        self.cost = StageCost(self.training.states)
        self._backbone: dict[str, torch.Tensor] | None = None
        self._decision: SigmoidDecision | None = None  # of products with several labels

    def check(self, stages: Sequence[Stage]) -> None:
        """Build the first model and open the pictures, so that errors show before anything is written."""
        model = self._build(self.inputs.classes(stages[0].split_part))
        self.inputs.check(model, stages)
        self.unused = self.inputs.unused(model)
        if self.unused:
            self.console.warn(f"{self.variant.name} cannot learn from every train row: {self.unused}")

    def run(self, stage: Stage) -> dict[str, pd.DataFrame]:
        """Train one stage and save its model; part → predictions for the part's test rows.

        A model over all classes also predicts each part, with the part's own classes as candidates.
        """
        classes = self.inputs.classes(stage.split_part)
        torch.manual_seed(self.settings.seed)
        model = self._build(classes)
        base = base_model(model)
        if self._backbone is not None:
            base.load_backbone(self._backbone)
        to_device(model, self.accelerator.device)  # before features of a frozen encoder are computed
        source = self.inputs.source(model, classes)
        rows = StageRows(
            *(
                self.inputs.trainable(self.split.rows(self.catalog, stage.split_part, name), model)
                for name in ("train", "validation")
            )
        )
        self.cost.trained += len(rows.all)
        self.training.train(stage, base, source, rows)
        files = StageFiles(self.out, stage.part)
        temperatures = self._finish_model(stage, model, source, classes, rows, files)
        self.cost.parameters = max(self.cost.parameters, count_parameters(model))
        self._backbone = {name: value.cpu() for name, value in base.backbone_state().items()}
        return self._predict(stage, model, source, classes, temperatures, files)

    def _build(self, classes: Classes) -> Model:
        counts = {task: len(names) for task, names in classes.items()}
        return self.variant.model(self.settings.model, counts, Fields.of(self.settings.catalog))

    def _finish_model(
        self,
        stage: Stage,
        model: Model,
        source: ProductSource,
        classes: Classes,
        rows: StageRows,
        files: StageFiles,
    ) -> dict[str, float]:
        """Fit the stacked head and temperatures and save the model, or load what was saved; task → temperature."""
        folder = self.out / "model"
        labels = read_labels(folder) if (folder / "labels.json").is_file() else {}
        if stage.part in labels:
            fill_model(model, folder / f"{stage.part}.safetensors")
            self._decision = SigmoidDecision.from_labels(labels[stage.part])
            return {"label": labels[stage.part]["temperature"], **labels[stage.part].get("temperatures", {})}
        started = time.perf_counter()
        logits = base_logits(model, source, rows.validation, classes, self.accelerator)
        if isinstance(model, StackedClassifier):
            fitted = self._fit_head(model, source, classes["label"], rows)
            fitted.apply(model)
            self.console.info(fitted.summary)
            # The head is calibrated by the way it is fitted.
            temperature, predictions = 1.0, fitted.out_of_fold
        elif self.catalog.label_sets is not None:
            self._decision, predictions = fit_label_decision(logits["label"], source, rows)
            temperature = self._decision.temperature
        else:
            temperature, predictions = fit_label_temperature(logits["label"], source, rows)
        tasks = TaskLogits.of(rows.validation, logits)
        auxiliary = AuxiliaryTasks(self.inputs, base_model(model), source, classes)
        temperatures = {"label": temperature, **auxiliary.fit_temperatures(tasks)}
        if isinstance(model, ProductClassifier) and has_frozen_encoders(model):
            self.training.refit(stage, model, source, rows)
        if self.accelerator.is_main_process:
            files.save_held_out(predictions, tasks, time.perf_counter() - started)
            further = None if self._decision is None else self._decision.to_labels()
            save_model(folder, stage.part, model, classes, temperatures, further)
        self.accelerator.wait_for_everyone()
        return temperatures

    def _fit_head(
        self, model: StackedClassifier, source: ProductSource, names: tuple[str, ...], rows: StageRows
    ) -> FittedStackedHead | FittedWeightedSum:
        together = variant_groups(self.catalog, self.settings.split)
        context = FittingContext(self.accelerator, self.settings.seed, self.console, together)
        if not isinstance(model.head, StackedHead):
            return fit_weighted_sum(model, source, self.catalog, rows.train, rows.validation, context)
        families = class_families(self.inputs.graph, names)
        by_year = self.settings.split.rule == "year_parity"
        return fit_stacked_head(model, source, self.catalog, rows.all, families, context, by_year)

    def _predict(
        self,
        stage: Stage,
        model: Model,
        source: ProductSource,
        classes: Classes,
        temperatures: dict[str, float],
        files: StageFiles,
    ) -> dict[str, pd.DataFrame]:
        """Part → predictions of the test rows; those of held-out rows join `held_out`, further columns `answers`."""
        rows, names = self.split.rows(self.catalog, stage.split_part, "test"), classes["label"]
        found = self._test_logits(model, source, rows, classes, files)
        held_out, tasks, seconds = files.read_held_out()
        self.cost.fit_seconds += seconds
        if self._decision is not None:
            made = LabelSetFrames(self.inputs, model, names, self._decision)
            self.held_out[ALL_CLASSES] = made.held_out(held_out)
            return {ALL_CLASSES: made.test(rows, found["label"])}
        frames = {}
        for part, candidates in stage.candidates(self.split).items():
            columns = [names.index(name) for name in candidates]
            own = self.split.rows(self.catalog, part, "test")
            frame = part or ALL_CLASSES
            logits = ChosenLogits(found["label"], np.searchsorted(rows, own), columns, temperatures["label"])
            frames[frame] = logits.predictions(
                self.inputs.context(part),
                candidates,
                self.inputs.modality_status(model, own),
                self.inputs.graph,
            )
            self.held_out[frame] = self._held_out(model, held_out, part, names, temperatures["label"])
            if held_out.as_unseen is not None:
                unseen = self._held_out(model, held_out.as_unseen, part, names, temperatures["label"])
                self.as_unseen[frame] = unseen
            if held_out.parts is not None and candidates == names:
                self.fusion_parts[frame] = held_out.parts.score(self.held_out[frame], held_out.rows, names)
        if len(classes) > 1:
            auxiliary = AuxiliaryTasks(self.inputs, base_model(model), source, classes, temperatures)
            for part in stage.candidates(self.split):
                self.answers[part or ALL_CLASSES] = auxiliary.answers(part, TaskLogits.of(rows, found), tasks)
        return frames

    def _held_out(
        self,
        model: Model,
        predictions: OutOfFoldPredictions,
        part: str | None,
        names: tuple[str, ...],
        temperature: float,
    ) -> pd.DataFrame:
        """Predictions for the held-out rows of a part, among its own classes; `names` are all classes of the model."""
        candidates, column = self.split.class_names(part), {name: n for n, name in enumerate(names)}
        labels = self.catalog.table["label"].to_numpy(object)[predictions.rows]
        mine = np.isin(labels, candidates)
        rows, columns = predictions.rows[mine], [column[name] for name in candidates]
        context = self.inputs.context(part, "validation", rows)
        known = predictions.seen[mine][np.arange(len(rows)), [column[name] for name in labels[mine]]]
        context["label_train_count"] = np.where(known, context["label_train_count"], 0)
        if isinstance(model, StackedClassifier) and isinstance(model.head, StackedHead):
            context["leaked_title"] = False  # no fold divides the products of a title
        status = self.inputs.modality_status(model, rows)
        logits = ChosenLogits(predictions.logits, np.flatnonzero(mine), columns, temperature)
        return logits.predictions(context, candidates, status, self.inputs.graph)

    def _test_logits(
        self, model: Model, source: ProductSource, rows: np.ndarray, classes: Classes, files: StageFiles
    ) -> dict[str, np.ndarray]:
        """Task → (n, K) logits of the test rows, computed or saved before."""
        self.cost.predicted += len(rows)
        saved = files.read_logits()
        if saved is None or set(saved[0]) != set(classes):
            started, widths = time.perf_counter(), {task: len(names) for task, names in classes.items()}
            with self.console.bar(f"predict {files.stage}", len(rows)) as on_step:
                logits = predict_tasks(model, source, rows, self.accelerator, widths, on_step)
            saved = logits, time.perf_counter() - started
            if self.accelerator.is_main_process:
                files.save_logits(*saved)
        self.cost.predict_seconds += saved[1]
        return {task: values.numpy() for task, values in saved[0].items()}

    def statistics(self) -> dict[str, Any]:
        """What environment.json holds: unused rows, device, the hub's task, and cost.

        Training includes everything: features and titles of the training products (for cached ones, the time that they
        took when they were computed), epochs, and fitting after the base models.
        """
        reads_pictures = self.inputs.cache is not None
        return {
            "unused_train_rows": self.unused.model_dump(mode="json"),
            "device": device_name(self.accelerator),
            "hub_task": self.variant.hub_task,
            **self.cost.summary(self.inputs.seconds_per_product, reads_pictures),
        }
