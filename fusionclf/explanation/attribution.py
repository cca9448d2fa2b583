"""The result of an explanation: how much each part of the input contributed to one prediction."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fusionclf.files import json_text, locked_folder, replacing_all, sweep

DIGITS = 6
MEANING = {
    "probability": "of `label`, with the whole input",
    "words": "`counted`: by how much that probability falls when this piece of the title is left out; below 0 the "
    "piece favours another class",
    "pictures": "of a product with several: `counted`, by how much the probability falls without that picture",
    "shown": "which of them, from 0, `cells` are of: that with the largest drop",
    "cells": "rows of the picture, top down, each from left to right: by how much the probability falls when that "
    "cell is grey",
    "modalities": "`counted`: by how much it falls without the whole picture or the whole title; `label` and "
    "`probability`: the prediction then. null where no input is left to predict from",
    "fields": "the same for each further text and attribute of the product",
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
    """Picture, title or another field as a whole.

    Attributes:
        counted: by how much the probability falls without it; None where no input is left to predict from.
        label, probability: the prediction without it.
    """

    drop: float | None
    label: str | None
    probability: float | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "counted": _rounded(self.drop),
            "label": self.label,
            "probability": _rounded(self.probability),
        }


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
        picture: as the model reads it, before the crop; of several, that with the largest drop.
        pictures: by how much the probability falls without each picture of a product with several; else empty.
        shown: which of them `picture` and `cells` are of.
        fields: name → what is lost without it, of the further texts and attributes that the product has.
    """

    label: str
    probability: float
    answer: str
    title: str
    words: tuple[Piece, ...]
    cells: np.ndarray | None
    modalities: dict[str, Modality]
    picture: Image.Image | None
    pictures: tuple[float, ...] = ()
    shown: int = 0
    fields: dict[str, Modality] = field(default_factory=dict)

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
            "pictures": [{"counted": _rounded(drop)} for drop in self.pictures],
            "shown": self.shown,
            "modalities": {name: without.to_json() for name, without in self.modalities.items()},
            "fields": {name: without.to_json() for name, without in self.fields.items()},
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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
