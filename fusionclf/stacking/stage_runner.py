"""The stages of a training run: each trains a network, fits what stands beside it, and answers its test rows.

What a stage has finished is kept in the run folder, and a resumed run does not do it again.
"""

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator

from fusionclf.batches import ProductSource
from fusionclf.catalog import Catalog, Split
from fusionclf.config import RunConfig, TrainConfig
from fusionclf.console import Console
from fusionclf.errors import CatalogError, RunError, SettingsError
from fusionclf.evaluation import fit_temperature, make_predictions, softmax
from fusionclf.files import write_text
from fusionclf.models import ProductClassifier, Variant, count_parameters
from fusionclf.models.storage import fill_model, save_model
from fusionclf.models.variants.fusion import LEAST_CLASSES
from fusionclf.models.weights import load_weights, save_weights
from fusionclf.run_schema import ALL_CLASSES, read_labels
from fusionclf.runfolder import AGAIN
from fusionclf.stacking.fitting import fit_blended, fit_vocabulary
from fusionclf.stacking.folds import HeldOut, class_families
from fusionclf.stacking.run_inputs import Inputs
from fusionclf.stacking.stages import Stage, smallest_classes, trained_classes
from fusionclf.training import (
    StageState,
    check_batch_size,
    device_name,
    predict_logits,
    to_device,
    train_stage,
)
from fusionclf.workflows.cross_fitting import train_cross_fitted

HELD_OUT = "held_out.safetensors"
Classes = dict[str, tuple[str, ...]]


