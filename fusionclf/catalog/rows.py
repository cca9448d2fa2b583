"""A catalog's CSV file → its cells as text, with a list of every row that was repaired or dropped."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
import pyarrow as pa

from fusionclf.errors import CatalogError, did_you_mean, quoted

CHUNK_ROWS = 65_536
LONGEST_CELL = 2**20  # characters; Python's own limit, 131,072, is below some product descriptions
EXCERPT = 40  # characters of a faulty row in a message


@dataclass
class Rows:
    """The cells of a CSV file.

    Attributes:
        table: the wanted columns as text; an empty cell is "".
        lines: the line of the file on which each row of `table` begins.
        repaired: positions in `table` of rows whose last column held unquoted commas.
        multiline: positions in `table` of rows with a line break in a quoted cell.
        dropped: reason → the dropped rows, each by its line and beginning.
    """

    table: pd.DataFrame
    lines: np.ndarray
    repaired: list[int] = field(default_factory=list)
    multiline: list[int] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)

    @property
    def rows_read(self) -> int:
        """Rows of the file without its header, dropped rows included."""
        return len(self.table) + sum(map(len, self.dropped.values()))


def read_rows(file: Path, wanted: list[str], last: str) -> Rows:
    """The wanted columns of a CSV file.

    Args:
        file: UTF-8, with or without a byte order mark, with a header row.
        wanted: columns to keep.
        last: where this is the file's last column, the surplus fields of a row are joined to it with commas.

    Raises:
        CatalogError: the file is empty or not UTF-8, lacks a wanted column, or holds a NUL character, or a quote
            that nothing closes.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            return _Reader(file, stream, wanted, last).read()
    except UnicodeDecodeError as error:
        place = f"byte {error.object[error.start]:#x}, {error.reason}"
        raise CatalogError(f"{file}: not a UTF-8 file ({place}); save it as UTF-8 CSV") from error
    except OSError as error:
        raise CatalogError(f"{file}: cannot be read ({error.strerror}); check its permissions") from error


def iterate_rows(file: Path, wanted: list[str], last: str, size: int) -> Iterator[Rows]:
    """As `read_rows`, in constant memory: `size` rows of the file at a time, dropped rows included.

    A row with a NUL character or bytes that are not UTF-8 is dropped, where `read_rows` refuses the file.

    Raises:
        CatalogError: the file is empty, lacks a wanted column, or holds a quote that nothing closes.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            reader = _Reader(file, stream, wanted, last, lenient=True)
            while not reader.ended:
                yield reader.read_some(size)
    except OSError as error:
        raise CatalogError(f"{file}: cannot be read ({error.strerror}); check its permissions") from error


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no lone surrogate, such as a byte of another encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Reader:
    def __init__(
        self, file: Path, stream: TextIO, wanted: list[str], last: str, lenient: bool = False
    ) -> None:
        self.file, self.lenient, self.ended = file, lenient, False
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))  # of the whole process: only raised
        self.reader = csv.reader(stream if lenient else self._without_nul(stream), strict=True)
        self.line = 1  # on which the current row begins
        self.header: list[str] = []
        self.header = self._header(wanted)
        self.wanted = [(name, self.header.index(name)) for name in wanted]
        self.repairable = self.header[-1] == last
        self.lines: list[int] = []
        self.rows = Rows(pd.DataFrame(), np.zeros(0, np.int64))

    def read(self) -> Rows:
        """All rows."""
        chunks = []
        while not self.ended:
            chunks.append(self._batch(self._chunk(CHUNK_ROWS)))
        return self._with_table(chunks)

    def read_some(self, size: int) -> Rows:
        """The next `size` rows, and the faults of these rows only."""
        self.lines, self.rows = [], Rows(pd.DataFrame(), np.zeros(0, np.int64))
        return self._with_table([self._batch(self._chunk(size))])

    def _batch(self, chunk: list[list[str]]) -> pa.RecordBatch:
        cells = {
            name: pa.array([row[place] for row in chunk], pa.large_string()) for name, place in self.wanted
        }
        return pa.RecordBatch.from_pydict(cells)

    def _with_table(self, chunks: list[pa.RecordBatch]) -> Rows:
        schema = pa.schema([(name, pa.large_string()) for name, _ in self.wanted])
        self.rows.table = pa.Table.from_batches(chunks, schema).to_pandas()
        self.rows.lines = np.array(self.lines, np.int64)
        return self.rows

    def _without_nul(self, stream: TextIO) -> Iterator[str]:
        for number, line in enumerate(stream, 1):
            if "\0" in line:
                raise CatalogError(f"{self.file}: line {number} holds a NUL character; save it as UTF-8 CSV")
            yield line

    def _header(self, wanted: list[str]) -> list[str]:
        header = self._next()
        while header is not None and len(header) < 2 and not "".join(header).strip():
            header = self._next()  # empty lines before it
        if header is None:
            raise CatalogError(f"{self.file}: is empty; a catalog needs a header row and products")
        for name in wanted:
            if name not in header:
                self._check_separator(header)
                hint = did_you_mean(name, header).replace("allowed:", "columns found:")
                raise CatalogError(
                    f"{self.file}: no column {quoted(name)}; {hint} (settings catalog.*, split.* and model.auxiliary "
                    "name the columns)"
                )
            if header.count(name) > 1:
                raise CatalogError(f"{self.file}: column {name!r} occurs twice; rename one")
        return header

    def _check_separator(self, header: list[str]) -> None:
        """Raise CatalogError where another sign than the comma separates the names of the header."""
        for sign, name in ((";", "semicolons"), ("\t", "tabs")):
            if len(header) == 1 and sign in header[0]:
                raise CatalogError(
                    f"{self.file}: its cells seem to be separated by {name}; save it as CSV with commas"
                )

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
                    f"{self.file}: {line}the header cannot be read ({reason}); fix its first line, with commas "
                    "between names"
                ) from error
            self._drop(reason, [])
            return []

    def _drop(self, reason: str, cells: list[str]) -> None:
        text = ",".join(cells)
        shown = f": {text[:EXCERPT]}" if text else ""
        self.rows.dropped.setdefault(reason, []).append(f"line {self.line}{shown}")

    def _chunk(self, size: int) -> list[list[str]]:
        """The usable rows among the next `size` rows."""
        chunk: list[list[str]] = []
        for _ in range(size):
            if (cells := self._next()) is None:
                self.ended = True
                break
            if len(cells) != len(self.header) and not (cells := self._repaired(cells)):
                continue
            if self.lenient and not self._is_text(cells):
                continue
            if self.reader.line_num > self.line:
                self.rows.multiline.append(len(self.lines))
            self.lines.append(self.line)
            chunk.append(cells)
        return chunk

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
            return [*cells[: width - 1], ",".join(cells[width - 1 :])]
        if cells:  # not an empty line, nor dropped already
            self._drop("too few fields" if len(cells) < width else "too many fields", cells)
        return []
