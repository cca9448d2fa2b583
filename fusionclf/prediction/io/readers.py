"""A file of products, or a folder of pictures → chunks of products, in constant memory."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress, islice
from pathlib import Path
from typing import Literal

import pyarrow as pa

from fusionclf.catalog.missing import cell_text
from fusionclf.catalog.picture_paths import MissingPictures, pattern_fields
from fusionclf.catalog.rows import is_utf8, iterate_rows
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError, did_you_mean, near_path, quoted
from fusionclf.prediction.io.cells import LONGEST_LINE, json_texts, one_line, open_parquet, parquet_texts
from fusionclf.prediction.io.picture_folder import PictureFolder
from fusionclf.prediction.io.row_pictures import ChunkPictures, RowPictures

Kind = Literal["csv", "parquet", "jsonl", "folder"]
KINDS: dict[str, Kind] = {
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """A row that cannot be predicted.

    Attributes:
        place: such as "line 7".
        id: of the product, "" for an unknown one.
        reason: what is wrong.
    """

    place: str
    id: str
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Some products of a file, in its order.

    Attributes:
        number: index of the chunk, from 0.
        ids, titles, places: n texts each; a title is "" where it is missing or not read.
        pictures: n files, a tuple for a product with several; None where the picture is missing or not read.
        faults: rows that are no products.
        missing: products whose picture was not found.
        missing_further: pictures that were not found, of products that have another one.
        cut: products with more pictures than are read.
    """

    number: int
    ids: list[str]
    titles: list[str]
    places: list[str]
    pictures: list[str | tuple[str, ...] | None]
    faults: list[Fault]
    missing: MissingPictures = field(default_factory=MissingPictures)
    missing_further: MissingPictures = field(default_factory=MissingPictures)
    cut: int = 0