class StageRunner:
    """What the stages of a run share."""

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
        self.inputs = Inputs(settings, catalog, split, accelerator, console)
        self.backbone: dict[str, torch.Tensor] | None = None
        self.states: list[StageState] = []
        self.parameters = 0
        self.graph = self.inputs.graph
        self.held_out: dict[str, pd.DataFrame] = {}
        self.trained, self.fit_seconds = 0, 0.0  # products; what is fitted after networks are trained
        self.predicted, self.predict_seconds = 0, 0.0
        self.joint: tuple[np.ndarray, np.ndarray, ProductClassifier] | None = None

    def check(self, stages: Sequence[Stage]) -> None:
        """Build the first model and open the pictures: what cannot work shows before anything is written."""
        model = self._build(self.inputs.classes(self._part(stages[0])))
        self.inputs.check(model)
        self._check_rows(stages, model)
        if model.image is not None:
            self.inputs.open_cache()
            self._check_rows(stages, model)  # again: some pictures may be unreadable
        self.unused = self.inputs.unused(model)
        if self.unused:
            self.console.warn(f"{self.variant.name} cannot learn from every train row: {self.unused}")

    def _check_rows(self, stages: Sequence[Stage], model: ProductClassifier) -> None:
        """Refuse stages that have too few classes, train rows or validation rows to learn from."""
        for stage in stages:
            if model.vocabulary is not None:
                self._check_classes(stage, "open" if model.vocabulary.takes_new else "named")
            rows = self.split.rows(self.catalog, self._part(stage), "train")
            rows = self.inputs.trainable_by_network(rows, model)
            check_batch_size(stage.settings.batch_size, len(rows), self.accelerator.num_processes)
            self._check_validation(stage, model)

    def _check_validation(self, stage: Stage, model: ProductClassifier) -> None:
        """Validation rows say which epoch is kept, and how sure a model may be."""
        part = self._part(stage)
        rows = self.split.rows(self.catalog, part, "validation")
        if len(self.inputs.trainable_by_network(rows, model)):
            return
        remedy = "set split.rule or split.group_by otherwise"
        if part is not None:
            remedy = "set scheme=single_stage, or split.top_k for other parts"
        raise CatalogError(
            f"split.rule={self.split.spec.rule}: part {stage.part!r} has no validation row that can be used; {remedy}"
        )

    def _check_classes(self, stage: Stage, vocabulary: str) -> None:
        count = trained_classes(self.catalog, self.split, stage)
        if count < LEAST_CLASSES[vocabulary]:
            raise SettingsError(
                f"{stage.part}: {count} {'class has' if count == 1 else 'classes have'} train rows, and "
                f"model.vocabulary={vocabulary} needs {LEAST_CLASSES[vocabulary]} or more; set "
                "model.vocabulary=closed, or split.top_k for other parts"
            )

    def run(self, stage: Stage) -> pd.DataFrame:
        """Train one stage, save its model, and predict the part's test rows."""
        part = self._part(stage)
        classes = self.inputs.classes(part)
        torch.manual_seed(self.settings.seed)
        model = self._build(classes)
        if self.backbone is not None:
            model.load_backbone(self.backbone)
        to_device(model, self.accelerator.device)  # before features of a frozen encoder are computed
        source = self.inputs.source(model, classes)
        train_rows, validation_rows = (
            self.inputs.trainable(self.split.rows(self.catalog, part, name), model)
            for name in ("train", "validation")
        )
        self.trained += len(train_rows) + len(validation_rows)
        network, model.title_network = model.title_network, None
        of_pictures = None
        if model.vocabulary is not None and model.vocabulary.hears_head:
            of_pictures = self._cross_fit(
                stage.part, model, source, train_rows, validation_rows, stage.settings
            )
        else:
            self._train(stage.part, model, source, train_rows, validation_rows, stage.settings)
        if stage.last and self.settings.stage3_classes:
            few = smallest_classes(source.targets["label"][train_rows], self.settings.stage3_classes)
            train_rows_of_few = train_rows[np.isin(source.targets["label"][train_rows], few)]
            self._train(
                f"{stage.part}-smallest", model, source, train_rows_of_few, validation_rows,
                self.settings.third_stage, score_first=True,
            )  # fmt: skip
        model.title_network, of_titles = network, None
        if network is not None:
            of_titles = self._cross_fit(
                f"{stage.part}-titles", network, self.inputs.of_titles(network, source),
                train_rows, validation_rows, self.settings.title_network_stage,
            )  # fmt: skip
        self._write_log()
        temperature = self._finish_model(
            stage.part, model, source, classes, train_rows, validation_rows, of_titles, of_pictures
        )
        self.parameters = max(self.parameters, count_parameters(model))
        self.backbone = {name: value.cpu() for name, value in model.backbone_state().items()}
        rows = self.split.rows(self.catalog, part, "test")
        logits = self._answer(stage.part, model, source, rows) / temperature
        probabilities = softmax(logits)
        if stage.part == ALL_CLASSES:
            self.joint = logits, rows, model
        context = self.inputs.context(part)
        self._keep_held_out(stage.part, part, classes["label"], temperature)
        return make_predictions(
            context, classes["label"], probabilities, self.inputs.health(model, rows), self.graph
        )

    def parts_of_joint(self) -> dict[str, pd.DataFrame]:
        """Predictions of each part from the joint model, with the part's own classes as candidates."""
        assert self.joint is not None
        logits, joint_rows, model = self.joint
        everything = self.split.class_names(None)
        frames = {}
        for part, names in self.split.classes.items():
            rows = self.split.rows(self.catalog, part, "test")
            columns = [everything.index(name) for name in names]
            probabilities = softmax(logits[np.searchsorted(joint_rows, rows)][:, columns])
            context = self.inputs.context(part)
            frames[part] = make_predictions(
                context, names, probabilities, self.inputs.health(model, rows), self.graph
            )
        return frames

    def _keep_held_out(
        self, name: str, part: str | None, classes: tuple[str, ...], temperature: float
    ) -> None:
        """Lay held-out answers out as predictions; of a joint model also those of each part among its own classes."""
        kept = load_weights(self.out / "checkpoints" / name / HELD_OUT)
        if lacking := {"rows", "logits", "seen", "seconds"} - set(kept):
            file = self.out / "checkpoints" / name / HELD_OUT
            raise RunError(f"{file}: no tensor {min(lacking)!r}; {AGAIN}")
        self.fit_seconds += float(kept["seconds"])
        rows, logits, seen = (kept[key].numpy() for key in ("rows", "logits", "seen"))
        names = self.catalog.table["label"].to_numpy(object)[rows]
        asked = {name: (part, classes)}
        if name == ALL_CLASSES:
            asked |= {own: (own, of_part) for own, of_part in self.split.classes.items()}
        number = {label: place for place, label in enumerate(classes)}
        for kept_as, (of_part, candidates) in asked.items():
            mine = np.isin(names, candidates)
            columns = [number[label] for label in candidates]
            probabilities = softmax(logits[mine][:, columns] / temperature)
            context = self.inputs.context(of_part, "validation", rows[mine])
            known = seen[mine][np.arange(int(mine.sum())), [number[label] for label in names[mine]]]
            context["label_train_count"] = np.where(known, context["label_train_count"], 0)
            self.held_out[kept_as] = make_predictions(context, candidates, probabilities, graph=self.graph)

    def figures(self) -> dict[str, Any]:
        """What environment.json says of cost.

        Training is all that it takes: features and titles of the products that are learned from (had they been
        remembered, what they took), epochs, and what is fitted beside the networks.
        """
        epochs = sum(state.seconds for state in self.states)
        preparing = self.trained * self.inputs.seconds_per_product
        seen = sum(row["pictures_per_second"] * row["seconds"] for state in self.states for row in state.log)
        answering = self.predict_seconds + self.predicted * self.inputs.seconds_per_product
        return {
            "unused_train_rows": self.unused.model_dump(mode="json"),
            "device": device_name(self.accelerator),
            "train_seconds": preparing + epochs + self.fit_seconds,
            "predict_seconds": answering,
            "products_per_second": self.predicted / max(answering, 1e-9),
            "pictures_per_second": seen / max(epochs, 1e-9) if self.inputs.cache is not None else None,
            "parameters": self.parameters,
        }

    def _part(self, stage: Stage) -> str | None:
        return None if stage.part == ALL_CLASSES else stage.part

    def _build(self, classes: Classes) -> ProductClassifier:
        return self.variant.build(self.settings.model, {task: len(names) for task, names in classes.items()})

    def _cross_fit(
        self,
        name: str,
        model: ProductClassifier,
        source: ProductSource,
        train_rows: np.ndarray,
        validation_rows: np.ndarray,
        settings: TrainConfig,
    ) -> torch.Tensor:
        """Train a network; (n, K) logits of others that saw no product of the brand."""
        return train_cross_fitted(
            name, model, source, self.catalog, train_rows, validation_rows, self.accelerator,
            partial(self._train, settings=settings), self.settings.seed,
        )  # fmt: skip

    def _train(
        self,
        name: str,
        model: ProductClassifier,
        source: ProductSource,
        train_rows: np.ndarray,
        validation_rows: np.ndarray,
        settings: TrainConfig,
        score_first: bool = False,
    ) -> None:
        others = len(train_rows) + len(validation_rows)
        train_rows, validation_rows = (
            self.inputs.trainable_by_network(rows, model) for rows in (train_rows, validation_rows)
        )
        others -= len(train_rows) + len(validation_rows)
        if others:
            self.console.info(f"{name}: {others} rows without a picture are left to the linear text model")
        self.console.stage(name, len(train_rows), len(validation_rows), settings.epochs)
        with self.console.training(name, settings.epochs, self.accelerator.log) as progress:
            state = train_stage(
                model, source, train_rows, validation_rows, settings, self.accelerator,
                self.out / "checkpoints" / name, stage=name, seed=self.settings.seed, progress=progress,
                score_first=score_first,
            )  # fmt: skip
        self.states.append(state)

    def _write_log(self) -> None:
        if self.accelerator.is_main_process:
            rows = [json.dumps(row) for done in self.states for row in done.log]
            write_text(self.out / "log.jsonl", "\n".join(rows) + "\n")

    def _finish_model(
        self,
        name: str,
        model: ProductClassifier,
        source: ProductSource,
        classes: Classes,
        train_rows: np.ndarray,
        validation_rows: np.ndarray,
        of_titles: torch.Tensor | None,
        of_pictures: torch.Tensor | None,
    ) -> float:
        """Fit experts or temperature and save the model, or load what was saved; the temperature."""
        folder = self.out / "model"
        labels = read_labels(folder) if (folder / "labels.json").is_file() else {}
        if name in labels:
            fill_model(model, folder / f"{name}.safetensors")
            return labels[name]["temperature"]
        started = time.perf_counter()
        temperature, held_out = self._fit_beside(
            model, source, classes, train_rows, validation_rows, of_titles, of_pictures
        )
        seconds = torch.tensor(time.perf_counter() - started)
        if self.accelerator.is_main_process:
            save_weights(
                self.out / "checkpoints" / name / HELD_OUT, {**_tensors(held_out), "seconds": seconds}
            )
            save_model(folder, name, model, classes, temperature)
        self.accelerator.wait_for_everyone()
        return temperature

    def _fit_beside(
        self,
        model: ProductClassifier,
        source: ProductSource,
        classes: Classes,
        train_rows: np.ndarray,
        validation_rows: np.ndarray,
        of_titles: torch.Tensor | None,
        of_pictures: torch.Tensor | None,
    ) -> tuple[float, HeldOut]:
        """Fit what stands beside the network, or the temperature; that, and what held-out products were answered."""
        if model.wide is None:
            logits = predict_logits(model, source, validation_rows, self.accelerator).numpy()
            temperature = fit_temperature(logits, source.targets["label"][validation_rows])
            known = np.bincount(source.targets["label"][train_rows], minlength=logits.shape[1]) > 0
            return temperature, HeldOut(validation_rows, logits, np.broadcast_to(known, logits.shape))
        # Blend and vocabulary are calibrated by the way they are fitted.
        if model.vocabulary is None:
            said, held_out = fit_blended(
                model, source, self.catalog, train_rows, validation_rows, self.accelerator, self.settings.seed
            )
        else:
            names = classes["label"]
            said, held_out = fit_vocabulary(
                model, source, self.catalog, np.concatenate([train_rows, validation_rows]),
                class_families(self.graph, names), self._groups(names), self.accelerator, self.settings.seed,
                of_titles, of_pictures,
                # A picture network that saw a year tells nothing of how it would do without.
                by_year=self.settings.split.rule == "year_parity" and of_pictures is None,
                console=self.console,
            )  # fmt: skip
        self.console.info(said)
        return 1.0, held_out

    def _answer(
        self, name: str, model: ProductClassifier, source: ProductSource, rows: np.ndarray
    ) -> np.ndarray:
        """(n, K) logits of the test rows, computed or kept from before."""
        kept = self.out / "checkpoints" / name / "logits.safetensors"
        self.predicted += len(rows)
        if (known := _read_logits(kept)) is not None:
            self.predict_seconds += float(known["seconds"])
            return known["logits"].numpy()
        started = time.perf_counter()
        with self.console.bar(f"predict {name}", len(rows)) as step:
            logits = predict_logits(model, source, rows, self.accelerator, step)
        seconds = time.perf_counter() - started
        self.predict_seconds += seconds
        if self.accelerator.is_main_process:
            save_weights(kept, {"logits": logits, "seconds": torch.tensor(seconds)})
        return logits.numpy()

    def _groups(self, names: tuple[str, ...]) -> list[np.ndarray]:
        """The parts of the split as masks over a model's classes, where it has those of several."""
        parts = [set(part) for part in self.split.classes.values() if set(part) < set(names)]
        return [np.array([name in part for name in names]) for part in parts]


def _tensors(held_out: HeldOut) -> dict[str, torch.Tensor]:
    values = {"rows": held_out.rows, "logits": held_out.logits, "seen": held_out.seen}
    return {name: torch.from_numpy(np.array(value)) for name, value in values.items()}


def _read_logits(file: Path) -> dict[str, torch.Tensor] | None:
    """Kept logits; None where there are none or they are damaged: they can be computed again."""
    try:
        return load_weights(file) if file.is_file() else None
    except RunError:
        return None
