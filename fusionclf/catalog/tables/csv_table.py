"""CSV files: rows with unquoted separators are repaired, other faulty rows are dropped and counted."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fusionclf.catalog.tables.delimiters import (
    DELIMITERS,
    PLURALS,
    SAMPLE_CHARACTERS,
    find_delimiter,
    given_sign,
)
from fusionclf.catalog.tables.rows import CHUNK_ROWS, LONGEST_CELL, Rows
from fusionclf.catalog.tables.streams import TextFile
from fusionclf.catalog.tables.table import Table
from fusionclf.catalog.tables.texts import is_utf8
from fusionclf.errors import CatalogError

EXCERPT = 40  # characters of a faulty row in a message
TOO_MANY = "too many fields"  # unless the last column takes them up


class CsvTable(Table):
    """A CSV file with a header row.

    Args:
        text: the file.
        delimiter: a name of DELIMITERS, or auto.
        wanted: columns that the file should have; they help to recognise the delimiter.

    Raises:
        CatalogError: the file is empty, its header cannot be read, or several delimiters fit.
    """

    def __init__(self, text: TextFile, delimiter: str, wanted: Sequence[str]) -> None:
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))  # of the whole process: only raised
        self.text, self.path, self.encoding = text, text.path, text.encoding.name
        if delimiter == "auto":
            delimiter = find_delimiter(self.path, text.head(SAMPLE_CHARACTERS), wanted)
        self.delimiter = delimiter
        with text.open(lenient=True) as stream:
            self.columns = _Reader(self.path, stream, DELIMITERS[delimiter]).header
        separated = f", {PLURALS[delimiter]}" if len(self.columns) > 1 else ", one column"
        self.recognised = f"CSV{separated}, {text.encoding.shown}"

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
        if self.text.encoding.fault and not lenient:
            raise CatalogError(
                f"{self.path}: {self.text.encoding.fault} is not UTF-8, other lines are; fix it, or set "
                "catalog.encoding"
            )
        with self.text.open(lenient=lenient) as stream:
            reader = _Reader(self.path, stream, DELIMITERS[self.delimiter or "comma"], lenient)
            reader.select(wanted, last)
            while not reader.ended:
                yield reader.read(size)

    def count(self) -> int:
        return max(self.text.count_lines() - 1, 1)

    def check_columns(self, wanted: Sequence[str]) -> None:
        lacks = self.lacking(wanted)
        for name, sign in DELIMITERS.items():
            if lacks and len(self.columns) == 1 and sign in self.columns[0]:
                raise CatalogError(
                    f"{self.path}: its cells seem to be separated by {PLURALS[name]}; set catalog.delimiter={name}"
                )
        super().check_columns(wanted)


class _Reader:
    def __init__(self, file: Path, stream: Iterable[str], sign: str, lenient: bool = True) -> None:
        self.file, self.lenient, self.sign, self.ended = file, lenient, sign, False
        lines = stream if lenient else self._without_nul(stream)
        self.reader = csv.reader(lines, delimiter=sign, strict=True)
        self.line = 1  # on which the current row begins
        self.header: list[str] = []
        self.header = self._header()
        self.wanted: list[tuple[str, int]] = []
        self.repairable = False
        self.begin()

    def select(self, wanted: Sequence[str], last: str | None) -> None:
        """Columns to read, and the last column where it may hold unquoted separators."""
        self.wanted = [(name, self.header.index(name)) for name in wanted]
        self.repairable = self.header[-1] == last

    def begin(self) -> None:
        """Forget the rows read so far."""
        self.lines: list[int] = []
        self.rows = Rows(pd.DataFrame(), np.zeros(0, np.int64))

    def read(self, size: int) -> Rows:
        """The next `size` rows, and the faults of these rows only."""
        self.begin()
        cells: list[list[str]] = [[] for _ in self.wanted]
        places = [place for _, place in self.wanted]
        for row in self._usable(size):
            for column, place in zip(cells, places, strict=True):
                column.append(row[place])
        named = {
            name: pa.array(column, pa.large_string())
            for (name, _), column in zip(self.wanted, cells, strict=True)
        }
        self.rows.table = pa.table(named).to_pandas()
        self.rows.lines = np.array(self.lines, np.int64)
        return self.rows

    def _without_nul(self, stream: Iterable[str]) -> Iterator[str]:
        for number, line in enumerate(stream, 1):
            if "\0" in line:
                raise CatalogError(f"{self.file}: line {number} holds a NUL character; save it as UTF-8 CSV")
            yield line

    def _header(self) -> list[str]:
        """The first row that names a column; a line such as sep=; does not."""
        header = self._next()
        while header is not None and (not "".join(header).strip() or given_sign(self.sign.join(header))):
            header = self._next()
        if header is None:
            raise CatalogError(f"{self.file}: is empty; a catalog needs a header row and products")
        return header

    def _next(self) -> list[str] | None:
        """The next row; [] for an empty line or a row with broken quotes or a huge cell, None at the end."""
        self.line = self.reader.line_num + 1
        try:
            return next(self.reader, None)
        except csv.Error as error:
            too_long = f"a cell of more than {csv.field_size_limit():,} characters"
            reason = too_long if "limit" in str(error) else "broken quotes"
            # A quote without an end swallows many rows: that is not one faulty row.
            if self.reader.line_num > self.line:
                why = too_long if reason == too_long else error
                start = f"{self.file}: the row that begins on line {self.line}"
                raise CatalogError(f"{start} has no end ({why}); close or remove its quotes") from error
            if not self.header:
                line = f"line {self.line}: " if self.line > 1 else ""
                raise CatalogError(
                    f"{self.file}: {line}the header cannot be read ({reason}); fix its first line, with "
                    f"{self._signs()} between names"
                ) from error
            self._drop(reason, [])
            return []

    def _signs(self) -> str:
        return next(PLURALS[name] for name, sign in DELIMITERS.items() if sign == self.sign)

    def _drop(self, reason: str, cells: list[str]) -> None:
        text = self.sign.join(cells)
        shown = f": {text[:EXCERPT]}" if text else ""
        self.rows.dropped.setdefault(reason, []).append(f"line {self.line}{shown}")

    def _usable(self, size: int) -> Iterator[list[str]]:
        """The usable rows among the next `size` rows."""
        for _ in range(size):
            if (cells := self._next()) is None:
                self.ended = True
                return
            if len(cells) != len(self.header) and not (cells := self._repaired(cells)):
                continue
            if self.lenient and not self._is_text(cells):
                continue
            if self.reader.line_num > self.line:
                self.rows.multiline.append(len(self.lines))
            self.lines.append(self.line)
            yield cells

    def _is_text(self, cells: list[str]) -> bool:
        joined = "".join(cells)
        if joined.isascii() and "\0" not in joined:
            return True
        joined = "".join(cells[place] for _, place in self.wanted)
        reason = (
            "a NUL character" if "\0" in joined else "" if is_utf8(joined) else "bytes that are not UTF-8"
        )
        if reason:
            self._drop(reason, [] if "UTF-8" in reason else cells)
        return not reason

    def _repaired(self, cells: list[str]) -> list[str]:
        """A row of another width with as many fields as the header; [] where it must be dropped."""
        width = len(self.header)
        if len(cells) > width and self.repairable:
            self.rows.repaired.append(len(self.lines))
            return [*cells[: width - 1], self.sign.join(cells[width - 1 :])]
        if cells:  # not an empty line, nor dropped already
            self._drop("too few fields" if len(cells) < width else TOO_MANY, cells)
        return []
