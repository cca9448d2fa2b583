"""Attribution by occlusion: each piece of the input is left out in turn; the drop of the probability is its share.

Occlusion needs no gradients, so it works for every model, also where words are hashed, looked up or compared with
names. Each drop is of one piece alone: two words with the same meaning replace each other, and both get a small drop.

Source: occlusion, Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014), section 4.1; leaving
words out, Li, Monroe and Jurafsky, Understanding Neural Networks through Representation Erasure (2016).
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from fusionclf.batches import decode_pictures
from fusionclf.batches.transforms import STATISTICS
from fusionclf.catalog.fields import TITLE
from fusionclf.catalog.titles import has_title
from fusionclf.errors import PredictionError, SettingsError, did_you_mean
from fusionclf.explanation.attribution import Explanation, Modality, Piece
from fusionclf.prediction.io.products import Picture, Pictures, align_inputs
from fusionclf.prediction.predictor import Predictor

CELLS, MOST_CELLS, MOST_PIECES = 8, 32, 64
BATCH = 32  # products with a piece left out that are predicted together
# Equals a missing picture for models that normalise pictures as ImageNet's; for others nearly so.
GREY = tuple(round(255 * channel) for channel in STATISTICS["imagenet"][0])


def explain(
    predictor: Predictor,
    image: Picture | Sequence[Picture] | None = None,
    title: str | None = None,
    fields: Mapping[str, Any] | None = None,
    *,
    label: str | None = None,
    cells: int = CELLS,
) -> Explanation:
    """As `fusionclf.explain`, which imports this module at its first call."""
    steps = explain_in_steps(predictor, image, title, fields, label, cells)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def explain_in_steps(
    predictor: Predictor,
    image: Picture | Sequence[Picture] | None,
    title: str | None,
    fields: Mapping[str, Any] | None = None,
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
    further = {name: [cell] for name, cell in (fields or {}).items()}
    whole = predictor.predict([image], [title], further, top_k=1)  # raises where an input cannot be read
    answer = predictor.classes[int(whole.order[0, 0])]  # of several labels the most likely, predicted or not
    _, product = align_inputs(None, [title], further, predictor.fields)
    pictures = _as_read(predictor, image)
    shown, drops = 0, ()
    if len(pictures) > 1:
        others = [pictures[:place] + pictures[place + 1 :] for place in range(len(pictures))]
        copies = _repeated(product, len(others) + 1)
        without = yield from _predict_in_batches(predictor, [pictures, *others], copies)
        column = without[:, predictor.classes.index(label or answer)]
        drops = tuple((column[0] - column[1:]).tolist())
        shown = int(np.argmax(drops))
    occlusions = _occlude(predictor, pictures, shown, product, cells)
    probabilities = yield from _predict_in_batches(predictor, occlusions.pictures, occlusions.fields)
    found = _explanation(occlusions, predictor.classes, probabilities, label or answer, answer)
    return replace(found, pictures=drops, shown=shown)


@dataclass(frozen=True)
class _Occlusions:
    """A product and its copies, each with one piece left out.

    Attributes:
        title, picture: of the whole product; of several pictures, the one whose cells are left out.
        spans: start and end of each piece of the title.
        boxes: (rows, columns, 4) cells of the picture.
        further: names of the further fields that the product has.
        fields, pictures: of the whole product; of its copies without each piece of the title and without each cell;
            of its copies without the picture, without the title, and without each further field.
    """

    title: str
    picture: Image.Image | None
    spans: list[tuple[int, int]]
    boxes: np.ndarray
    further: list[str]
    fields: pd.DataFrame
    pictures: list[Pictures]


def _occlude(
    predictor: Predictor, images: tuple[Image.Image, ...], shown: int, product: pd.DataFrame, cells: int
) -> _Occlusions:
    title = str(product[TITLE].iloc[0])
    picture = images[shown] if images else None
    whole = images or None
    spans = _spans(title) if predictor.reads_titles else []
    boxes = _boxes(picture, cells) if picture is not None else np.zeros((0, 0, 4), int)
    without_piece = [title[:start].rstrip() + title[end:] for start, end in spans]
    greyed: list[Pictures] = []
    if picture is not None:
        for box in boxes.reshape(-1, 4):
            greyed.append((*images[:shown], _greyed(picture, box), *images[shown + 1 :]))
    further = [name for name in predictor.fields.names if has_title(str(product[name].iloc[0]))]
    titles = [title, *without_piece, *[title] * len(greyed), title, "", *[title] * len(further)]
    fields = _repeated(product, len(titles)).assign(title=titles)
    for place, name in enumerate(further, start=len(titles) - len(further)):
        fields.loc[place, name] = ""
    pictures = [whole, *[whole] * len(without_piece), *greyed, None, whole, *[whole] * len(further)]
    return _Occlusions(title, picture, spans, boxes, further, fields, pictures)


def _repeated(product: pd.DataFrame, count: int) -> pd.DataFrame:
    """The fields of one product, so many times."""
    return product.loc[[0] * count].reset_index(drop=True)


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
    no_picture = first_cell + occlusions.boxes[..., 0].size
    if occlusions.picture is not None:
        modalities["picture"] = _modality(classes, probabilities[no_picture], drops[no_picture])
        cells = drops[first_cell:no_picture].reshape(occlusions.boxes.shape[:2])
    if words:
        modalities["title"] = _modality(classes, probabilities[no_picture + 1], drops[no_picture + 1])
    fields = {
        name: _modality(classes, probabilities[place], drops[place])
        for place, name in enumerate(occlusions.further, start=no_picture + 2)
    }
    return Explanation(
        label, float(probabilities[0, place]), answer, occlusions.title, words, cells, modalities,
        occlusions.picture, fields=fields,
    )  # fmt: skip


def _predict_in_batches(
    predictor: Predictor, pictures: Sequence[Pictures], fields: pd.DataFrame
) -> Generator[None, None, np.ndarray]:
    """(n, K) probabilities; NaN where there is no input to predict from."""
    batches = []
    for start in range(0, len(fields), BATCH):
        some = slice(start, start + BATCH)
        batches.append(predictor.probabilities(predictor.read(pictures[some], fields.iloc[some])))
        yield
    return np.concatenate(batches)


def _as_read(predictor: Predictor, image: Picture | Sequence[Picture] | None) -> tuple[Image.Image, ...]:
    """The decoded pictures, no larger than the model needs; none for a missing or unread one."""
    cover = predictor.model.cover
    images, _ = align_inputs([image], None)
    if images[0] is None or cover is None:
        return ()
    own = images[0] if isinstance(images[0], tuple) else (images[0],)
    decoded = decode_pictures(own, cover)
    return tuple(Image.fromarray(decoded.picture(place)) for place in range(len(own)))


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
