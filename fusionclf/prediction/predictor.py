"""What `fusionclf.load` returns: asks a run's model about products."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from fusionclf.batches import PictureCache
from fusionclf.batches.cache import MOST_COVERS
from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation import CategoryGraph, Thresholds, thresholds_of_run
from fusionclf.evaluation import decide as grade
from fusionclf.models.open_vocabulary.added_classes import AddedClass
from fusionclf.prediction.answers import Answers, Rule, decide, join_answers
from fusionclf.prediction.class_names import parse_class
from fusionclf.prediction.io.products import Picture, Products, aligned, read_products, refuse_faulty
from fusionclf.prediction.network import NetworkModel

LOT, LEAST_LOT = 1024, 64  # products that are decoded and answered together
LOT_BYTES = 48 * 10**6  # of their pictures, where all are as long as can be


class Model(Protocol):
    """What a run keeps, network or baseline."""

    classes: tuple[str, ...]
    cover: tuple[int, int] | None
    reads_titles: bool

    def probabilities(self, pictures: PictureCache | None, titles: list[str]) -> np.ndarray: ...


class Predictor:
    """A finished run's model, ready to be asked.

    Args:
        model: network or baseline.
        part: of the split that it was trained on, or `joint`.
        paths: class name → category path.
        folder: the run folder; None where answers are not graded.

    Attributes:
        classes: all names that it can answer.
        reads_pictures, reads_titles: what it looks at. A product needs one of these.
    """

    def __init__(
        self, model: Model, part: str, paths: Mapping[str, Sequence[str]], folder: Path | None = None
    ) -> None:
        self.model, self.part, self.paths, self.folder = model, part, dict(paths), folder
        self._thresholds: dict[float, Thresholds] = {}
        self._graph: CategoryGraph | None = None
        self.classes = model.classes
        self.reads_pictures, self.reads_titles = model.cover is not None, model.reads_titles

    def predict(
        self,
        images: Sequence[Picture | None] | None = None,
        titles: Sequence[str | None] | None = None,
        *,
        top_k: int = 5,
        min_probability: float = 0.0,
        target_precision: float | None = None,
        errors: Literal["raise", "collect"] = "raise",
    ) -> Answers:
        """The most likely classes of each product.

        Args:
            images: files or opened pictures, None for a product without one. A model that reads no pictures does not
                open them.
            titles: None or "" for a product without one.
            top_k: how many classes to name.
            min_probability: below it, the decision is "abstain".
            target_precision: accept only what is right in this share by the run's held-out answers, such as 0.98; else
                review or reject, and back off to a category.
            errors: "raise" stops at the first product whose picture cannot be read or that has nothing that the
                model reads; "collect" answers without an unreadable picture where there is a title to go by,
                and leaves the other product without an answer, with its reason.

        Raises:
            PredictionError: neither images nor titles, unequal numbers of them, or a faulty product.
            SettingsError: `top_k`, `min_probability` or `target_precision` is out of its range, or the last is asked of
                some classes alone.

        >>> import fusionclf
        >>> answers = fusionclf.load("runs/linear").predict(titles=["Women Red Dress", ""], errors="collect")
        >>> answers.labels[0][0], answers.paths[0], answers.reasons[1]
        ('Dresses', ('Apparel', 'Dress'), 'no title')
        """
        rule = Rule(top_k, min_probability, target_precision)
        images, titles = aligned(images, titles)
        size = self.picture_lot
        lots = [slice(start, start + size) for start in range(0, max(len(titles), 1), size)]
        answers = []
        for lot in lots:
            products = self.read(images[lot], titles[lot])
            if errors == "raise":
                refuse_faulty(products, images[lot], lot.start)
            answers.append(self.answer(products, rule))
        return join_answers(answers)

    @property
    def picture_lot(self) -> int:
        """How many products are decoded together: fewer for a model that is shown large pictures."""
        if self.model.cover is None:
            return LOT
        most = 3 * MOST_COVERS * self.model.cover[0] * self.model.cover[1]  # bytes
        return min(LOT, max(LEAST_LOT, LOT_BYTES // most))

    def add_classes(self, names: Sequence[str], *, only: bool = False) -> None:
        """Take in classes that the model never saw, by their names; not kept in the run.

        Args:
            names: such as "Kite", or with its place in the category graph, "Toys > Outdoor > Kite". A class that the
                model has already stays what it is.
            only: answer with the named classes alone.

        Raises:
            RunError: the model's vocabulary is closed.
            PredictionError: a name is none.

        >>> import fusionclf
        >>> model = fusionclf.load("runs/open")
        >>> model.add_classes(["Toys > Kite"], only=False)
        >>> model.classes[-1]
        'Kite'
        """
        known = self.open_network().every
        self.take_in([parse_class(name, known=known) for name in names], only=only)

    def take_in(self, wanted: Sequence[AddedClass], *, only: bool = False) -> None:
        """As `add_classes`, with examples where there are any."""
        network = self.open_network()
        named: dict[str, AddedClass] = {}
        for each in wanted:
            named.setdefault(each.name, each)  # of a name that stands there twice, the first
        new = [each for name, each in named.items() if name not in network.every]
        network.add(new)
        self.paths |= {each.name: each.place for each in new}
        if only:
            network.keep_only(list(named))
        self.classes = network.classes

    def open_network(self) -> NetworkModel:
        """The model, if it can name new classes.

        Raises:
            RunError: it cannot.
        """
        if not isinstance(self.model, NetworkModel) or not self.model.is_open:
            raise RunError("this run cannot name new classes; train fusion with model.vocabulary=open")
        return self.model

    def read(self, images: Sequence[Picture | None], titles: Sequence[str]) -> Products:
        """Decode pictures and see what is missing; may run on another thread than `answer`.

        Args:
            images: n files or pictures.
            titles: n titles.
        """
        return read_products(images, titles, self.model.cover, self.reads_titles)

    def answer(self, products: Products, rule: Rule) -> Answers:
        """Ask the model about all products at once."""
        probabilities = self.probabilities(products)
        graded = None
        if rule.target_precision is not None:
            graph = self._graph_of_all()
            graded = grade(graph, self.thresholds(rule.target_precision), probabilities, self.classes)
        return decide(
            probabilities, self.classes, self.paths, rule,
            products.picture_status, products.title_status, products.reasons, graded,
        )  # fmt: skip

    def thresholds(self, target: float) -> Thresholds:
        """From which probability a class is accepted, and a category answered, for a target precision.

        Raises:
            RunError: the run keeps no held-out answers.
            SettingsError: the target is out of its range, or some classes alone are asked for.
        """
        if isinstance(self.model, NetworkModel) and self.model.columns is not None:
            raise SettingsError(
                "a target precision holds where all classes are candidates; leave it out, or --only (only=True)"
            )
        if self.folder is None:
            raise RunError("no run folder, so no held-out answers to fit a threshold on; use fusionclf.load")
        if target not in self._thresholds:
            self._thresholds[target] = thresholds_of_run(self.folder, self.part, target)
        return self._thresholds[target]

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
        """(n, K) of all classes; NaN for a product that cannot be answered."""
        known = self.model.probabilities(products.pictures, products.titles).astype(np.float64, copy=False)
        if products.answerable.all():
            return known
        found = np.full((len(products.answerable), len(self.classes)), np.nan)
        found[products.answerable] = known
        return found
