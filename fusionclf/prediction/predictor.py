"""The Predictor that `fusionclf.load` returns: predicts products with a run's model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd

from fusionclf.console import SILENT, Console
from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation import CategoryGraph, Thresholds, thresholds_of_run
from fusionclf.evaluation import decide as grade
from fusionclf.prediction.answers import Answers, DecisionRule, decide, join_answers
from fusionclf.prediction.column_values import ColumnValues
from fusionclf.prediction.embeddings import Embeddings, embeddings_of, join_embeddings, with_gaps
from fusionclf.prediction.io.products import (
    Picture,
    Pictures,
    Products,
    align_inputs,
    raise_first_fault,
    read_products,
)
from fusionclf.prediction.label_answers import decide_label_sets
from fusionclf.prediction.model import Model, check_one_label

if TYPE_CHECKING:
    from fusionclf.models.added_classes import AddedClass
    from fusionclf.prediction.network import NetworkModel

CHUNK, SMALLEST_CHUNK = 1024, 64  # products that are decoded and predicted together
CHUNK_BYTES = 48 * 10**6  # of their decoded pictures, at most
CHUNK_PAIRS = 2**19  # of a product and a class, at most; each has about 50 numbers


class Predictor:
    """A finished run's model, ready to predict.

    Args:
        model: network or baseline.
        part: of the split that it was trained on, or `joint`.
        paths: class name → category path.
        folder: the run folder; None if no target precision is used.
        ids: class name → its id in a taxonomy, of classes that have one.

    Attributes:
        classes: names of all classes that it predicts.
        reads_pictures, reads_titles: which inputs it reads. A product needs at least one of them.
        fields: names of the further texts and attributes that it reads. Each may be missing.
    """

    def __init__(
        self,
        model: Model,
        part: str,
        paths: Mapping[str, Sequence[str]],
        folder: Path | None = None,
        ids: Mapping[str, str] | None = None,
    ) -> None:
        self.model, self.part, self.paths, self.folder = model, part, dict(paths), folder
        self.ids = dict(ids or {})
        self._thresholds: dict[float, Thresholds] = {}
        self._graph: CategoryGraph | None = None
        self.classes = model.classes
        self.reads_pictures, self.reads_titles = model.cover is not None, model.reads_titles
        self.fields = model.fields

    def predict(
        self,
        images: Sequence[Picture | Sequence[Picture] | None] | None = None,
        titles: Sequence[str | None] | None = None,
        fields: Mapping[str, Sequence[Any]] | None = None,
        *,
        top_k: int = 5,
        min_probability: float | None = None,
        target_precision: float | None = None,
        errors: Literal["raise", "collect"] = "raise",
    ) -> Answers:
        """The most likely classes of each product.

        Args:
            images: files, their bytes, or opened pictures; a list for several of one product, None for none.
                A model that reads no pictures does not open them.
            titles: None or "" for none.
            fields: name → cells of further texts and attributes, by the names in the run's catalog; markup is removed.
            top_k: number of classes to return.
            min_probability: below it, the decision is "abstain"; None: 0.05, unless a target precision is given. With
                several labels per product: the threshold of all labels; None: the fitted threshold of each label.
            target_precision: guaranteed precision of accepted answers, such as 0.98, from the run's held-out
                predictions; other answers get "review" or "reject", and back off to a category if possible.
            errors: "raise" stops at the first product whose picture cannot be read or that has no input that the
                model reads; "collect" predicts by the title alone if the picture is unreadable, and gives a
                reason instead of an answer for a product without any readable input.

        Raises:
            PredictionError: neither images nor titles, unequal numbers of them, or a faulty product.
            SettingsError: `top_k`, `min_probability` or `target_precision` is out of its range, or the last cannot be
                guaranteed, or is given while the classes are restricted.

        >>> import fusionclf
        >>> answers = fusionclf.load("runs/linear").predict(titles=["Women Red Dress", ""], errors="collect")
        >>> answers.labels[0][0], answers.paths[0], answers.reasons[1]
        ('Dresses', ('Apparel', 'Dress'), 'no title')
        """
        rule = DecisionRule(top_k, min_probability, target_precision)
        read = self._read_all(images, titles, fields, errors)
        answers = join_answers([self.predict_products(products, rule) for products in read])
        self.keep_texts()
        return answers

    def embed(
        self,
        images: Sequence[Picture | Sequence[Picture] | None] | None = None,
        titles: Sequence[str | None] | None = None,
        fields: Mapping[str, Sequence[Any]] | None = None,
        *,
        errors: Literal["raise", "collect"] = "raise",
    ) -> Embeddings:
        """Embeddings and probabilities of all classes of each product; arguments as of `predict`.

        Raises:
            PredictionError: as of `predict`.
            RunError: the model reads no input.

        >>> import fusionclf
        >>> found = fusionclf.load("runs/linear").embed(titles=["Women Red Dress", "Women Red Dresses"])
        >>> found.joint.shape, bool(found.joint[0] @ found.joint[1] > 0.8)
        ((2, 512), True)
        """
        found = [self.embed_products(each) for each in self._read_all(images, titles, fields, errors)]
        self.keep_texts()
        return join_embeddings(found)

    def _read_all(self, images: Any, titles: Any, fields: Any, errors: str) -> Iterator[Products]:
        """Chunks of the products that a caller gave; arguments as of `predict`."""
        images, known = align_inputs(images, titles, fields, self.fields)
        self.warm_up(len(known))
        size = self.chunk_size
        for start in range(0, max(len(known), 1), size):
            chunk = slice(start, start + size)
            products = self.read(images[chunk], known.iloc[chunk])
            if errors == "raise":
                raise_first_fault(products, images[chunk], start)
            yield products

    def warm_up(self, count: int, threads: int | None = None, console: Console = SILENT) -> None:
        """As NetworkModel.warm_up; a baseline has no encoders."""
        self.model.warm_up(count, threads, console)

    def keep_texts(self) -> None:
        """As NetworkModel.keep_texts."""
        self.model.keep_texts()

    @property
    def width(self) -> int:
        """Number of classes that the model computes, whether they are candidates or not."""
        return len(self.model.every)

    @property
    def chunk_size(self) -> int:
        """Number of products that are predicted together: fewer for large pictures or thousands of classes."""
        most = CHUNK_PAIRS // max(self.width, 1)
        if self.model.cover is not None:
            from fusionclf.batches.cache import MOST_COVERS

            most = min(most, CHUNK_BYTES // (3 * MOST_COVERS * self.model.cover[0] * self.model.cover[1]))
        return min(CHUNK, max(SMALLEST_CHUNK, most))

    def add_classes(self, names: Sequence[str], *, only: bool = False) -> None:
        """Add classes without training rows, by their names, to this predictor only; the run folder does not change.

        Args:
            names: such as "Kite", or with its place in the category graph, "Toys > Outdoor > Kite". A class that the
                model has already stays as it is.
            only: predict only the named classes.

        Raises:
            RunError: the model's classes are fixed.
            PredictionError: a name is not valid.

        >>> import fusionclf
        >>> model = fusionclf.load("runs/open")
        >>> model.add_classes(["Toys > Kite"], only=False)
        >>> model.classes[-1]
        'Kite'
        """
        from fusionclf.prediction.class_names import (  # as torch, it takes long to import
            named_apart,
            parse_class,
        )

        known = self.open_network().every
        self.extend_classes(named_apart([parse_class(name, known=known) for name in names]), only=only)

    def extend_classes(self, wanted: "Sequence[AddedClass]", *, only: bool = False) -> None:
        """As `add_classes`, for parsed classes that may have examples."""
        network = self.open_network()
        named: dict[str, AddedClass] = {}
        for each in wanted:
            named.setdefault(each.name, each)  # of a repeated name, the first
        known = set(network.every)
        new = [each for name, each in named.items() if name not in known]
        network.add(new)
        self.paths |= {each.name: each.place for each in new}
        self.ids |= {each.name: each.id for each in named.values() if each.id}
        if only:
            network.keep_only(list(named))
        self.classes = network.classes

    def open_network(self) -> "NetworkModel":
        """The model, if it accepts new classes.

        Raises:
            RunError: its classes are fixed.
        """
        if not self.model.is_open:
            raise RunError(
                f"{self.folder or 'this model'}: cannot predict new classes; train fusion with an open vocabulary "
                "(--config fusion-frozen)"
            )
        return cast("NetworkModel", self.model)

    def read(self, images: Sequence[Pictures], fields: pd.DataFrame) -> Products:
        """Decode pictures and note missing inputs; may run on another thread than `predict_products`.

        Args:
            images: files, their bytes, or pictures of n products.
            fields: of the same products, as of `align_inputs`.
        """
        return read_products(images, fields, self.model.cover, self.reads_titles)

    def predict_products(self, products: Products, rule: DecisionRule) -> Answers:
        """The answers for decoded products, computed in one batch."""
        found = self.model.task_probabilities(products.pictures, products.fields)
        tasks = {task: with_gaps(values, products.answerable, np.float64) for task, values in found.items()}
        probabilities, graded = tasks.pop("label"), None
        if self.model.decision is not None:
            return decide_label_sets(probabilities, self.classes, self.model.decision, rule, products.status)
        if rule.target_precision is not None:
            graph = self._graph_of_all()
            graded = grade(graph, self.thresholds(rule.target_precision), probabilities, self.classes)
        answers = decide(probabilities, self.classes, self.paths, rule, products.status, graded, self.ids)
        further = {task: ColumnValues.of(self.model.tasks[task], values) for task, values in tasks.items()}
        return replace(answers, further=further) if further else answers

    def embed_products(self, products: Products, *, probabilities: bool = True) -> Embeddings:
        """Embeddings of decoded products, computed in one batch; class probabilities unless they are left out."""
        found = self.model.embed(products.pictures, products.fields)
        if not probabilities:
            del found["label"]
        return embeddings_of(found, self.classes, products)

    def thresholds(self, target: float) -> Thresholds:
        """The probabilities from which a class, and a category, is accepted at a target precision.

        A class that was added is never accepted: no held-out product shows how often it is right.

        Raises:
            RunError: the run has no held-out predictions.
            SettingsError: the target is out of its range or cannot be guaranteed, or the classes are restricted.
        """
        check_one_label(self.model, f"target_precision={target:g}")
        if self.model.columns is not None:
            raise SettingsError(
                f"target_precision={target:g}: needs all classes as candidates; remove it, or --only (only=True)"
            )
        if self.folder is None:
            raise RunError(
                "this model has no run folder with held-out predictions for thresholds; use fusionclf.load"
            )
        if target not in self._thresholds:
            self._thresholds[target] = thresholds_of_run(self.folder, self.part, target)
        return self._thresholds[target].without(self.added)

    @property
    def added(self) -> tuple[str, ...]:
        """The classes that were added to the trained ones."""
        return self.model.added

    def _graph_of_all(self) -> CategoryGraph:
        """The category graph with the classes that were added."""
        assert self.folder is not None or self._graph is not None
        if self._graph is None and self.folder is not None:
            self._graph = CategoryGraph.load(self.folder / "model" / "graph.json")
        assert self._graph is not None
        if not set(self.classes) <= set(self._graph.classes):
            self._graph = self._graph.with_classes({name: self.paths.get(name, ()) for name in self.classes})
        return self._graph

    def probabilities(self, products: Products) -> np.ndarray:
        """(n, K) probabilities of all classes; NaN for a product that has no readable input."""
        found = self.model.probabilities(products.pictures, products.fields)
        return with_gaps(found, products.answerable, np.float64)
