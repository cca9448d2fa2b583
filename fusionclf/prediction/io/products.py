"""Pictures and titles from a caller → products with decoded pictures."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pandas as pd
from PIL import Image

from fusionclf.catalog import open_picture
from fusionclf.catalog.fields import Fields, field_table, have_texts
from fusionclf.catalog.missing import is_missing
from fusionclf.catalog.picture_cells import MOST_PICTURES
from fusionclf.catalog.picture_paths import is_url
from fusionclf.errors import PictureError, PredictionError, did_you_mean, quoted
from fusionclf.prediction.answers import InputStatus

if TYPE_CHECKING:
    from fusionclf.batches import PictureCache

Picture = str | Path | bytes | Image.Image  # a file, its content, or an opened picture
Pictures = Picture | tuple[Picture, ...] | None  # of a product: one, several, or none
Content = TypeVar("Content", covariant=True)


@dataclass(frozen=True)
class Product(Generic[Content]):
    """One product, as a person describes it.

    Attributes:
        images: its pictures: paths, or contents of files.
        title: its title.
        fields: name → cell of further texts and attributes.
    """

    images: Sequence[Content] = ()
    title: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, list[str]]:
        """Its further texts and attributes as columns of one row."""
        return {name: [cell] for name, cell in self.fields.items()}

    def __bool__(self) -> bool:
        return bool(self.images or self.fields) or self.title is not None


@dataclass(frozen=True)
class Products:
    """Products with decoded pictures.

    Attributes:
        pictures: of the products with a readable input; None for a model that reads none.
        fields: of the same products: the column `title`, and one for each further text and attribute.
        answerable: (n,) which products have a readable input.
        picture_status, title_status, reasons: of all n, as in Answers.
        unread: product → why one of its pictures cannot be read, where another one can.
    """

    pictures: "PictureCache | None"
    fields: pd.DataFrame
    answerable: np.ndarray
    picture_status: list[str]
    title_status: list[str]
    reasons: list[str]
    unread: dict[int, str] = field(default_factory=dict)

    @property
    def status(self) -> InputStatus:
        """Which inputs of all n products were used."""
        return InputStatus(self.picture_status, self.title_status, self.reasons)

    @property
    def picture_bytes(self) -> int:
        """Size of the decoded pictures."""
        return self.pictures.pixels.nbytes if self.pictures is not None else 0


def align_inputs(
    images: Sequence[Picture | Sequence[Picture] | None] | None,
    titles: Sequence[str | None] | None,
    further: Mapping[str, Sequence[Any]] | None = None,
    read: Fields = Fields(),  # noqa: B008  frozen
) -> tuple[list[Pictures], pd.DataFrame]:
    """Pictures and fields of the same products; where an input is None, every product lacks it.

    Args:
        images, titles: any sequence: lists, columns of a table, arrays. None, NaN, pandas.NA and words for a missing
            value, such as "NaN", are missing. An image may be a list of several.
        further: name → cells of a further text or an attribute.
        read: the further fields that the model reads; one that is not given is missing.

    Raises:
        PredictionError: all are None, their lengths differ, an element has another type, or a field has another name.
    """
    further = further or {}
    check_names(further, read)
    for name, values in (("images", images), ("titles", titles), *further.items()):
        if isinstance(values, str | Path | Image.Image):
            raise PredictionError(
                f"{name}: one {type(values).__name__}; give a list, such as [{quoted(str(values))}]"
            )
    given = {"images": images, "titles": titles, **further}
    lengths = {name: len(values) for name, values in given.items() if values is not None}
    if not lengths:
        raise PredictionError("neither images nor titles are given; give one list or both")
    count = next(iter(lengths.values()))
    for name, length in lengths.items():
        if length != count:
            raise PredictionError(
                f"{count} {next(iter(lengths))} and {length} {name}; give both for every product, None for a missing "
                "one"
            )
    pictures: list[Pictures] = [None] * count
    if images is not None:
        pictures = [_pictures_of(place, image) for place, image in enumerate(images)]
    texts = [
        "" if title is None or is_missing(title) else title
        for title in ([None] * count if titles is None else titles)
    ]
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise PredictionError(
                f"product {place}: title {repr(text)[:60]} is not a text; give a str or None"
            )
    cells = {name: read.clean(name, further.get(name, [""] * count)) for name in read.names}
    return pictures, field_table(texts, cells)


def check_names(further: Iterable[str], read: Fields) -> None:
    """Raises PredictionError at the first name of a further field that the model does not read."""
    for name in further:
        if name not in read.names:
            raise PredictionError(
                f"fields: {quoted(name)} is not a field that this model reads; {did_you_mean(name, read.names)}"
            )


def _pictures_of(place: int, image: Any) -> Pictures:
    """What a caller gave as a product's image: one picture, several in a tuple, or None.

    Raises:
        PredictionError: it is of another type, or there are too many.
    """
    several = isinstance(image, list | tuple | np.ndarray)
    found = tuple(each for each in (image if several else [image]) if not is_missing(each))
    for each in found:
        if not isinstance(each, str | Path | bytes | Image.Image):
            raise PredictionError(
                f"product {place}: image is a {type(each).__name__}; give a path, a PIL image, the bytes of a file, a "
                "list of them or None"
            )
    if len(found) > MOST_PICTURES:
        raise PredictionError(f"product {place}: {len(found)} images; give at most {MOST_PICTURES}")
    return found if len(found) > 1 else found[0] if found else None


def read_products(
    images: Sequence[Pictures], fields: pd.DataFrame, cover: tuple[int, int] | None, reads_titles: bool
) -> Products:
    """Decode pictures and note missing inputs.

    Args:
        images: files or pictures of n products.
        fields: of the same products.
        cover: height and width in pixels that a decoded picture must cover; None for a model that reads none.
        reads_titles: whether the model reads titles, and the further fields.
    """
    count = len(fields)
    picture_status, faults, unread = ["ignored"] * count, dict[int, list[str]](), dict[int, str]()
    pictures = None
    if cover is not None:
        pictures, picture_status, reasons = _decode([_each(image) for image in images], cover)
        for place, reason in reasons.items():
            if picture_status[place] == "used":
                unread[place] = reason
            else:
                faults[place] = [reason]
    title_status = ["ignored"] * count
    if reads_titles:
        title_status = np.where(have_texts(fields), "used", "missing").tolist()
        for place, status in enumerate(title_status):
            if status != "used":
                faults.setdefault(place, []).append("no title")
    needs_nothing = cover is None and not reads_titles
    answerable = np.array(
        [needs_nothing or "used" in each for each in zip(picture_status, title_status, strict=True)], bool
    )
    reasons = [""] * count
    for place, why in faults.items():
        reasons[place] = "" if answerable[place] else "; ".join(why)
    return Products(
        pictures and pictures.chosen(np.flatnonzero(answerable)),
        fields.loc[answerable].reset_index(drop=True),
        answerable, picture_status, title_status, reasons, unread,
    )  # fmt: skip


def _decode(
    images: Sequence[Sequence[Picture | None]], cover: tuple[int, int]
) -> "tuple[PictureCache, list[str], dict[int, str]]":
    """The pictures of n products, each product's status, and product → why its first unread picture is not read."""
    flat = [image for own in images for image in own]
    there = [image if _is_picture(image) else None for image in flat]
    starts = np.cumsum([0, *map(len, images)])
    from fusionclf.batches import decode_pictures  # as torch, it takes long to import

    pictures = decode_pictures(there, cover, starts if len(flat) > len(images) else None)
    fine, status, reasons = pictures.sizes.min(axis=1) > 0, [], {}
    for place, (start, end) in enumerate(pairwise(starts.tolist())):
        exists = any(image is not None for image in there[start:end])
        status.append("used" if fine[start:end].any() else "unreadable" if exists else "missing")
        if not fine[start:end].all():
            reasons[place] = _fault(flat[start + int(fine[start:end].argmin())])
    return pictures, status, reasons


