"""`fusionclf train`: catalog → batches → model → training → evaluation → run folder."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from fusionclf.batches import (
    PictureCache,
    PictureTransform,
    ProductSource,
    TitleTable,
    cover_size,
    open_cache,
)
from fusionclf.catalog import Catalog, Split, make_split, read_catalog
from fusionclf.config import RunConfig, TrainConfig, load_settings
from fusionclf.console import Console
from fusionclf.errors import CatalogError, did_you_mean
from fusionclf.evaluation import (
    finish_run,
    fit_temperature,
    make_predictions,
    product_context,
    softmax,
)
from fusionclf.models import ProductClassifier, Variant, count_parameters, find_variant
from fusionclf.models.storage import save_model
from fusionclf.runfolder import environment, is_finished, open_run, read_json, write_text
from fusionclf.training import StageState, device_name, make_accelerator, predict_logits, train_stage
from fusionclf.workflows.experts import class_paths, fit_experts
from fusionclf.workflows.settings import begin_run

JOINT = "joint"


def train(
    name: str,
    data: Path,
    out: Path,
    *,
    config: Path | None = None,
    overrides: tuple[str, ...] = (),
    overwrite: bool = False,
    resume: bool = False,
    cpu: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Train a variant on a catalog's train rows and score it on its test rows.

    Args:
        name: a registered variant.
        data: the catalog's folder.
        out: the run folder to make.
        config: settings file; None for the variant's defaults.
        overrides: key.path=value texts.
        overwrite, resume: what to do where `out` holds a run.
        cpu: stay on the CPU.
        console: where progress goes.

    Returns:
        metrics.json's content.
    """
    console = console or Console()
    started = time.perf_counter()
    variant = find_variant(name)
    settings = load_settings(RunConfig[variant.params], config, overrides, variant=name, data=str(data))
    accelerator = make_accelerator(settings.train.precision, cpu)
    console.quiet = not accelerator.is_main_process
    if resume and is_finished(out):
        console.say(f"{out}: finished already, nothing to do")
        return read_json(out / "metrics.json")
    catalog = read_catalog(data, settings.catalog)
    split = make_split(catalog, settings.split)
    run = _Run(variant, settings, catalog, split, accelerator, out, console)
    run.check()  # before a run that `out` may hold is touched
    if accelerator.is_main_process:
        begin_run(open_run(out, overwrite=overwrite, resume=resume), settings, split)
    accelerator.wait_for_everyone()
    frames = {stage.part: run.train_and_predict(stage) for stage in run.stages()}
    if JOINT in frames:
        frames |= run.parts_of_joint()
    accelerator.wait_for_everyone()
    metrics: dict[str, Any] = {}
    if accelerator.is_main_process:
        figures = environment(seconds=time.perf_counter() - started, **run.figures(accelerator))
        metrics = finish_run(out, name, settings, catalog, split, frames, figures)
    accelerator.wait_for_everyone()
    return metrics


@dataclass(frozen=True)
class Stage:
    """One network to train: a part of the split, or all classes."""

    part: str
    settings: TrainConfig


