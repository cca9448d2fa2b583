"""Cells that name a product's pictures → paths: one pattern or several, one path a cell or a list."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from string import Formatter

from fusionclf.catalog.missing import is_missing
from fusionclf.config import CatalogConfig

MOST_PICTURES = 8  # of a product
MOST_PATHS = 1000  # of a product, and a pattern
SEPARATORS = ("|", ";", ",")  # usual ones, for the hint where none is set
BETWEEN_PATTERNS = re.compile(r",(?![^{}]*\})")
SUFFIX = re.compile(r"\.[A-Za-z0-9]{2,4}$")


class PicturePatterns:
    """The pictures that rows of a file name, by `catalog.picture` and `catalog.picture_separator`.

    Args:
        columns: the settings.

    >>> patterns = PicturePatterns(CatalogConfig(picture="a/{front},b/{more}", picture_separator="|"))
    >>> patterns.paths({"front": "1.jpg", "more": "2.jpg|3.jpg"})
    ['a/1.jpg', 'b/2.jpg', 'b/3.jpg']
    """

    def __init__(self, columns: CatalogConfig) -> None:
        self.id, self.separator = columns.id, columns.picture_separator
        self._patterns = [
            [(text, name) for text, name, _, _ in Formatter().parse(pattern)]
            for pattern in (split_patterns(columns.picture) if columns.picture is not None else ())
        ]

    def rows(self, cells: Mapping[str, Sequence[str]], count: int) -> Iterator[list[str]]:
        """The paths of each of `count` rows.

        Args:
            cells: column → its cell in each row.
        """
        for row in range(count):
            yield self.paths({name: column[row] for name, column in cells.items()})

    def paths(self, row: Mapping[str, str]) -> list[str]:
        """One row's paths, each once, in the order of the patterns; none where all cells are empty.

        Args:
            row: column → its cell.
        """
        found: dict[str, None] = {}
        for pieces in self._patterns:
            names = list(dict.fromkeys(name for _, name in pieces if name))
            items = [self._items(name, row[name]) for name in names]
            if not any(any(values) for values in items):
                continue
            for values in islice(product(*items), MOST_PATHS):
                cell = dict(zip(names, values, strict=True))
                found["".join(text + (cell[name] if name else "") for text, name in pieces)] = None
        return list(found)

    def _items(self, name: str, cell: str) -> list[str]:
        """The items of a cell; one, the cell as it is, where it is no list."""
        if name == self.id:
            return [cell]
        if (listed := _json_list(cell)) is None:
            if self.separator is None or self.separator not in cell:
                return [cell]
            listed = [item.strip() for item in cell.split(self.separator)]
        return [item for item in listed if not is_missing(item)] or [""]


def split_patterns(text: str) -> list[str]:
    """The patterns of `catalog.picture`: a comma divides two where both name a column.

    >>> split_patterns("a/{front}.jpg,b/{back}.jpg"), split_patterns("a/{id},1.jpg")
    (['a/{front}.jpg', 'b/{back}.jpg'], ['a/{id},1.jpg'])
    """
    parts = [part.strip() for part in BETWEEN_PATTERNS.split(text)]
    return parts if len(parts) > 1 and all("{" in part for part in parts) else [text]


def separator_in(path: str) -> str | None:
    """A usual separator that stands between several file names in a path; None where there is none.

    >>> separator_in("1.jpg; 2.jpg"), separator_in("a,b.jpg")
    (';', None)
    """
    for sign in SEPARATORS:
        names = [name.strip() for name in path.split(sign)]
        if len(names) > 1 and sum(SUFFIX.search(name) is not None for name in names) > 1:
            return sign
    return None


def _json_list(cell: str) -> list[str] | None:
    """The texts of a JSON list; None where the cell is none."""
    if not cell.lstrip().startswith("["):
        return None
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or not all(value is None or isinstance(value, str) for value in values):
        return None
    return [value.strip() for value in values if value is not None]