def raise_first_fault(products: Products, images: Sequence[Pictures], start: int) -> None:
    """Raises PredictionError at the first product with an unreadable picture or no readable input.

    `start` is the index of the first product.
    """
    for place, fine in enumerate(products.answerable):
        lost = images[place] is not None and products.picture_status[place] in ("missing", "unreadable")
        if lost or not fine or place in products.unread:
            reason = products.reasons[place] or products.unread.get(place) or _first_fault(images[place])
            raise PredictionError(f"product {start + place}: {reason}; fix it or leave it out")


def _first_fault(images: Pictures) -> str:
    """Why the first of a product's pictures cannot be read."""
    return _fault(_each(images)[0])


def _each(images: Pictures) -> Sequence[Picture | None]:
    """All pictures of a product, one at least, which may be None."""
    return (images or (None,)) if isinstance(images, tuple) else (images,)


def _is_picture(image: Picture | None) -> bool:
    """Whether it can be decoded: an opened picture, or a regular file (reading a pipe might never end) or its bytes."""
    if image is None or isinstance(image, Image.Image | bytes):
        return image is not None
    return not is_url(str(image)) and os.path.isfile(image)


def _fault(image: Picture | None) -> str:
    """Why a picture cannot be read."""
    if image is None:
        return "no picture"
    if isinstance(image, str) and is_url(image):
        return f"{quoted(image)}: a URL; download its picture, a catalog's by `fusionclf data fetch`"
    if not _is_picture(image):
        return f"{image}: no such picture"
    try:
        open_picture(image)
    except PictureError as error:
        return str(error)
    return f"{'picture' if isinstance(image, bytes) else image}: cannot be decoded"