@dataclass
class _Rows:
    """Rows of a file as texts by column, and the rows that could not be read."""

    places: list[str] = field(default_factory=list)
    cells: dict[str, list[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class ProductTable:
    """Products of a file or folder, read chunk by chunk.

    Args:
        source: a CSV, Parquet or JSON lines file, or a folder of pictures.
        columns: names of the file's columns.
        pictures: folder below which the pictures of a file are; default: the folder of the file.
        reads_pictures, reads_titles: which inputs to read.

    Attributes:
        folder: the folder of pictures; None for a file.

    Raises:
        PredictionError: the file does not exist, or its format is unknown.
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
        self.source, self.columns = source, columns
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
        self._pictures = RowPictures(self.root, columns)
        wanted = [columns.id, *([columns.title] if reads_titles and columns.title else [])]
        wanted += pattern_fields(columns.picture) if reads_pictures else []
        self.wanted = list(dict.fromkeys(wanted))

    def chunks(self, size: int, is_mine: Callable[[int], bool] = lambda number: True) -> Iterator[Chunk]:
        """All products, `size` rows at a time.

        Args:
            size: rows of a chunk.
            is_mine: number of a chunk → whether to look for its pictures; default: for those of all chunks.

        Raises:
            CatalogError, PredictionError: the file lacks a column, or cannot be read on.
        """
        readers = {"csv": self._csv, "parquet": self._parquet, "jsonl": self._json_lines}
        all_rows = self._folder(self.folder, size) if self.folder is not None else readers[self.kind](size)
        number = -1
        for number, rows in enumerate(all_rows):
            yield self._chunk(number, rows, is_mine(number))
        if number < 0:  # an input without products gives an output without products
            yield Chunk(0, [], [], [], [], [])

    def check(self) -> None:
        """Read the first rows, so that errors show before anything is written."""
        next(self.chunks(1))

    @cached_property
    def count(self) -> int:
        """About the number of products; an upper bound for text files and folders."""
        if self.folder is not None:
            return max(self.folder.count(), 1)
        if self.kind == "parquet":
            return open_parquet(self.source).metadata.num_rows
        with self.source.open("rb") as stream:
            lines = sum(block.count(b"\n") for block in iter(lambda: stream.read(2**20), b""))
        return max(lines - (self.kind == "csv"), 1)

    def _chunk(self, number: int, rows: _Rows, find_pictures: bool) -> Chunk:
        ids, count = rows.cells[self.columns.id], len(rows.places)
        name = self.columns.title if self.reads_titles and self.kind != "folder" else None
        titles = rows.cells[name] if name else [""] * count
        paths, outside = self._paths(rows.cells, count)
        fine = [bool(product) and not reason for product, reason in zip(ids, outside, strict=True)]
        faults = list(rows.faults)
        for place in [n for n in range(count) if not fine[n]]:
            reason = outside[place] if ids[place] else f"no {self.columns.id}"
            faults.append(Fault(rows.places[place], ids[place], reason))
        places = rows.places
        if not all(fine):
            ids, titles, places = (list(compress(texts, fine)) for texts in (ids, titles, places))
            paths = list(compress(paths, fine))
        found = ChunkPictures([None] * len(ids))
        if self.kind == "folder":
            found = ChunkPictures([os.path.join(self.root, name) for name, *_ in paths])
        elif self.reads_pictures and find_pictures:
            found = self._pictures.find(paths)
        return Chunk(
            number, ids, titles, places, found.files, faults, found.missing, found.missing_further, found.cut
        )

    def _paths(self, cells: Mapping[str, Sequence[str]], count: int) -> tuple[list[list[str]], list[str]]:
        """Each product's paths below the root, and why they may not be opened ("" if they may)."""
        if not self.reads_pictures:
            return [[]] * count, [""] * count
        if self.kind == "folder":
            return [[name] for name in cells[self.columns.id]], [""] * count
        return self._pictures.paths(cells, count)

    def _csv(self, size: int) -> Iterator[_Rows]:
        for rows in iterate_rows(self.source, self.wanted, self.columns.title or "", size):
            faults = []
            for reason, texts in rows.dropped.items():
                for text in texts:
                    place, _, beginning = text.partition(": ")
                    faults.append(Fault(place, "", f"{reason}: {beginning}" if beginning else reason))
            cells = {name: [cell_text(cell) for cell in rows.table[name]] for name in self.wanted}
            yield _Rows([f"line {line}" for line in rows.lines.tolist()], cells, faults)

    def _parquet(self, size: int) -> Iterator[_Rows]:
        file = open_parquet(self.source)
        self._check_columns(file.schema_arrow.names)
        done = 0
        try:
            for batch in file.iter_batches(size, columns=self.wanted):
                cells = {name: parquet_texts(self.source, name, batch.column(name)) for name in self.wanted}
                yield _Rows([f"row {done + n + 1}" for n in range(len(batch))], cells)
                done += len(batch)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise PredictionError(
                f"{self.source}: damaged after row {done} ({one_line(error)}); replace the file"
            ) from error

    def _json_lines(self, size: int) -> Iterator[_Rows]:
        lines = _numbered_lines(self.source)
        first = True
        while some := list(islice(lines, size)):
            rows = _Rows(cells={name: [] for name in self.wanted})
            for number, raw in some:
                if not raw.strip():
                    continue
                found = json_texts(raw, self.wanted)
                if isinstance(found, str):
                    rows.faults.append(Fault(f"line {number}", "", found))
                    continue
                if first:  # in later lines a missing key is an empty cell
                    self._check_columns(list(found))
                first = False
                rows.places.append(f"line {number}")
                for name in self.wanted:
                    rows.cells[name].append(found.get(name, ""))
            yield rows

    def _folder(self, folder: PictureFolder, size: int) -> Iterator[_Rows]:
        names = folder.names()
        while some := list(islice(names, size)):
            good = [name for name in some if is_utf8(name)]
            faults = [
                Fault(ascii(name), "", "a name that is not UTF-8") for name in some if not is_utf8(name)
            ]
            yield _Rows(good, {self.columns.id: good}, faults)

    def _check_columns(self, there: Sequence[str]) -> None:
        for name in self.wanted:
            if name not in there:
                hint = did_you_mean(name, there).replace("allowed:", "columns found:")
                raise PredictionError(
                    f"{self.source}: no column {quoted(name)}; {hint} (settings catalog.* name the columns)"
                )


def kind_of(path: Path) -> Kind:
    """Kind of input at a path, by its suffix.

    Raises:
        PredictionError: it does not exist, or its suffix is unknown.
    """
    if path.is_dir():
        return "folder"
    if not path.is_file():
        raise PredictionError(
            f"{path}: no such file or folder; give products to predict by --input{near_path(path)}"
        )
    return format_of(path)


def format_of(path: Path) -> Kind:
    """A file's format by its suffix; raises PredictionError for an unknown one."""
    if path.suffix.lower() not in KINDS:
        raise PredictionError(f"{path}: unknown file format; give a name that ends in {', '.join(KINDS)}")
    return KINDS[path.suffix.lower()]


def _numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line); a line that is too long is cut to one byte more than allowed."""
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            rest = line
            while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
                rest = stream.readline(LONGEST_LINE + 1)
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
