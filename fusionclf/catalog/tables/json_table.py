"""JSON lines: an object a line, whose keys are the columns."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TextIO

import numpy as np
import pandas as pd

from fusionclf.catalog.tables.rows import CHUNK_ROWS, Rows
from fusionclf.catalog.tables.streams import TextFile
from fusionclf.catalog.tables.table import Table
from fusionclf.catalog.tables.texts import is_utf8, value_text
from fusionclf.errors import CatalogError

LONGEST_LINE = 2**20  # characters
FIRST_LINES = 1000  # whose keys are the columns; all lines where a wanted column is not among them


class JsonTable(Table):
    """A file with a JSON object on each line.

    Args:
        text: the file.
        wanted: columns that the file should have.

    Raises:
        CatalogError: no line can be read.
    """

    def __init__(self, text: TextFile, wanted: Sequence[str]) -> None:
        self.text, self.path, self.encoding = text, text.path, text.encoding.name
        self.recognised = f"JSON lines, {text.encoding.shown}"
        self.columns = self._keys(FIRST_LINES)
        self._complete = False
        self._extend(wanted)

    def chunks(
        self,
        wanted: Sequence[str] | None = None,
        size: int = CHUNK_ROWS,
        *,
        last: str | None = None,
        lenient: bool = False,
    ) -> Iterator[Rows]:
        wanted = self.readable_columns() if wanted is None else wanted
        self.check_columns(wanted)
        with self.text.open(lenient=True, newline="\n") as stream:
            lines = _numbered(stream)
            rows, read = _rows(islice(lines, size), wanted)
            yield rows
            while read == size:
                rows, read = _rows(islice(lines, size), wanted)
                if read:
                    yield rows

    def count(self) -> int:
        return max(self.text.count_lines() + 1, 1)

    def readable_columns(self) -> list[str]:
        self._extend([""])
        return super().readable_columns()

    def lacking(self, wanted: Sequence[str]) -> list[str]:
        self._extend(wanted)
        return super().lacking(wanted)

    def _extend(self, wanted: Sequence[str]) -> None:
        """Look for columns in all lines where a wanted one is not in the first lines."""
        if not self._complete and any(name not in self.columns for name in wanted):
            self.columns, self._complete = self._keys(None), True

    def _keys(self, most: int | None) -> list[str]:
        keys: dict[str, None] = {}
        fault = ""
        with self.text.open(lenient=True, newline="\n") as stream:
            for number, line in islice(_numbered(stream), most):
                found = _object(line) if line.strip() else {}
                if isinstance(found, str):
                    fault = fault or f"line {number}: {found}"
                else:
                    keys.update(dict.fromkeys(found))
        if fault and not keys:
            raise CatalogError(f"{self.path}: {fault}; give a JSON object on each line")
        return list(keys)


def _numbered(stream: TextIO) -> Iterator[tuple[int, str]]:
    """(number from 1, line); a line that is too long is cut to one character more than allowed."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith("\n"):
            rest = stream.readline(LONGEST_LINE + 1)
        yield number, line


def _object(line: str) -> dict[str, Any] | str:
    """A line's object, or what is wrong with the line."""
    if len(line) > LONGEST_LINE:
        return f"a line of more than {LONGEST_LINE:,} characters"
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return "not JSON"
    return values if isinstance(values, dict) else f"holds a {type(values).__name__}, not an object"


def _rows(lines: Iterable[tuple[int, str]], wanted: Sequence[str]) -> tuple[Rows, int]:
    """The rows of some lines, and the number of these lines."""
    cells: dict[str, list[str]] = {name: [] for name in wanted}
    places: list[int] = []
    dropped: dict[str, list[str]] = {}
    read = 0
    for number, line in lines:
        read += 1
        if not line.strip():
            continue
        found = _object(line)
        texts = found if isinstance(found, str) else _texts(found, wanted)
        if isinstance(texts, str):
            dropped.setdefault(texts, []).append(f"line {number}")
            continue
        places.append(number)
        for name, text in zip(wanted, texts, strict=True):
            cells[name].append(text)
    return Rows(pd.DataFrame(cells, dtype="str"), np.array(places, np.int64), dropped=dropped), read


def _texts(values: dict[str, Any], wanted: Sequence[str]) -> list[str] | str:
    texts = [value_text(values.get(name)) for name in wanted]
    for name, text in zip(wanted, texts, strict=True):
        if "\0" in text or not is_utf8(text):
            return f"{name} is not valid text"
    return texts
