"""Attribution by occlusion: each piece of the input is left out in turn; the drop of the probability is its share.

Occlusion needs no gradients, so it works for every model, also where words are hashed, looked up or compared with
names. Each drop is of one piece alone: two words with the same meaning replace each other, and both get a small drop.

Source: occlusion, Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014), section 4.1; leaving
words out, Li, Monroe and Jurafsky, Understanding Neural Networks through Representation Erasure (2016).
"""

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fusionclf.batches import decode_pictures
from fusionclf.batches.transforms import STATISTICS
from fusionclf.catalog.missing import is_missing
from fusionclf.errors import PredictionError, SettingsError, did_you_mean
from fusionclf.files import json_text, locked_folder, replacing_all, sweep
from fusionclf.prediction.io.products import Picture
from fusionclf.prediction.predictor import Predictor

CELLS, MOST_CELLS, MOST_PIECES = 8, 32, 64
BATCH = 32  # products with a piece left out that are predicted together
# Equals a missing picture for models that normalise pictures as ImageNet's; for others nearly so.
GREY = tuple(round(255 * channel) for channel in STATISTICS["imagenet"][0])
DIGITS = 6
MEANING = {
    "probability": "of `label`, with the whole input",
    "words": "`counted`: by how much that probability falls when this piece of the title is left out; below 0 the "
    "piece favours another class",
    "cells": "rows of the picture, top down, each from left to right: by how much the probability falls when that "
    "cell is grey",
    "modalities": "`counted`: by how much it falls without the whole picture or the whole title; `label` and "
    "`probability`: the prediction then. null where no input is left to predict from",
}


@dataclass(frozen=True)
class Piece:
    """A word of the title, or a few where it is long.

    Attributes:
        text: as in the title.
        start, end: its position there, in characters.
        counted: by how much the probability falls without it; None where no input is left to predict from.
    """

    text: str
    start: int
    end: int
    drop: float | None


@dataclass(frozen=True)
class Modality:
    """Picture or title as a whole.

    Attributes:
        counted: by how much the probability falls without it; None where no input is left to predict from.
        label, probability: the prediction without it.
    """

    drop: float | None
    label: str | None
    probability: float | None


@dataclass(frozen=True)
class Explanation:
    """How much each part of the input contributed to one prediction.

    Attributes:
        label, probability: the class that is explained, and its probability with the whole input.
        answer: the most likely class.
        title: as given; "" for a missing one.
        words: its pieces, in their order.
        cells: (rows, columns) by how much the probability falls when that cell of the picture is grey; None where no
            picture is read.
        modalities: "picture" and "title", those that were given and are read.
        picture: as the model reads it, before the crop.
    """

    label: str
    probability: float
    answer: str
    title: str
    words: tuple[Piece, ...]
    cells: np.ndarray | None
    modalities: dict[str, Modality]
    picture: Image.Image | None

    def to_json(self) -> dict[str, Any]:
        """All but the picture, as JSON values."""
        return {
            "label": self.label,
            "probability": _rounded(self.probability),
            "answer": self.answer,
            "title": self.title,
            "words": [
                {"text": word.text, "start": word.start, "end": word.end, "counted": _rounded(word.drop)}
                for word in self.words
            ],
            "cells": None if self.cells is None else np.round(self.cells, DIGITS).tolist(),
            "modalities": {
                name: {
                    "counted": _rounded(without.drop),
                    "label": without.label,
                    "probability": _rounded(without.probability),
                }
                for name, without in self.modalities.items()
            },
            "meaning": MEANING,
        }

    def draw(self) -> Image.Image:
        """The explanation as a picture."""
        from fusionclf.explanation.figure import draw

        return draw(self)

    def save(self, folder: str | Path) -> None:
        """Write explanation.json and explanation.png.

        Raises:
            RunError: another command writes to the folder, or it cannot be written.
        """
        files = [Path(folder) / name for name in ("explanation.png", "explanation.json")]
        with locked_folder(Path(folder)):
            sweep(*files)
            with replacing_all(*files) as (picture, text):
                self.draw().save(picture, "PNG")
                text.write_text(json_text(self.to_json()), encoding="utf-8")


def explain(
    predictor: Predictor,
    image: Picture | None = None,
    title: str | None = None,
    *,
    label: str | None = None,
    cells: int = CELLS,
) -> Explanation:
    """How much cells of the picture, words, and picture and title as a whole contributed to one prediction.

    Args:
        predictor: a finished run's model, from `fusionclf.load`.
        image: a file or an opened picture.
        title: of the product.
        label: the class to explain; default: the most likely one.
        cells: number of cells along the longer side of the picture.

    Raises:
        PredictionError: the product has no readable input, or `label` is no class of this model.
        SettingsError: `cells` is out of its range.

    >>> import fusionclf
    >>> from fusionclf.explanation import explain
    >>> explanation = explain(fusionclf.load("runs/linear"), title="Women Red Dress")
    >>> max(explanation.words, key=lambda word: word.drop).text
    'Dress'
    """
    steps = explain_in_steps(predictor, image, title, label=label, cells=cells)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def explain_in_steps(
    predictor: Predictor,
    image: Picture | None = None,
    title: str | None = None,
    *,
    label: str | None = None,
    cells: int = CELLS,
) -> Generator[None, None, Explanation]:
    """As `explain`; yields after each batch, so that the caller can do other work first."""
    if not 1 <= cells <= MOST_CELLS:
        raise SettingsError(f"cells={cells}: give a whole number from 1 to {MOST_CELLS}")
    if label is not None and label not in predictor.classes:
        raise PredictionError(
            f"label {label!r}: not a class of this model; {did_you_mean(label, predictor.classes)}"
        )
    whole = predictor.predict([image], [title], top_k=1)  # raises where an input cannot be read
    occlusions = _occlude(predictor, image, title, cells)
    probabilities = yield from _predict_in_batches(predictor, occlusions.pictures, occlusions.titles)
    answer = whole.labels[0][0]
    return _explanation(occlusions, predictor.classes, probabilities, label or answer, answer)


