"""A file of products, or a folder of pictures → lots of products, in constant memory."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress, islice
from pathlib import Path
from string import Formatter
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from fusionclf.catalog.records import leads_out, pattern_fields
from fusionclf.catalog.rows import is_utf8, iterate_rows
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError, did_you_mean, near_path
from fusionclf.prediction.folder import PictureFolder

LONGEST_LINE = 2**20  # bytes of a line of JSON
Kind = Literal["csv", "parquet", "jsonl", "folder"]
KINDS: dict[str, Kind] = {
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """A row that cannot be answered.

    Attributes:
        place: such as "line 7".
        id: of the product, where it is known.
        reason: what is wrong.
    """

    place: str
    id: str
    reason: str


@dataclass(frozen=True)
class Lot:
    """Some products of a file, in its order.

    Attributes:
        number: of the lot, from 0.
        ids, titles, places: n texts each; a title is "" where there is none or none is read.
        pictures: n files, None where none is read.
        faults: rows that are no products.
    """

    number: int
    ids: list[str]
    titles: list[str]
    places: list[str]
    pictures: list[str | None]
    faults: list[Fault]


@dataclass
class _Part:
    """Rows of a file as texts by column, and the rows that could not be read."""

    places: list[str] = field(default_factory=list)
    cells: dict[str, list[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class ProductTable:
    """Products that are read lot by lot.

    Args:
        source: a CSV, Parquet or JSON lines file, or a folder of pictures.
        columns: where a file keeps what.
        pictures: folder below which a file's pictures are; default: the file's own.
        reads_pictures, reads_titles: what is needed of each product.

    Attributes:
        folder: the folder of pictures; None for a file.

    Raises:
        PredictionError: there is no such file, or it is of no known kind.
    """

    def __init__(
        self,
        source: Path,
        columns: CatalogConfig,
        *,
        pictures: Path | None = None,
        reads_pictures: bool = True,
        reads_titles: bool = True,
    ) -> None:
        self.source, self.columns, self.explicit_root = source, columns, pictures is not None
        self.kind = kind_of(source)
        self.root = os.path.abspath(source if self.kind == "folder" else pictures or source.parent)
        self.reads_pictures, self.reads_titles = reads_pictures, reads_titles
        if pictures is not None and not pictures.is_dir():
            raise PredictionError(f"--pictures {pictures}: no such folder{near_path(pictures)}")
        if self.kind == "folder" and not reads_pictures:
            raise PredictionError(
                f"{source}: a folder of pictures, which this run does not read; give a file"
            )
        self.folder = PictureFolder(source) if self.kind == "folder" else None
        self._pieces = list(Formatter().parse(columns.picture)) if reads_pictures else []
        wanted = [columns.id, *([columns.title] if reads_titles else [])]
        wanted += pattern_fields(columns.picture) if reads_pictures else []
        self.wanted = list(dict.fromkeys(wanted))

    def lots(self, size: int) -> Iterator[Lot]:
        """All products, `size` rows at a time.

        Raises:
            CatalogError, PredictionError: the file lacks a column, or cannot be read on.
        """
        readers = {"csv": self._csv, "parquet": self._parquet, "jsonl": self._json_lines}
        parts = self._folder(self.folder, size) if self.folder is not None else readers[self.kind](size)
        number = -1
        for number, part in enumerate(parts):
            yield self._lot(number, part)
        if number < 0:  # no product is an answer too
            yield Lot(0, [], [], [], [], [])

    def check(self) -> None:
        """Read the first rows: what cannot work shows before anything is written."""
        next(self.lots(1))

    @cached_property
    def count(self) -> int:
        """About how many products there are; an upper bound for text files and folders."""
        if self.folder is not None:
            return max(self.folder.count(), 1)
        if self.kind == "parquet":
            return _open_parquet(self.source).metadata.num_rows
        with self.source.open("rb") as stream:
            lines = sum(block.count(b"\n") for block in iter(lambda: stream.read(2**20), b""))
        return max(lines - (self.kind == "csv"), 1)

    def _lot(self, number: int, part: _Part) -> Lot:
        ids, count = part.cells[self.columns.id], len(part.places)
        has_titles = self.reads_titles and self.kind != "folder"
        titles = part.cells[self.columns.title] if has_titles else [""] * count
        looks = (
            [self._picture(part.cells, n) for n in range(count)]
            if self.reads_pictures
            else [(None, "")] * count
        )
        fine = [bool(product) and not reason for product, (_, reason) in zip(ids, looks, strict=True)]
        faults = list(part.faults)
        for place in [n for n in range(count) if not fine[n]]:
            reason = looks[place][1] if ids[place] else f"no {self.columns.id}"
            faults.append(Fault(part.places[place], ids[place], reason))
        places, pictures = part.places, [path for path, _ in looks]
        if not all(fine):
            ids, titles, places = (list(compress(texts, fine)) for texts in (ids, titles, places))
            pictures = list(compress(pictures, fine))
        return Lot(number, ids, titles, places, pictures, faults)

    def _picture(self, cells: Mapping[str, Sequence[str]], place: int) -> tuple[str | None, str]:
        """A product's file, and why it may not be opened, or ""."""
        if self.kind == "folder":
            return os.path.join(self.root, cells[self.columns.id][place]), ""
        path = "".join(text + (cells[name][place] if name else "") for text, name, _, _ in self._pieces)
        inside = not leads_out(path) and "\0" not in path
        if self.explicit_root and os.path.isabs(path) and ".." not in path.split(os.sep):
            inside = os.path.normpath(path).startswith(self.root + os.sep)
        if not inside:
            return None, f"the picture's path {path[:200]!r} leads out of {self.root}"
        return os.path.join(self.root, path), ""

    def _csv(self, size: int) -> Iterator[_Part]:
        for rows in iterate_rows(self.source, self.wanted, self.columns.title, size):
            faults = []
            for reason, texts in rows.dropped.items():
                for text in texts:
                    place, _, beginning = text.partition(": ")
                    faults.append(Fault(place, "", f"{reason}: {beginning}" if beginning else reason))
            cells = {name: rows.table[name].tolist() for name in self.wanted}
            yield _Part([f"line {line}" for line in rows.lines.tolist()], cells, faults)

    def _parquet(self, size: int) -> Iterator[_Part]:
        file = _open_parquet(self.source)
        self._check_columns(file.schema_arrow.names)
        done = 0
        try:
            for batch in file.iter_batches(size, columns=self.wanted):
                cells = {name: _texts(self.source, name, batch.column(name)) for name in self.wanted}
                yield _Part([f"row {done + n + 1}" for n in range(len(batch))], cells)
                done += len(batch)
        except (OSError, pa.ArrowException) as error:
            raise PredictionError(f"{self.source}: damaged after row {done} ({error}); mend it") from error

    def _json_lines(self, size: int) -> Iterator[_Part]:
        lines = _numbered_lines(self.source)
        first = True
        while some := list(islice(lines, size)):
            part = _Part(cells={name: [] for name in self.wanted})
            for number, raw in some:
                if not raw.strip():
                    continue
                found = self._json_cells(raw)
                if isinstance(found, str):
                    part.faults.append(Fault(f"line {number}", "", found))
                    continue
                if first:  # in later lines a missing key is an empty cell
                    self._check_columns(list(found))
                first = False
                part.places.append(f"line {number}")
                for name in self.wanted:
                    part.cells[name].append(found.get(name, ""))
            yield part

    def _json_cells(self, raw: bytes) -> dict[str, str] | str:
        """A line's values as texts, or what is wrong with it."""
        if len(raw) > LONGEST_LINE:
            return f"a line of more than {LONGEST_LINE:,} bytes"
        try:
            values = json.loads(raw)
        except (ValueError, RecursionError) as error:
            return f"not JSON ({' '.join(str(error).split())[:100]})"
        if not isinstance(values, dict):
            return f"holds a {type(values).__name__}, not an object"
        found = {}
        for name, value in values.items():
            if name in self.wanted and isinstance(value, dict | list):
                return f"{name} holds a {type(value).__name__}, not a text"
            found[name] = "" if value is None else str(value)
            if name in self.wanted and not (is_utf8(found[name]) and "\0" not in found[name]):
                return f"{name} holds what is no text"
        return found

    def _folder(self, folder: PictureFolder, size: int) -> Iterator[_Part]:
        names = folder.names()
        while some := list(islice(names, size)):
            good = [name for name in some if is_utf8(name)]
            faults = [
                Fault(ascii(name), "", "a name that is not UTF-8") for name in some if not is_utf8(name)
            ]
            yield _Part(good, {self.columns.id: good}, faults)

    def _check_columns(self, there: Sequence[str]) -> None:
        for name in self.wanted:
            if name not in there:
                hint = did_you_mean(name, there).replace("allowed:", "columns found:")
                raise PredictionError(
                    f"{self.source}: no column {name!r}; {hint} (settings catalog.* name the columns)"
                )


def kind_of(path: Path) -> Kind:
    """What a path holds, by its suffix.

    Raises:
        PredictionError: it is not there, or has another suffix.
    """
    if path.is_dir():
        return "folder"
    if not path.is_file():
        raise PredictionError(
            f"{path}: no such file or folder; give products to predict by --input{near_path(path)}"
        )
    return format_of(path)


def format_of(path: Path) -> Kind:
    """A file's format by its suffix; PredictionError where it is none that is read and written."""
    if path.suffix.lower() not in KINDS:
        raise PredictionError(f"{path}: of no known kind; give a file that ends in {', '.join(KINDS)}")
    return KINDS[path.suffix.lower()]


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:120]
        raise PredictionError(f"{path}: cannot be read as Parquet ({reason})") from error


def _texts(path: Path, name: str, column: Any) -> list[str]:
    try:
        texts = column.cast(pa.large_string())
    except pa.ArrowException as error:
        raise PredictionError(
            f"{path}: column {name!r} holds {column.type}; give a column of texts or numbers"
        ) from error
    return ["" if text is None else text for text in texts.to_pylist()]


def _numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines from 1 on; of one that is too long, one byte more than is allowed."""
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            rest = line
            while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
                rest = stream.readline(LONGEST_LINE + 1)
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
