"""A catalog's pictures as the rows of its picture cache: their files, their products, and a hash of them all."""

import hashlib
import os
from collections.abc import Iterator
from itertools import islice

import numpy as np
import simplejpeg
from PIL import Image

from fusionclf.batches.stored import PictureCache
from fusionclf.catalog import Catalog, open_picture
from fusionclf.errors import PictureError

LAYOUT = 2  # raise when the layout of the files or the decoded pixels change


def picture_files(catalog: Catalog) -> Iterator[str | None]:
    """Each product's files, as an iterator: a list of a million paths would take half a gigabyte."""
    root = str(catalog.root)
    for name in _names(catalog):
        yield None if name is None else os.path.join(root, name)


def _names(catalog: Catalog) -> Iterator[str | None]:
    """As `picture_files`, below the catalog's root."""
    for row, name in enumerate(catalog.table["picture"]):
        yield name if isinstance(name, str) and name else None
        yield from catalog.further_pictures.get(row, ())


def picture_ids(catalog: Catalog) -> np.ndarray:
    """(P,) the id of each picture's product."""
    return catalog.table["id"].to_numpy(object)[catalog.picture_owners]


def has_picture(catalog: Catalog) -> np.ndarray:
    """(N,) whether each product names a picture."""
    return (catalog.table["picture"].fillna("") != "").to_numpy(bool)


def cache_key(catalog: Catalog, cover: tuple[int, int]) -> str:
    """A hash of the products and their files' names, sizes and times; a moved catalog keeps it.

    Args:
        catalog: the products.
        cover: height and width in pixels that a picture must cover after scaling down.
    """
    digest = hashlib.sha256(f"{LAYOUT} {cover} {Image.__version__} {simplejpeg.__version__}".encode())
    names = zip(picture_ids(catalog), _names(catalog), picture_files(catalog), strict=True)
    for product, name, path in names:
        digest.update(f"\n{product} {name!r} {_file_stat(path)}".encode())
    return digest.hexdigest()[:24]


def _file_stat(path: str | None) -> tuple[int, int] | None:
    """Size in bytes and time of change of a file; None where there is none."""
    try:
        stat = os.stat(path) if path is not None else None
    except OSError:
        return None
    return stat and (stat.st_size, stat.st_mtime_ns)


def unreadable_rows(catalog: Catalog, cache: PictureCache) -> np.ndarray:
    """(n,) rows of the pictures that could not be decoded."""
    named = has_picture(catalog)[catalog.picture_owners]
    return np.flatnonzero((cache.sizes.min(axis=1) == 0) & named)


def raise_unreadable(catalog: Catalog, rows: np.ndarray) -> None:
    """Raise PictureError where there are unreadable rows; it names the first ones."""
    if not len(rows):
        return
    reason = "cannot be decoded"
    try:
        open_picture(next(islice(picture_files(catalog), int(rows[0]), None)) or "")
    except PictureError as error:
        reason = str(error)
    ids = ", ".join(map(str, picture_ids(catalog)[rows[:5]]))
    raise PictureError(
        f"{len(rows)} unreadable picture(s), ids {ids}{', …' if len(rows) > 5 else ''}; the first: {reason}; "
        "fix them, or set pictures.unreadable=drop"
    )