@dataclass(frozen=True)
class _Occlusions:
    """A product and its copies, each with one piece left out.

    Attributes:
        title, picture: of the whole product.
        spans: start and end of each piece of the title.
        boxes: (rows, columns, 4) cells of the picture.
        titles, pictures: of the whole product; of its copies without each piece of the title and without each cell;
            of its copies without the picture and without the title.
    """

    title: str
    picture: Image.Image | None
    spans: list[tuple[int, int]]
    boxes: np.ndarray
    titles: list[str]
    pictures: list[Image.Image | None]


def _occlude(predictor: Predictor, image: Picture | None, title: str | None, cells: int) -> _Occlusions:
    picture = _as_read(predictor, image)
    title = "" if title is None or is_missing(title) else title
    spans = _spans(title) if predictor.reads_titles else []
    boxes = _boxes(picture, cells) if picture is not None else np.zeros((0, 0, 4), int)
    without_piece = [title[:start].rstrip() + title[end:] for start, end in spans]
    greyed = [_greyed(picture, box) for box in boxes.reshape(-1, 4)] if picture is not None else []
    titles = [title, *without_piece, *[title] * len(greyed), title, ""]
    pictures = [picture, *[picture] * len(without_piece), *greyed, None, picture]
    return _Occlusions(title, picture, spans, boxes, titles, pictures)


def _explanation(
    occlusions: _Occlusions, classes: Sequence[str], probabilities: np.ndarray, label: str, answer: str
) -> Explanation:
    """The drops of the probability of `label`, from (n, K) probabilities of all copies."""
    place, first_cell = classes.index(label), 1 + len(occlusions.spans)
    drops = probabilities[0, place] - probabilities[:, place]  # (n,)
    words = tuple(
        Piece(occlusions.title[start:end], start, end, _number(drop))
        for (start, end), drop in zip(occlusions.spans, drops[1:first_cell], strict=True)
    )
    modalities, cells = {}, None
    if occlusions.picture is not None:
        modalities["picture"] = _modality(classes, probabilities[-2], drops[-2])
        cells = drops[first_cell:-2].reshape(occlusions.boxes.shape[:2])
    if words:
        modalities["title"] = _modality(classes, probabilities[-1], drops[-1])
    return Explanation(
        label, float(probabilities[0, place]), answer, occlusions.title, words, cells, modalities,
        occlusions.picture,
    )  # fmt: skip


def _predict_in_batches(
    predictor: Predictor, pictures: Sequence[Image.Image | None], titles: Sequence[str]
) -> Generator[None, None, np.ndarray]:
    """(n, K) probabilities; NaN where there is no input to predict from."""
    batches = []
    for start in range(0, len(titles), BATCH):
        some = slice(start, start + BATCH)
        batches.append(predictor.probabilities(predictor.read(pictures[some], titles[some])))
        yield
    return np.concatenate(batches)


def _as_read(predictor: Predictor, image: Picture | None) -> Image.Image | None:
    """The decoded picture, no larger than the model needs; None for a missing or unread one."""
    cover = predictor.model.cover
    if image is None or cover is None:
        return None
    return Image.fromarray(decode_pictures([image], cover).picture(0))


def _spans(title: str) -> list[tuple[int, int]]:
    """Start and end of each word; of runs of words where there are more than MOST_PIECES."""
    words = [match.span() for match in re.finditer(r"\S+", title)]
    runs = [
        run
        for run in np.array_split(np.array(words).reshape(-1, 2), min(len(words), MOST_PIECES) or 1)
        if len(run)
    ]
    return [(int(run[0, 0]), int(run[-1, 1])) for run in runs]


def _boxes(picture: Image.Image, cells: int) -> np.ndarray:
    """(rows, columns, 4) left, top, right, bottom of nearly square cells, `cells` along the longer side."""
    width, height = picture.size
    rows, columns = (min(n, max(1, round(cells * n / max(width, height)))) for n in (height, width))
    ys, xs = (np.linspace(0, n, k + 1).round().astype(int) for n, k in ((height, rows), (width, columns)))
    boxes = [[(xs[c], ys[r], xs[c + 1], ys[r + 1]) for c in range(columns)] for r in range(rows)]
    return np.array(boxes)


def _greyed(picture: Image.Image, box: np.ndarray) -> Image.Image:
    left, top, right, bottom = box.tolist()
    greyed = picture.copy()
    greyed.paste(GREY, (left, top, right, bottom))
    return greyed


def _modality(classes: Sequence[str], probabilities: np.ndarray, drop: float) -> Modality:
    if np.isnan(probabilities[0]):
        return Modality(None, None, None)
    best = int(probabilities.argmax())
    return Modality(float(drop), classes[best], float(probabilities[best]))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