class _Run:
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
        self.cache: PictureCache | None = None
        self.backbone: dict[str, torch.Tensor] | None = None
        self.titles: Any = None
        self.states: list[tuple[StageState, int]] = []
        self.parameters = 0
        self.predicted, self.predict_seconds = 0, 0.0
        self.joint_probabilities = np.zeros((0, 0))

    def stages(self) -> list[Stage]:
        """Stage one on the head classes, stage two on the rest; or one for all."""
        if self.settings.scheme == "joint":
            return [Stage(JOINT, self.settings.train)]
        first, *others = self.split.classes
        return [
            Stage(first, self.settings.train),
            *(Stage(part, self.settings.second_stage) for part in others),
        ]

    def check(self) -> None:
        """Build the first model and open the pictures once: what cannot work shows before anything is written."""
        first = self.stages()[0].part
        classes = self._classes(None if first == JOINT else first)
        model = self.variant.build(self.settings.model, {task: len(names) for task, names in classes.items()})
        if model.image is not None:
            self._open_cache()

    def train_and_predict(self, stage: Stage) -> Any:
        """Train one stage, save its model, and predict the part's test rows."""
        part = None if stage.part == JOINT else stage.part
        classes = self._classes(part)
        torch.manual_seed(self.settings.seed)
        model = self.variant.build(self.settings.model, {task: len(names) for task, names in classes.items()})
        source = self._source(model, classes)
        if self.backbone is not None:
            model.load_backbone(self.backbone)
        model.to(self.accelerator.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        train_rows = self._trainable(self.split.rows(self.catalog, part, "train"))
        validation_rows = self._trainable(self.split.rows(self.catalog, part, "validation"))
        self.console.stage(stage.part, len(train_rows), len(validation_rows), stage.settings.epochs)
        with self.console.training(stage.part, stage.settings.epochs) as progress:
            state = train_stage(
                model, source, train_rows, validation_rows, stage.settings, self.accelerator,
                self.out / "checkpoints" / stage.part, stage=stage.part, seed=self.settings.seed, progress=progress,
            )  # fmt: skip
        if model.wide is not None:
            said = fit_experts(
                model, source, self.catalog, train_rows, validation_rows, self._groups(classes["label"]),
                self.accelerator, self.settings.seed,
            )  # fmt: skip
            self.console.say(said)
        self.states.append((state, len(train_rows)))
        if self.accelerator.is_main_process:
            rows = [json.dumps(row) for done, _ in self.states for row in done.log]
            write_text(self.out / "log.jsonl", "\n".join(rows) + "\n")
        self.parameters = max(self.parameters, count_parameters(model))
        self.backbone = {name: value.cpu() for name, value in model.backbone_state().items()}
        return self._predict(stage.part, part, model, source, classes, validation_rows)

    def _predict(
        self,
        name: str,
        part: str | None,
        model: ProductClassifier,
        source: ProductSource,
        classes: dict[str, tuple[str, ...]],
        validation_rows: np.ndarray,
    ) -> Any:
        temperature = 1.0  # a blend is calibrated by its two factors, and has seen the validation rows by now
        if model.wide is None:
            logits = predict_logits(model, source, validation_rows, self.accelerator).numpy()
            temperature = fit_temperature(logits, source.targets["label"][validation_rows])
        if self.accelerator.is_main_process:
            save_model(self.out / "model", name, model, classes, temperature)
        rows = self.split.rows(self.catalog, part, "test")
        started = time.perf_counter()
        with self.console.bar(f"predict {name}", len(rows)) as step:
            logits = predict_logits(model, source, rows, self.accelerator, step).numpy()
        self.predict_seconds += time.perf_counter() - started
        self.predicted += len(rows)
        probabilities = softmax(logits / temperature)
        if name == JOINT:
            self.joint_probabilities, self.joint_rows, self.joint_model = probabilities, rows, model
        context = product_context(self.catalog, self.split, part)
        return make_predictions(context, classes["label"], probabilities, self._health(model, rows))

    def parts_of_joint(self) -> dict[str, Any]:
        """Predictions of each part from the joint model, with the part's own classes as candidates."""
        frames = {}
        everything = self.split.class_names(None)
        for part, names in self.split.classes.items():
            rows = self.split.rows(self.catalog, part, "test")
            columns = [everything.index(name) for name in names]
            picked = self.joint_probabilities[np.searchsorted(self.joint_rows, rows)][:, columns]
            picked = picked / picked.sum(axis=1, keepdims=True).clip(1e-12)
            context = product_context(self.catalog, self.split, part)
            frames[part] = make_predictions(context, names, picked, self._health(self.joint_model, rows))
        return frames

    def figures(self, accelerator: Accelerator) -> dict[str, Any]:
        """What environment.json says of cost."""
        train_seconds = sum(state.seconds for state, _ in self.states)
        seen = sum(rows * (state.epoch - 1) for state, rows in self.states)
        rate = seen / max(train_seconds, 1e-9)
        return {
            "device": device_name(accelerator),
            "train_seconds": train_seconds,
            "predict_seconds": self.predict_seconds,
            "products_per_second": self.predicted / max(self.predict_seconds, 1e-9),
            "pictures_per_second": rate if self.cache is not None else None,
            "parameters": self.parameters,
        }

    def _classes(self, part: str | None) -> dict[str, tuple[str, ...]]:
        """Class names of each task; those of auxiliary columns come from the whole catalog."""
        classes = {"label": self.split.class_names(part)}
        known = (*self.catalog.columns.categories, *self.catalog.columns.metadata)
        for column in getattr(self.settings.model, "auxiliary", {}):
            if column not in known:
                raise CatalogError(f"model.auxiliary: no column {column!r}; {did_you_mean(column, known)}")
            classes[column] = tuple(sorted(set(self.catalog.table[column]) - {""}))
        return classes

    def _source(self, model: ProductClassifier, classes: dict[str, tuple[str, ...]]) -> ProductSource:
        pictures = None
        if model.image is not None:
            pictures = PictureTransform(self._open_cache(), self.settings.pictures, self.settings.seed)
        if model.title_encoder is not None:
            titles = self.catalog.table["title"].tolist()
            fit_rows = self.split.rows(self.catalog, None, "train")
            model.title_encoder.fit([titles[row] for row in fit_rows])
            if model.open is not None:
                model.name_classes(classes["label"], class_paths(self.catalog, classes["label"]))
            if self.titles is None or model.open is not None:
                self.titles = self._prepared(model, titles)
        targets = {task: _numbers(self._column(task), names) for task, names in classes.items()}
        return ProductSource(pictures, self.titles if model.title_encoder is not None else None, targets)

    def _prepared(self, model: ProductClassifier, titles: list[str]) -> TitleTable:
        model.to(self.accelerator.device)
        with self.accelerator.autocast():
            return model.prepare_titles(titles)

    def _groups(self, names: tuple[str, ...]) -> list[np.ndarray]:
        """The parts of the split as masks over a model's classes, where it has those of several."""
        parts = [set(part) for part in self.split.classes.values() if set(part) < set(names)]
        return [np.array([name in part for name in names]) for part in parts]

    def _column(self, task: str) -> list[str]:
        return self.catalog.table["label" if task == "label" else task].tolist()

    def _open_cache(self) -> PictureCache:
        if self.cache is None:
            # The main process builds the cache, the others then find it.
            with self.accelerator.main_process_first(), self.console.bar("decode pictures") as step:
                self.cache = open_cache(
                    self.catalog, cover_size(self.settings.pictures),
                    unreadable=self.settings.pictures.unreadable, progress=step,
                )  # fmt: skip
        return self.cache

    def _trainable(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.cache is None else rows[self.cache.readable(rows)]

    def _health(self, model: ProductClassifier, rows: np.ndarray) -> Any:
        import pandas as pd

        table = self.catalog.table.iloc[rows]
        picture, title = np.full(len(rows), "ignored", object), np.full(len(rows), "ignored", object)
        if model.image is not None and self.cache is not None:
            unread = np.where(table["picture"].isna(), "missing", "unreadable")
            picture = np.where(self.cache.readable(rows), "used", unread)
        if model.title_encoder is not None:
            title = np.where(table["title"] == "", "missing", "used")
        return pd.DataFrame({"picture_status": picture, "title_status": title})


def _numbers(values: list[str], names: tuple[str, ...]) -> np.ndarray:
    """Class number of each value; -1 for values that are no class."""
    number = {name: n for n, name in enumerate(names)}
    return np.array([number.get(value, -1) for value in values], np.int64)
