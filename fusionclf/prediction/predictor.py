"""What `fusionclf.load` returns: asks a run's model about products."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from fusionclf.batches import PictureCache, decode_pictures
from fusionclf.catalog import open_picture
from fusionclf.errors import PictureError, PredictionError, RunError
from fusionclf.evaluation import CategoryGraph, Thresholds, thresholds_of_run
from fusionclf.evaluation import decide as grade
from fusionclf.models.classes import AddedClass
from fusionclf.prediction.answers import Answers, Rule, decide, join_answers
from fusionclf.prediction.explain import CELLS, Explanation, explain
from fusionclf.prediction.network import NetworkModel
from fusionclf.prediction.newclasses import parse_class

Picture = str | Path | Image.Image
LOT = 1024  # products that are decoded and answered together


class Model(Protocol):
    """What a run keeps, network or baseline."""

    classes: tuple[str, ...]
    cover: tuple[int, int] | None
    reads_titles: bool

    def probabilities(self, pictures: PictureCache | None, titles: list[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class Products:
    """Products whose pictures are decoded.

    Attributes:
        pictures: of the products that can be answered; None for a model that reads none.
        titles: theirs.
        answerable: (n,) which products can be answered.
        picture_status, title_status, reasons: of all n, as in Answers.
    """

    pictures: PictureCache | None
    titles: list[str]
    answerable: np.ndarray
    picture_status: list[str]
    title_status: list[str]
    reasons: list[str]


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
            SettingsError: `top_k` or `min_probability` is out of its range.

        >>> import fusionclf
        >>> answers = fusionclf.load("runs/linear").predict(titles=["Women Red Dress", ""], errors="collect")
        >>> answers.labels[0][0], answers.paths[0], answers.reasons[1]
        ('Dresses', ('Apparel', 'Dress'), 'no title')
        """
        rule = Rule(top_k, min_probability, target_precision)
        images, titles = _aligned(images, titles)
        lots = [slice(start, start + LOT) for start in range(0, max(len(titles), 1), LOT)]
        answers = []
        for lot in lots:
            products = self.read(images[lot], titles[lot])
            if errors == "raise":
                _refuse_faulty(products, images[lot], lot.start)
            answers.append(self.answer(products, rule))
        return join_answers(answers)

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
        self.take_in([parse_class(name) for name in names], only=only)

    def take_in(self, wanted: Sequence[AddedClass], *, only: bool = False) -> None:
        """As `add_classes`, with examples where there are any."""
        network = self.open_network()
        known = set(self.classes)
        network.add([new for new in wanted if new.name not in known])
        self.paths |= {new.name: new.place for new in wanted if new.name not in known}
        if only:
            network.keep_only([new.name for new in wanted])
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
        count = len(titles)
        picture_status, faults = ["ignored"] * count, dict[int, list[str]]()
        pictures = None
        if self.model.cover is not None:
            there = [image if _is_picture(image) else None for image in images]
            pictures = decode_pictures(there, self.model.cover)
            decoded = pictures.readable(np.arange(count))
            for place, image in enumerate(images):
                status = "used" if decoded[place] else "missing" if there[place] is None else "unreadable"
                picture_status[place] = status
                if status != "used":
                    faults[place] = [_fault(image)]
        title_status = ["ignored"] * count
        if self.reads_titles:
            title_status = ["used" if title.strip() else "missing" for title in titles]
            for place, status in enumerate(title_status):
                if status != "used":
                    faults.setdefault(place, []).append("no title")
        needs_nothing = not (self.reads_pictures or self.reads_titles)
        answerable = np.array(
            [needs_nothing or "used" in each for each in zip(picture_status, title_status, strict=True)], bool
        )
        reasons = [""] * count
        for place, why in faults.items():
            reasons[place] = "" if answerable[place] else "; ".join(why)
        return Products(
            pictures and _picked(pictures, np.flatnonzero(answerable)),
            list(compress(titles, answerable)),
            answerable, picture_status, title_status, reasons,
        )  # fmt: skip

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
            SettingsError: the target is out of its range.
        """
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

    def explain(
        self,
        image: Picture | None = None,
        title: str | None = None,
        *,
        label: str | None = None,
        cells: int = CELLS,
    ) -> Explanation:
        """What carried the answer about one product: cells of the picture, words, and picture and title as a whole.

        Args:
            image: a file or an opened picture.
            title: of the product.
            label: the class to explain; default: the most likely one.
            cells: along the longer side of the picture.

        Raises:
            PredictionError: the product cannot be answered, or `label` is no class of this model.
            SettingsError: `cells` is out of its range.

        >>> import fusionclf
        >>> explanation = fusionclf.load("runs/linear").explain(title="Women Red Dress")
        >>> max(explanation.words, key=lambda word: word.counted).text
        'Dress'
        """
        return explain(self, image, title, label=label, cells=cells)


def _aligned(
    images: Sequence[Picture | None] | None, titles: Sequence[str | None] | None
) -> tuple[list[Picture | None], list[str]]:
    """Both lists at the same length; what is not given is missing for every product."""
    for name, values in (("images", images), ("titles", titles)):
        if isinstance(values, str | Path | Image.Image):
            raise PredictionError(f"{name}: one {type(values).__name__}; give a list, such as [{values!r}]")
    if images is None and titles is None:
        raise PredictionError("neither images nor titles are given; give one list or both")
    if images is not None and titles is not None and len(images) != len(titles):
        raise PredictionError(
            f"{len(images)} images and {len(titles)} titles; give both for every product, None where there is none"
        )
    count = len(images if images is not None else titles or ())
    pictures: list[Picture | None] = [*images] if images is not None else [None] * count
    texts = [title if title is not None else "" for title in titles or [None] * count]
    for place, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        if not isinstance(text, str):
            raise PredictionError(f"product {place}: title {text!r} is no text; give a str or None")
        if picture is not None and not isinstance(picture, str | Path | Image.Image):
            raise PredictionError(
                f"product {place}: image is a {type(picture).__name__}; give a path, a PIL image or None"
            )
    return pictures, texts


def _refuse_faulty(products: Products, images: Sequence[Picture | None], start: int) -> None:
    for place, fine in enumerate(products.answerable):
        unread = images[place] is not None and products.picture_status[place] in ("missing", "unreadable")
        if unread or not fine:
            reason = products.reasons[place] or _fault(images[place])
            raise PredictionError(f"product {start + place}: {reason}; mend it or leave it out")


def _is_picture(image: Picture | None) -> bool:
    """Whether there is something to decode: a regular file, for a path may name a pipe that never ends."""
    return image is not None and (isinstance(image, Image.Image) or os.path.isfile(image))


def _fault(image: Picture | None) -> str:
    """Why a picture cannot be read."""
    if image is None:
        return "no picture"
    if not _is_picture(image):
        return f"{image}: no such picture"
    try:
        open_picture(image)
    except PictureError as error:
        return str(error)
    return f"{image}: cannot be decoded"


def _picked(pictures: PictureCache, rows: np.ndarray) -> PictureCache:
    """Some rows of a cache, without a copy of their pixels."""
    return PictureCache(pictures.pixels, pictures.offsets[rows], pictures.sizes[rows])
