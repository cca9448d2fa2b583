"""What a product's inputs look like in numbers, so that other products can be compared with those of a run.

A profile is a table of one row a product. Its columns have a kind, a colon and a field: `missing:picture`,
`missing:title`, `unknown:title` (share of the words that no training product has; NaN without a text), and
`picture:brightness` and the like (NaN where the picture was not looked at, or cannot be read).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import mmh3
import numpy as np
import pandas as pd

from fusionclf.catalog.appearance import appearance
from fusionclf.catalog.decoding import decoded_picture
from fusionclf.catalog.fields import TITLE
from fusionclf.catalog.pictures import map_paths
from fusionclf.catalog.records import Catalog
from fusionclf.catalog.split_record import Split
from fusionclf.catalog.titles import has_title, split_words
from fusionclf.errors import PictureError

MISSING, UNKNOWN, PICTURE = "missing", "unknown", "picture"  # kinds of columns
PICTURE_COLUMNS = ("pixels", "shape", "brightness", "sharpness", "colourfulness")
ROWS, PICTURES, VOCABULARY_ROWS = 10_000, 1_000, 200_000  # products that are looked at, at most


def profile_catalog(catalog: Catalog, split: Split, *, pictures: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """The profile of a run's test products, with their column `id`, and the words of its training products.

    Args:
        catalog: the products; of more than ROWS test products, some drawn at random are looked at.
        split: their division.
        pictures: whether to look at pictures, too.

    Returns:
        The profile, and the words as of `known_words`.
    """
    names = (TITLE, *catalog.columns.text)
    known = known_words(catalog.fields.iloc[_drawn(split.rows(catalog, None, "train", "validation"),
                                                   VOCABULARY_ROWS)], names)  # fmt: skip
    rows = _drawn(split.rows(catalog, None, "test"), ROWS)
    paths = catalog.picture_paths(rows) if pictures else None
    found = profile_products(catalog.fields.iloc[rows], paths, known, names)
    found.insert(0, "id", catalog.table["id"].iloc[rows].to_numpy(object))
    return found, known


def profile_products(
    fields: pd.DataFrame, paths: Sequence[Path | None] | None, known: np.ndarray, texts: Sequence[str]
) -> pd.DataFrame:
    """The profile of n products.

    Args:
        fields: what is written about them.
        paths: their first pictures, None for a missing one; None where pictures do not count. At most PICTURES of
            them, evenly spaced, are looked at.
        known: words of training products, as of `known_words`.
        texts: the columns of `fields` that are texts.
    """
    columns: dict[str, np.ndarray] = {}
    for name in fields.columns:
        there = np.array([has_title(text) for text in fields[name]], bool)
        columns[f"{MISSING}:{name}"] = ~there
        if name in texts:
            columns[f"{UNKNOWN}:{name}"] = _unknown_shares(fields[name], known)
    if paths is not None:
        columns[f"{MISSING}:{PICTURE}"] = np.array([path is None for path in paths], bool)
        columns |= _picture_columns(paths)
    return pd.DataFrame(columns, index=range(len(fields)))


def known_words(fields: pd.DataFrame, texts: Sequence[str]) -> np.ndarray:
    """(W,) sorted hashes of 32 bits of all words of some columns."""
    words: set[str] = set()
    for name in texts:
        for text in fields[name]:
            words.update(split_words(text))
    return np.unique(_hashes(words))


def unknown_words(texts: Iterable[str], known: np.ndarray) -> list[str]:
    """The words of some texts that are not known, each as often as it occurs."""
    words = [word for text in texts for word in split_words(text)]
    return [word for word, there in zip(words, _are_known(words, known).tolist(), strict=True) if not there]


def _unknown_shares(texts: Iterable[str], known: np.ndarray) -> np.ndarray:
    """(n,) share of each text's words that are not known; NaN for one without words."""
    split = [split_words(text) for text in texts]
    counts = np.array([len(words) for words in split], np.int64)
    unknown = ~_are_known([word for words in split for word in words], known)
    owners = np.repeat(np.arange(len(split)), counts)
    with np.errstate(invalid="ignore"):
        return np.bincount(owners, unknown, len(split)) / np.where(counts, counts, np.nan)


def _are_known(words: Sequence[str], known: np.ndarray) -> np.ndarray:
    numbers: dict[str, int] = {}
    places = np.array([numbers.setdefault(word, len(numbers)) for word in words], np.int64)
    return np.isin(_hashes(numbers), known)[places]


def _hashes(words: Iterable[str]) -> np.ndarray:
    return np.array([mmh3.hash(word, signed=False) for word in words], np.uint32)


def _picture_columns(paths: Sequence[Path | None]) -> dict[str, np.ndarray]:
    there = np.array([place for place, path in enumerate(paths) if path is not None], np.int64)
    chosen = there[np.linspace(0, len(there) - 1, min(PICTURES, len(there))).astype(np.int64)]
    looked = map_paths([paths[place] for place in chosen], _look)
    values = np.full((len(paths), len(PICTURE_COLUMNS)), np.nan)
    if len(chosen):
        values[chosen] = looked
    return {f"{PICTURE}:{name}": values[:, n] for n, name in enumerate(PICTURE_COLUMNS)}


def _look(path: Path | None) -> tuple[float, ...]:
    """The PICTURE_COLUMNS of a picture; NaN where it cannot be read."""
    assert path is not None
    try:
        with decoded_picture(path) as decoded:
            (width, height), found = decoded.size, appearance(decoded.picture)
            return width * height, width / height, found.brightness, found.sharpness, found.colourfulness
    except PictureError:
        return (np.nan,) * len(PICTURE_COLUMNS)


def _drawn(rows: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` of some rows, drawn at random, the same each time; in their order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).permutation(rows)[:most])
