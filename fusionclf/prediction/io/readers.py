"""A file of products, or a folder of pictures → lots of products, in constant memory."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress, islice
from pathlib import Path
from string import Formatter
from typing import Literal

import pyarrow as pa

from fusionclf.catalog.counted_examples import EXAMPLES
from fusionclf.catalog.missing import cell_text
from fusionclf.catalog.picture_paths import MissingPictures, PictureFinder, pattern_fields
from fusionclf.catalog.rows import is_utf8, iterate_rows
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError, did_you_mean, near_path, quoted
from fusionclf.prediction.io.cells import LONGEST_LINE, json_texts, one_line, open_parquet, parquet_texts
from fusionclf.prediction.io.picture_folder import PictureFolder

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
        pictures: n files, None where none is given or read.
        faults: rows that are no products.
        missing: products whose picture was looked for and is not there.
    """

    number: int
    ids: list[str]
    titles: list[str]
    places: list[str]
    pictures: list[str | None]
    faults: list[Fault]
    missing: MissingPictures = field(default_factory=MissingPictures)


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
        PredictionError: there is no such file, or it is of no known format.
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
        self._finder, self._shown = PictureFinder(self.root), 0
        self._pieces = list(Formatter().parse(columns.picture)) if reads_pictures else []
        wanted = [columns.id, *([columns.title] if reads_titles else [])]
        wanted += pattern_fields(columns.picture) if reads_pictures else []
        self.wanted = list(dict.fromkeys(wanted))

    def lots(self, size: int, own: Callable[[int], bool] = lambda number: True) -> Iterator[Lot]:
        """All products, `size` rows at a time.

        Args:
            size: rows of a lot.
            own: of which lots, by number, pictures are looked for; default: of all.

        Raises:
            CatalogError, PredictionError: the file lacks a column, or cannot be read on.
        """
        readers = {"csv": self._csv, "parquet": self._parquet, "jsonl": self._json_lines}
        parts = self._folder(self.folder, size) if self.folder is not None else readers[self.kind](size)
        number = -1
        for number, part in enumerate(parts):
            yield self._lot(number, part, own(number))
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
            return open_parquet(self.source).metadata.num_rows
        with self.source.open("rb") as stream:
            lines = sum(block.count(b"\n") for block in iter(lambda: stream.read(2**20), b""))
        return max(lines - (self.kind == "csv"), 1)

    def _lot(self, number: int, part: _Part, own: bool) -> Lot:
        ids, count = part.cells[self.columns.id], len(part.places)
        has_titles = self.reads_titles and self.kind != "folder"
        titles = part.cells[self.columns.title] if has_titles else [""] * count
        paths, outside = self._paths(part.cells, count)
        fine = [bool(product) and not reason for product, reason in zip(ids, outside, strict=True)]
        faults = list(part.faults)
        for place in [n for n in range(count) if not fine[n]]:
            reason = outside[place] if ids[place] else f"no {self.columns.id}"
            faults.append(Fault(part.places[place], ids[place], reason))
        places = part.places
        if not all(fine):
            ids, titles, places, paths = (
                list(compress(texts, fine)) for texts in (ids, titles, places, paths)
            )
        missing = MissingPictures()
        pictures = [self._picture(path, missing if own else None) for path in paths]
        self._shown += len(missing.examples)
        return Lot(number, ids, titles, places, pictures, faults, missing)

    def _paths(self, cells: Mapping[str, Sequence[str]], count: int) -> tuple[list[str], list[str]]:
        """Each product's path below the root, "" where there is none, and why it may not be opened, or ""."""
        outside = [""] * count
        if not self.reads_pictures:
            return [""] * count, outside
        if self.kind == "folder":
            return list(cells[self.columns.id]), outside
        paths = []
        for n in range(count):
            given = any(cells[name][n] for _, name, _, _ in self._pieces if name)
            path = "".join(text + (cells[name][n] if name else "") for text, name, _, _ in self._pieces)
            below = self._finder.relative(path)
            if below is None:
                outside[n] = f"the picture's path {quoted(path)} leads out of {self.root}"
            paths.append(below if given and below else "")
        return paths, outside

    def _picture(self, path: str, missing: MissingPictures | None) -> str | None:
        """The file that a path means, looked for where `missing` is given, which then counts one that is not there."""
        if not self.reads_pictures:
            return None
        file = os.path.join(self.root, path) if path else None
        if missing is None or self.kind == "folder" or (file is not None and os.path.isfile(file)):
            return file
        if found := self._finder.find(path):
            return os.path.join(self.root, found)
        missing.add_path(self._finder if self._shown + len(missing.examples) < EXAMPLES else None, path)
        return file

    def _csv(self, size: int) -> Iterator[_Part]:
        for rows in iterate_rows(self.source, self.wanted, self.columns.title, size):
            faults = []
            for reason, texts in rows.dropped.items():
                for text in texts:
                    place, _, beginning = text.partition(": ")
                    faults.append(Fault(place, "", f"{reason}: {beginning}" if beginning else reason))
            cells = {name: [cell_text(cell) for cell in rows.table[name]] for name in self.wanted}
            yield _Part([f"line {line}" for line in rows.lines.tolist()], cells, faults)

    def _parquet(self, size: int) -> Iterator[_Part]:
        file = open_parquet(self.source)
        self._check_columns(file.schema_arrow.names)
        done = 0
        try:
            for batch in file.iter_batches(size, columns=self.wanted):
                cells = {name: parquet_texts(self.source, name, batch.column(name)) for name in self.wanted}
                yield _Part([f"row {done + n + 1}" for n in range(len(batch))], cells)
                done += len(batch)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise PredictionError(
                f"{self.source}: damaged after row {done} ({one_line(error)}); write it again"
            ) from error

    def _json_lines(self, size: int) -> Iterator[_Part]:
        lines = _numbered_lines(self.source)
        first = True
        while some := list(islice(lines, size)):
            part = _Part(cells={name: [] for name in self.wanted})
            for number, raw in some:
                if not raw.strip():
                    continue
                found = json_texts(raw, self.wanted)
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
                    f"{self.source}: no column {quoted(name)}; {hint} (settings catalog.* name the columns)"
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
        raise PredictionError(f"{path}: unknown file format; give a name that ends in {', '.join(KINDS)}")
    return KINDS[path.suffix.lower()]


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
