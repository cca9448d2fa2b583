"""What carried an answer: what is left out one piece at a time, and by how much the answer's probability then falls.

Leaving out needs no gradients, so it does for every model, also where words are hashed, looked up or compared with
names. Each figure is of one piece alone: two words that say the same thing cover for each other and both get little.

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
AT_ONCE = 32  # products with a piece left out that the model is asked about together
# What a missing picture is to models whose pictures are normalised as ImageNet's; to others it is nearly that.
GREY = tuple(round(255 * channel) for channel in STATISTICS["imagenet"][0])
DIGITS = 6
MEANING = {
    "probability": "of `label`, with all that was given",
    "words": "`counted`: by how much that probability falls when this piece of the title is left out; below 0 it spoke "
    "for another class",
    "cells": "rows of the picture, top down, each from left to right: by how much the probability falls when that "
    "cell is grey",
    "modalities": "`counted`: by how much it falls without the whole picture or the whole title; `label` and "
    "`probability`: what is answered then. null where nothing is left to answer by",
}


@dataclass(frozen=True)
class Piece:
    """A word of the title, or a few where it is long.

    Attributes:
        text: as in the title.
        start, end: where it stands there, in characters.
        counted: by how much the probability falls without it; None where nothing is left to answer by.
    """

    text: str
    start: int
    end: int
    counted: float | None


@dataclass(frozen=True)
class Modality:
    """Picture or title as a whole.

    Attributes:
        counted: by how much the probability falls without it; None where nothing is left to answer by.
        label, probability: what is answered without it.
    """

    counted: float | None
    label: str | None
    probability: float | None


@dataclass(frozen=True)
class Explanation:
    """What carried one answer.

    Attributes:
        label: the class that is explained; `probability` is what it gets.
        answer: the most likely class.
        title: as given; "" where there is none.
        words: its pieces, in their order.
        cells: (rows, columns) by how much the probability falls when that cell of the picture is grey; None where no
            picture is read.
        modalities: "picture" and "title", those that were given and are read.
        picture: as the model is shown it, before it is cut.
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
            "words": [vars(piece) | {"counted": _rounded(piece.counted)} for piece in self.words],
            "cells": None if self.cells is None else np.round(self.cells, DIGITS).tolist(),
            "modalities": {
                name: {
                    "counted": _rounded(said.counted),
                    "label": said.label,
                    "probability": _rounded(said.probability),
                }
                for name, said in self.modalities.items()
            },
            "meaning": MEANING,
        }

    def draw(self) -> Image.Image:
        """A picture of all of it."""
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
    """What carried the prediction for one product: cells of the picture, words, and picture and title as a whole.

    Args:
        predictor: a finished run's model, from `fusionclf.load`.
        image: a file or an opened picture.
        title: of the product.
        label: the class to explain; default: the most likely one.
        cells: along the longer side of the picture.

    Raises:
        PredictionError: the product cannot be answered, or `label` is no class of this model.
        SettingsError: `cells` is out of its range.

    >>> import fusionclf
    >>> from fusionclf.explanation import explain
    >>> explanation = explain(fusionclf.load("runs/linear"), title="Women Red Dress")
    >>> max(explanation.words, key=lambda word: word.counted).text
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
    """As `explain`; yields after each AT_ONCE products, so that other work can go first."""
    if not 1 <= cells <= MOST_CELLS:
        raise SettingsError(f"cells={cells}: give a whole number from 1 to {MOST_CELLS}")
    if label is not None and label not in predictor.classes:
        raise PredictionError(
            f"label {label!r}: not a class of this model; {did_you_mean(label, predictor.classes)}"
        )
    whole = predictor.predict([image], [title], top_k=1)  # refuses what cannot be read
    picture = _as_shown(predictor, image)
    title = "" if title is None or is_missing(title) else title
    pieces = _pieces(title) if predictor.reads_titles else []
    boxes = _boxes(picture, cells) if picture is not None else np.zeros((0, 0, 4), int)
    without_words = [title[:start].rstrip() + title[end:] for start, end in pieces]
    greyed = [_greyed(picture, box) for box in boxes.reshape(-1, 4)] if picture is not None else []
    # Both whole; each word and each cell left out; the picture and the title left out.
    titles = [title, *without_words, *[title] * len(greyed), title, ""]
    pictures = [picture, *[picture] * len(without_words), *greyed, None, picture]
    probabilities = yield from _ask(predictor, pictures, titles)  # (n, K)
    place = predictor.classes.index(label or whole.labels[0][0])
    falls = probabilities[0, place] - probabilities[:, place]
    first_cell = 1 + len(pieces)
    words = (
        Piece(title[start:end], start, end, _number(fall))
        for (start, end), fall in zip(pieces, falls[1:first_cell], strict=True)
    )
    modalities = {}
    if picture is not None:
        modalities["picture"] = _modality(predictor.classes, probabilities[-2], falls[-2])
    if pieces:
        modalities["title"] = _modality(predictor.classes, probabilities[-1], falls[-1])
    return Explanation(
        predictor.classes[place],
        float(probabilities[0, place]),
        whole.labels[0][0],
        title,
        tuple(words),
        falls[first_cell:-2].reshape(boxes.shape[:2]) if picture is not None else None,
        modalities,
        picture,
    )


def _ask(
    predictor: Predictor, pictures: Sequence[Image.Image | None], titles: Sequence[str]
) -> Generator[None, None, np.ndarray]:
    """(n, K) probabilities; NaN where there is nothing to answer by."""
    parts = []
    for start in range(0, len(titles), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        parts.append(predictor.probabilities(predictor.read(pictures[some], titles[some])))
        yield
    return np.concatenate(parts)


def _as_shown(predictor: Predictor, image: Picture | None) -> Image.Image | None:
    """The decoded picture, no larger than the model needs: the pieces left out are cut from what it sees."""
    cover = predictor.model.cover
    if image is None or cover is None:
        return None
    return Image.fromarray(decode_pictures([image], cover).picture(0))


def _pieces(title: str) -> list[tuple[int, int]]:
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


def _modality(classes: Sequence[str], probabilities: np.ndarray, fall: float) -> Modality:
    if np.isnan(probabilities[0]):
        return Modality(None, None, None)
    best = int(probabilities.argmax())
    return Modality(float(fall), classes[best], float(probabilities[best]))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
