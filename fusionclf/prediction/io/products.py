"""Pictures and titles as a caller gives them → products whose pictures are decoded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from PIL import Image

from fusionclf.batches import PictureCache, decode_pictures
from fusionclf.catalog import open_picture
from fusionclf.catalog.missing import is_missing
from fusionclf.catalog.titles import has_title
from fusionclf.errors import PictureError, PredictionError, quoted

Picture = str | Path | Image.Image


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

    @property
    def picture_bytes(self) -> int:
        """Bytes of the decoded pictures."""
        return self.pictures.pixels.nbytes if self.pictures is not None else 0


def aligned(
    images: Sequence[Picture | None] | None, titles: Sequence[str | None] | None
) -> tuple[list[Picture | None], list[str]]:
    """Both as lists of the same length; what is not given is missing for every product.

    Args:
        images, titles: any sequence: lists, columns of a table, arrays. None, NaN, pandas.NA and texts that stand for a
            missing value are missing.

    Raises:
        PredictionError: neither is given, their lengths differ, or an element is of another kind.
    """
    for name, values in (("images", images), ("titles", titles)):
        if isinstance(values, str | Path | Image.Image):
            raise PredictionError(
                f"{name}: one {type(values).__name__}; give a list, such as [{quoted(str(values))}]"
            )
    if images is None and titles is None:
        raise PredictionError("neither images nor titles are given; give one list or both")
    if images is not None and titles is not None and len(images) != len(titles):
        raise PredictionError(
            f"{len(images)} images and {len(titles)} titles; give both for every product, None where there is none"
        )
    count = len(next(values for values in (images, titles) if values is not None))
    pictures: list[Picture | None] = [None] * count
    if images is not None:
        pictures = [None if is_missing(image) else image for image in images]
    given = [None] * count if titles is None else [*titles]
    texts = ["" if title is None or is_missing(title) else title for title in given]
    for place, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        if not isinstance(text, str):
            raise PredictionError(f"product {place}: title {repr(text)[:60]} is no text; give a str or None")
        if picture is not None and not isinstance(picture, str | Path | Image.Image):
            raise PredictionError(
                f"product {place}: image is a {type(picture).__name__}; give a path, a PIL image or None"
            )
    return pictures, texts


def read_products(
    images: Sequence[Picture | None], titles: Sequence[str], cover: tuple[int, int] | None, reads_titles: bool
) -> Products:
    """Decode pictures and see what is missing.

    Args:
        images: n files or pictures.
        titles: n titles.
        cover: height and width in pixels that a decoded picture must cover; None for a model that reads none.
        reads_titles: whether the model reads titles.
    """
    count = len(titles)
    picture_status, faults = ["ignored"] * count, dict[int, list[str]]()
    pictures = None
    if cover is not None:
        there = [image if _is_picture(image) else None for image in images]
        pictures = decode_pictures(there, cover)
        decoded = pictures.readable(np.arange(count))
        for place, image in enumerate(images):
            status = "used" if decoded[place] else "missing" if there[place] is None else "unreadable"
            picture_status[place] = status
            if status != "used":
                faults[place] = [_fault(image)]
    title_status = ["ignored"] * count
    if reads_titles:
        title_status = ["used" if has_title(title) else "missing" for title in titles]
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
        pictures and _picked(pictures, np.flatnonzero(answerable)),
        list(compress(titles, answerable)),
        answerable, picture_status, title_status, reasons,
    )  # fmt: skip


def refuse_faulty(products: Products, images: Sequence[Picture | None], start: int) -> None:
    """Stop at the first product that cannot be answered by all that was given; `start` is the first's place."""
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
