"""Catalog → inputs of the models of a run: class numbers, pictures, features of frozen encoders, titles."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeGuard

import numpy as np
import pandas as pd
from accelerate import Accelerator
from torch.nn import Module

from fusionclf.batches import (
    MergedTitles,
    PictureCache,
    PictureTransform,
    ProductSource,
    TitleTable,
    cached_features,
    cover_size,
    fingerprint,
    mean_features,
    open_cache,
)
from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.languages import forget_detector, main_language
from fusionclf.catalog.usable import UnusedRows, unused_rows, usable_rows
from fusionclf.config import RunConfig
from fusionclf.console import Console
from fusionclf.evaluation import CategoryGraph, product_context
from fusionclf.memory import give_back_memory, release_pages
from fusionclf.models import Model, ProductClassifier, StackedClassifier, base_model
from fusionclf.models.architectures import picture_architecture
from fusionclf.models.encoders import PretrainedEncoder
from fusionclf.models.engine import Engine
from fusionclf.models.field_encoders import TitleAndFields
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.text_encoders import TransformerEncoder
from fusionclf.stacking import checks
from fusionclf.stacking.class_places import class_families, class_paths
from fusionclf.stacking.drafted_synonyms import RunSynonyms
from fusionclf.stacking.stages import Stage, smallest_classes
from fusionclf.stacking.text_embedding import SharedEmbedder, all_have, report_cut_texts, saved_seconds
from fusionclf.training import check_batch_size, collect, iterate_features


class RunInputs:
    """The inputs of the models of a run; opened once and shared by all stages.

    Attributes:
        graph: the catalog's category paths, counted over train and validation rows.
        synonyms: other names of the classes.
        seconds_per_product: of features and titles that are ready before a model predicts; for cached ones, what they
            took when they were computed.
    """

    def __init__(
        self,
        settings: RunConfig[Any],
        catalog: Catalog,
        split: Split,
        accelerator: Accelerator,
        console: Console,
    ) -> None:
        self.settings, self.catalog, self.split = settings, catalog, split
        self.accelerator, self.console = accelerator, console
        self.cache: PictureCache | None = None
        self.titles: TitleTable | None = None
        self.synonyms = RunSynonyms()
        self.seconds_per_product = 0.0
        self.graph = CategoryGraph.from_split(catalog, split)
        self._seconds = {"pictures": 0.0, "titles": 0.0}

    def classes(self, part: str | None) -> dict[str, tuple[str, ...]]:
        """Class names of each task; those of auxiliary columns come from the whole catalog.

        Raises:
            CatalogError: an auxiliary column has fewer than two values.
        """
        classes = {"label": self.split.class_names(part)}
        return classes | checks.auxiliary_classes(self.settings, self.catalog)

    def check(self, model: Model, stages: Sequence[Stage]) -> None:
        """Refuse what this model cannot be trained on, read the synonyms, and open the picture cache.

        Raises:
            SettingsError: as of `check_model`, or a stage has too few classes or train rows.
            CatalogError: a stage has no validation row that can be used.
        """
        checks.check_stages(self.settings, model)
        if _scores_by_name(model):
            names = self.split.class_names(None)
            families = dict(zip(names, class_families(self.graph, names).tolist(), strict=True))
            self.synonyms = RunSynonyms.read(
                self.settings.model.synonyms, self.catalog, self.split, families, self.console
            )
        self._check_rows(stages, model)
        if model.image is not None:
            self.open_cache()
            self._check_rows(stages, model)  # again: some pictures may be unreadable

    def _check_rows(self, stages: Sequence[Stage], model: Model) -> None:
        """Refuse stages that have too few classes, train rows or validation rows to learn from."""
        base = base_model(model)
        for stage in stages:
            checks.check_classes(self.catalog, self.split, stage, model)
            train, validation = (
                self.trainable_by_base(self.split.rows(self.catalog, stage.split_part, name), base)
                for name in ("train", "validation")
            )
            check_batch_size(stage.settings.batch_size, len(train), self.accelerator.num_processes)
            checks.check_validation_rows(self.split, stage, validation)
            if stage.last and self.settings.stage3_classes:
                every = self.trainable(self.split.rows(self.catalog, stage.split_part, "train"), model)
                smallest = self.trainable_by_base(self.of_smallest_classes(stage, every), base)
                checks.check_third_stage(self.settings, len(smallest), self.accelerator.num_processes)

    def source(self, model: Model, classes: Mapping[str, tuple[str, ...]]) -> ProductSource:
        """All products as `model` reads them; the model is on its device."""
        pictures, features, frozen = None, None, False
        if model.image is not None:
            pictures = PictureTransform(self.open_cache(), self.settings.pictures.chosen, self.settings.seed)
            frozen = model.image.frozen
            if frozen and self.settings.train.cache_features:
                features = self._features(model, pictures)
        titles = self._prepare_titles(model, classes) if model.text_encoder is not None else None
        targets = {task: self._targets(task, names) for task, names in classes.items()}
        self.seconds_per_product = sum(self._seconds.values())
        ids = self.catalog.table["id"].tolist()
        everything = np.arange(len(self.catalog))
        has_picture = None if pictures is None else pictures.cache.readable(everything)
        has_title = None if titles is None else self._has_text(model)
        return ProductSource(
            pictures, titles, targets, features, augmented=not frozen, ids=ids, has_picture=has_picture,
            has_title=has_title, class_counts={task: len(names) for task, names in classes.items()},
        )  # fmt: skip

    def trainable(self, rows: np.ndarray, model: Model) -> np.ndarray:
        """Those of `rows` that a model can learn from, the linear text model of a StackedClassifier included."""
        return rows[usable_rows(*self._modalities(model))[rows]]

    def trainable_by_base(self, rows: np.ndarray, base: ProductClassifier) -> np.ndarray:
        """Those of `rows` that a base model can learn from: with late fusion it reads no titles."""
        return rows[usable_rows(*self._modalities(base))[rows]]

    def of_smallest_classes(self, stage: Stage, rows: np.ndarray) -> np.ndarray:
        """Those of a stage's `rows` that are of its `stage3_classes` smallest classes."""
        targets = self._targets("label", self.split.class_names(stage.split_part))[rows]
        return rows[np.isin(targets, smallest_classes(targets, self.settings.stage3_classes))]

    def unused(self, model: Model) -> UnusedRows:
        """The train rows that a model cannot learn from."""
        rows = self.split.rows(self.catalog, None, "train", "validation")
        return unused_rows(self.catalog, rows, *self._modalities(model))

    def _modalities(self, model: Model) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(N,) which products have a picture and a title; None for what the model does not read.

        Once the cache is open, pictures that cannot be read do not count.
        """
        has_picture = None
        if model.image is not None:
            named = self.catalog.table["picture"].notna().to_numpy(bool)
            has_picture = named if self.cache is None else self.cache.readable(np.arange(len(named)))
        return has_picture, self._has_text(model) if model.text_encoder is not None else None

    def _has_text(self, model: Model) -> np.ndarray:
        """(N,) whether each product has a text that the model reads."""
        reads_fields = isinstance(model.text_encoder, TitleAndFields)
        return self.catalog.has_text if reads_fields else self.catalog.has_title

    def modality_status(self, model: Model, rows: np.ndarray) -> pd.DataFrame:
        """(n, 2) picture_status and title_status of each product: used, missing, unreadable or ignored."""
        table = self.catalog.table.iloc[rows]
        picture, title = np.full(len(rows), "ignored", object), np.full(len(rows), "ignored", object)
        if model.image is not None and self.cache is not None:
            unread = np.where(table["picture"].isna(), "missing", "unreadable")
            picture = np.where(self.cache.readable(rows), "used", unread)
        if model.text_encoder is not None:
            title = np.where(self._has_text(model)[rows], "used", "missing")
        return pd.DataFrame({"picture_status": picture, "title_status": title})

    def context(
        self,
        part: str | None,
        subset: Literal["test", "validation"] = "test",
        rows: np.ndarray | None = None,
    ) -> pd.DataFrame:
        """As `product_context`, with the pictures' hashes where pictures are read."""
        digests = None if self.cache is None else self.cache.digests
        return product_context(self.catalog, self.split, part, subset, rows, digests)

    def open_cache(self) -> PictureCache:
        """The picture cache, built where there is none yet."""
        if self.cache is None:
            pictures = self.settings.pictures.chosen
            # On each machine one process builds the cache, the others then find it.
            with self.accelerator.local_main_process_first(), self.console.bar("decode pictures") as step:
                self.cache = open_cache(
                    self.catalog, cover_size(pictures), unreadable=pictures.unreadable,
                    progress=step, info=self.console.info, warn=self.console.warn,
                )  # fmt: skip
        return self.cache

    def _features(self, model: Model, pictures: PictureTransform) -> np.ndarray:
        """(N, D) features of every product's picture, computed over all processes or cached; of several, the mean."""
        assert model.image is not None
        shown = self.settings.pictures.chosen
        each = PictureTransform(replace(pictures.cache, starts=None), shown)
        image, rows = model.image, np.arange(len(each.cache.sizes))
        size = (shown.height, shown.width, shown.fit, shown.normalisation, shown.interpolation)
        reader = (picture_architecture(image), image.dim, self.accelerator.mixed_precision)
        key = fingerprint(image.state_dict(), pictures.cache.key, size, *reader)

        def compute() -> np.ndarray:
            self.console.info(f"picture features: {len(rows)} pictures, once for all runs with this encoder")
            engine = Engine(
                self.settings.train.engine,
                self.accelerator.device,
                self.accelerator.mixed_precision,
                threads=1,
            )
            engine.start(image, len(rows), (shown.height, shown.width), self.console)
            source = ProductSource(each, None, {})
            with self.console.bar("picture features", len(rows)) as step:

                def on_progress(done: int, count: int) -> None:
                    release_pages()  # of the pictures so far
                    step(done, count)

                parts = iterate_features(image, source, rows, self.accelerator)
                return collect(parts, len(rows), self.accelerator, on_progress).numpy()

        features, made = cached_features(
            "pictures", key, len(rows), compute, partial(all_have, self.accelerator), self.console.warn
        )
        _close_graphs(image)
        give_back_memory()
        self._seconds["pictures"] = made["seconds"] / max(len(self.catalog), 1)
        return mean_features(features, pictures.cache)

    def _prepare_titles(self, model: Model, classes: Mapping[str, tuple[str, ...]]) -> TitleTable:
        assert model.text_encoder is not None
        fields = self.catalog.fields
        model.text_encoder.fit_fields(fields.iloc[self.split.rows(self.catalog, None, "train")])
        for encoder in model.modules():
            if isinstance(encoder, TransformerEncoder) and encoder.frozen:
                encoder.embedder = SharedEmbedder(
                    encoder, self.settings.train, self.accelerator, self.console
                )
        if _scores_by_name(model):
            names = classes["label"]
            synonyms = [self.synonyms.names.get(name, ()) for name in names]
            model.name_classes(names, class_paths(self.graph, names), synonyms, main_language(self.catalog))
        started, titles = time.perf_counter(), self.titles
        if titles is None:
            titles = model.text_encoder.prepare_fields(fields)
            report_cut_texts(model, fields, self.console)
        names = model.compare_names(fields) if isinstance(model, StackedClassifier) else None
        if self.titles is None:
            self.titles = titles
            seconds = time.perf_counter() - started + saved_seconds(model)
            self._seconds["titles"] = seconds / max(len(fields), 1)
        _close_graphs(model)
        forget_detector()
        return titles if names is None else MergedTitles([titles, names])

    def _targets(self, task: str, names: tuple[str, ...]) -> np.ndarray:
        """(N,) class numbers; with several labels per product (N, K) whether it has each."""
        if task == "label" and self.catalog.label_sets is not None:
            return self.catalog.label_sets.indicator(np.arange(len(self.catalog)), names)
        return _numbers(self._column(task), names)

    def _column(self, task: str) -> list[str]:
        return (
            self.catalog.table["label"].tolist()
            if task == "label"
            else checks.column_cells(self.catalog, task)
        )


def _close_graphs(model: Module) -> None:
    """Free the memory of encoders' ONNX graphs; what embeds further texts opens them again."""
    for encoder in model.modules():
        if isinstance(encoder, PretrainedEncoder):
            encoder.graph = None


def _numbers(values: list[str], names: tuple[str, ...]) -> np.ndarray:
    """Class number of each value; -1 for values that are not classes."""
    number = {name: n for n, name in enumerate(names)}
    return np.array([number.get(value, -1) for value in values], np.int64)


def _scores_by_name(model: Model) -> TypeGuard[StackedClassifier]:
    """Whether a model scores classes by their names."""
    return isinstance(model, StackedClassifier) and isinstance(model.head, StackedHead)
