"""A trained model of a run, which predicts products as it predicted the run's test rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from fusionclf.batches import (
    PictureCache,
    PictureTransform,
    ProductSource,
    cover_size,
)
from fusionclf.catalog.fields import Fields, have_texts
from fusionclf.config import RunConfig
from fusionclf.console import SILENT, Console
from fusionclf.errors import RunError
from fusionclf.evaluation import softmax
from fusionclf.evaluation.multilabel import SigmoidDecision
from fusionclf.models import StackedClassifier, base_model, find_variant, pretrained_encoders
from fusionclf.models.added_classes import ADDED, REMOVE, AddedClass, add_classes, read_added
from fusionclf.models.encoders import PretrainedEncoder
from fusionclf.models.engine import LEAST_OPENED, Choice, Engine
from fusionclf.models.field_encoders import TitleAndFields
from fusionclf.models.layers.embedding_cache import EmbeddingCache
from fusionclf.models.open_vocabulary.prototypes import normalised
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.storage import load_model, read_checksum
from fusionclf.models.text_encoders import TransformerEncoder
from fusionclf.prediction.class_embeddings import ClassEmbeddings
from fusionclf.prediction.late_picture_network import LatePictureNetwork
from fusionclf.run_schema import read_labels
from fusionclf.runfolder import one_line
from fusionclf.training import one_process, predict_features, predict_tasks, to_device


@dataclass(frozen=True)
class Vectors:
    """What prototypes of a class are made of.

    Attributes:
        features: (n, D) normalised features of the base model.
        embeddings: (n, Dt) sentence embeddings of the titles.
        has_picture, has_title: (n,) whether a product has one.
    """

    features: torch.Tensor
    embeddings: torch.Tensor
    has_picture: torch.Tensor
    has_title: torch.Tensor


class NetworkModel:
    """A trained model of a run.

    Args:
        folder: the run's model folder.
        part: of the split, or `joint`.
        settings: the run's.
        device: where to run it; None for a GPU where there is one.
        engine: what runs its encoders: auto, torch or onnx; None: as train.engine of the settings.

    Attributes:
        classes: K names.
        tasks: task → names of its classes, in the order of the model's outputs; `label` holds all classes.
        cover: height and width in pixels that a decoded picture must cover; None for a model that reads none.
        reads_titles: whether it reads titles.
        fields: names of the further texts and attributes that it reads.

    Raises:
        RunError: a file is missing, damaged, or of another model.
    """

    def __init__(
        self,
        folder: Path,
        part: str,
        settings: RunConfig[Any],
        device: torch.device | str | None = None,
        engine: Choice | None = None,
    ) -> None:
        labels = read_labels(folder, part)[part]
        self.decision = SigmoidDecision.from_labels(labels)
        self.every: tuple[str, ...] = tuple(labels["classes"]["label"])  # all classes, in the model's order
        self.classes = self.every  # the candidates
        self.added: tuple[str, ...] = ()  # those that were not trained
        self._classes_of: Mapping[str, Sequence[str]] = labels["classes"]
        self.temperature = float(labels["temperature"])
        self.temperatures = {**labels.get("temperatures", {}), "label": self.temperature}
        self._expected = 0  # products that it was warmed up for
        self._console = SILENT
        self.columns: np.ndarray | None = None  # places of `classes` in `every`, where `keep_only` left some
        self.settings = settings
        self.process = one_process(settings.train.precision, device)
        self.engine = Engine(
            engine or settings.train.engine, self.process.device, self.process.mixed_precision
        )
        checksum = read_checksum(folder / f"{part}.safetensors")
        self._embeddings = ClassEmbeddings(checksum, self.engine)
        with self.process.autocast():  # class names are embedded as in training
            self.model = load_model(
                folder, part, find_variant(settings.variant), settings.model, Fields.of(settings.catalog),
                learn=self._embeddings.learn, pictures_later=True,
            )  # fmt: skip
            added = read_added(folder, part)
            if known := sorted({new.name for new in added} & set(self.every)):
                raise RunError(f"{folder / ADDED}: the model already has a class {known[0]!r}; {REMOVE}")
            try:
                self.add(added)
            except RunError as error:
                raise RunError(one_line(f"{error}; {REMOVE}", folder / ADDED)) from error
        to_device(self.model, self.process.device)
        reads_pictures = self.model.image is not None
        self.cover = cover_size(settings.pictures.chosen) if reads_pictures else None
        self._picture_network = (
            LatePictureNetwork(self.model, folder, part, settings, checksum) if reads_pictures else None
        )
        self.reads_titles = self.model.text_encoder is not None
        reads_fields = isinstance(self.model.text_encoder, TitleAndFields)
        self.fields = Fields.of(settings.catalog) if reads_fields else Fields()

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """Task → names of its classes; those that were added are last."""
        return {task: tuple(names) for task, names in self._classes_of.items()} | {"label": self.every}

    @property
    def is_open(self) -> bool:
        """Whether it can name classes without training rows."""
        head = self.model.head if isinstance(self.model, StackedClassifier) else None
        return isinstance(head, StackedHead) and head.allows_unseen

    def warm_up(self, count: int, threads: int | None = None, console: Console = SILENT) -> None:
        """Prepare for many products: ONNX Runtime runs the encoders where that saves time, and kept texts are opened.

        Args:
            count: products to come.
            threads: that share one batch; None: as many as torch has.
            console: shows that a graph is exported, and why torch runs an encoder.

        Raises:
            SettingsError: the engine is "onnx", and ONNX Runtime cannot run an encoder.
        """
        if count <= self._expected:  # what can be done was done
            return
        self._expected, self._console = count, console
        self.engine = replace(self.engine, threads=threads)
        for encoder in pretrained_encoders(self.model):
            if encoder is not self.model.image:  # which is started where there is a picture
                self._start_text_encoder(encoder, count)

    def _start_text_encoder(self, encoder: PretrainedEncoder, count: int) -> None:
        """Open kept texts, and start the encoder: at once, or where some are kept for the first other text."""
        start = partial(self.engine.start, encoder, count, None, self._console)
        if isinstance(encoder, TransformerEncoder) and isinstance(encoder.embedder, EmbeddingCache):
            cache = encoder.embedder
            if count >= LEAST_OPENED and cache.kept is None:
                cache.kept = encoder.open_kept(self.process.mixed_precision)
            if cache.kept and self.engine.choice == "auto":
                cache.prepare = start
                return
        start()

    def keep_texts(self) -> None:
        """Write the embeddings of new texts to the cache folder, for the next command."""
        for encoder in pretrained_encoders(self.model):
            embedder = encoder.embedder if isinstance(encoder, TransformerEncoder) else None
            if isinstance(embedder, EmbeddingCache) and embedder.kept is not None:
                embedder.kept.save()

    def add(self, added: Sequence[AddedClass]) -> None:
        """Add classes after those that it has.

        Raises:
            RunError: the model has a closed vocabulary.
        """
        if not added:
            return
        with self.process.autocast():  # class names are embedded as in training
            self._embed_once(added)
            add_classes(self.model, added)
        self.model.to(self.process.device)
        names = tuple(new.name for new in added)
        self.every, self.classes = (*self.every, *names), (*self.classes, *names)
        self.added = (*self.added, *names)
        if self.columns is not None:
            self.keep_only(self.classes)

    def _embed_once(self, added: Sequence[AddedClass]) -> None:
        """Embed what many classes are called, or take it from the disk."""
        if isinstance(self.model, StackedClassifier):
            called = [text for new in added for text in (new.called, *new.synonyms)]
            self._embeddings.learn(self.model, [*called, *(new.text for new in added)], called)

    def load_picture_network(self) -> None:
        """Prepare the picture network for the products to come, where that was not done before."""
        if self._picture_network is not None:
            self._picture_network.prepare(self.engine, self._expected, self._console)

    def keep_only(self, names: Sequence[str]) -> None:
        """Predict with these classes as the only candidates."""
        place = {name: n for n, name in enumerate(self.every)}
        self.columns = np.array([place[name] for name in names])
        self.classes = tuple(names)

    def probabilities(self, pictures: PictureCache | None, fields: pd.DataFrame) -> np.ndarray:
        """(n, K) probabilities of n products.

        Args:
            pictures: row i is product i's; None for a model that reads none.
            fields: of the same products, whether they are read or not.
        """
        return self.task_probabilities(pictures, fields)["label"]

    def task_probabilities(
        self, pictures: PictureCache | None, fields: pd.DataFrame
    ) -> dict[str, np.ndarray]:
        """Task → (n, K) probabilities; of other tasks than `label` a row is NaN where the base model has no input."""
        tasks, count = self.tasks, len(fields)
        if not count:
            return {
                task: np.zeros((0, len(names))) for task, names in (tasks | {"label": self.classes}).items()
            }
        source = self.source(pictures, fields)
        widths = {task: len(names) for task, names in tasks.items()}
        logits = predict_tasks(self.model, source, np.arange(count), self.process, widths)
        unread = ~base_model(self.model).has_input(count, source.has_picture, source.has_title)
        found = {}
        for task in tasks:
            found[task] = self.probabilities_of(task, logits[task])
            if task != "label":
                found[task][unread] = np.nan
        return found

    def probabilities_of(self, task: str, logits: torch.Tensor) -> np.ndarray:
        """(n, K) probabilities of a task's candidates by the logits of all its classes."""
        if task == "label" and self.decision is not None:
            return self.decision.probabilities(logits.numpy())
        values = logits.numpy() / self.temperatures.get(task, 1.0)
        return softmax(values[:, self.columns] if task == "label" and self.columns is not None else values)

    def embed(self, pictures: PictureCache | None, fields: pd.DataFrame) -> dict[str, np.ndarray]:
        """As of Model."""
        from fusionclf.prediction.network_embeddings import embed_products

        return embed_products(self, pictures, fields)

    def vectors(self, pictures: PictureCache | None, fields: pd.DataFrame) -> Vectors:
        """What prototypes of a class are made of."""
        assert isinstance(self.model, StackedClassifier)
        source, rows = self.source(pictures, fields), np.arange(len(fields))
        features = predict_features(self.model.base, source, rows, self.process)
        with self.process.autocast(), torch.inference_mode():
            embeddings = torch.from_numpy(self.model.linear_text_model.embed(self.model.main_texts(fields)))
        there = source.has_picture if source.has_picture is not None else np.zeros(len(rows), bool)
        assert source.has_title is not None
        return Vectors(
            normalised(features), embeddings,
            torch.from_numpy(there), torch.from_numpy(source.has_title),
        )  # fmt: skip

    def source(self, pictures: PictureCache | None, fields: pd.DataFrame) -> ProductSource:
        """What the network reads of n products."""
        rows = np.arange(len(fields))
        shown = PictureTransform(pictures, self.settings.pictures.chosen) if pictures is not None else None
        there = None if pictures is None else pictures.readable(rows)
        features = None
        if there is not None and not there.any():
            # Features of missing pictures never count, so no network has to compute them.
            assert self.model.image is not None
            features = np.zeros((len(rows), self.model.image.dim), np.float32)
        elif there is not None:
            self.load_picture_network()
        prepared = None
        if self.reads_titles:
            with self.process.autocast(), torch.inference_mode():
                prepared = self.model.prepare_fields(fields)
        return ProductSource(shown, prepared, {}, features, has_picture=there, has_title=have_texts(fields))
