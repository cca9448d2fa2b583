"""A file of products, or a folder of pictures → chunks of products, in constant memory."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, compress, islice
from pathlib import Path

import pandas as pd

from fusionclf.catalog.fields import TITLE, Fields, read_fields
from fusionclf.catalog.missing import cell_text
from fusionclf.catalog.picture_paths import MissingPictures, pattern_fields
from fusionclf.catalog.tables import Rows, Table, is_utf8, open_table
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError, did_you_mean, near_name, near_path, quoted
from fusionclf.prediction.io.picture_folder import PictureFolder
from fusionclf.prediction.io.row_pictures import ChunkPictures, RowPictures


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
        ids, places: n texts each.
        fields: of the n products; "" where one is missing or not read.
        pictures: n files, a tuple for a product with several; None where the picture is missing or not read.
        faults: rows that are no products.
        missing: products whose picture was not found.
        missing_further: pictures that were not found, of products that have another one.
        cut: products with more pictures than are read.
    """

    number: int
    ids: list[str]
    fields: pd.DataFrame
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

    Where the file lacks the columns of one input, such as the title, that input is missing for every product.

    Args:
        source: a CSV, Parquet or JSON lines file, or a folder of pictures.
        columns: names of the file's columns.
        pictures: folder below which the pictures of a file are; default: the folder of the file.
        reads_pictures, reads_titles: which inputs to read.
        further: texts and attributes that the run reads besides the title; `columns` has the file's names of them.

    Attributes:
        folder: the folder of pictures; None for a file.
        notes: a line for each input whose columns the file lacks.

    Raises:
        CatalogError: the file cannot be read.
        PredictionError: it does not exist, or lacks the columns of every input.
    """

    def __init__(
        self,
        source: Path,
        columns: CatalogConfig,
        *,
        pictures: Path | None = None,
        reads_pictures: bool = True,
        reads_titles: bool = True,
        further: Fields = Fields(),  # noqa: B008  frozen
    ) -> None:
        self.source, self.columns = source, columns
        if not source.exists():
            raise PredictionError(
                f"{source}: no such file or folder; give products to predict by --input{near_path(source)}"
            )
        self.folder = PictureFolder(source) if source.is_dir() else None
        self.root = os.path.abspath(source if self.folder is not None else pictures or source.parent)
        self.reads_pictures, self.reads_titles = reads_pictures, reads_titles
        self.further = further if reads_titles else Fields()
        self._own = Fields.of(columns) if self.further else Fields()  # what the file calls them
        for setting, own, names in (
            ("text", self._own.text, self.further.text),
            ("attributes", self._own.attributes, self.further.attributes),
        ):
            if len(own) != len(names):
                raise PredictionError(
                    f"catalog.{setting} names {len(own)} columns; give one for each of {', '.join(names) or 'none'}, "
                    "in this order"
                )
        self.notes: list[str] = []
        if pictures is not None and not pictures.is_dir():
            raise PredictionError(f"--pictures {pictures}: no such folder{near_path(pictures)}")
        if self.folder is not None and not reads_pictures:
            raise PredictionError(
                f"{source}: a folder of pictures, which this run does not read; give a file"
            )
        self._pictures = RowPictures(self.root, columns)
        self._texts: list[str] = []  # columns of the title and further fields that the file has
        self._table = None if self.folder is not None else self._opened()

    def chunks(self, size: int, is_mine: Callable[[int], bool] = lambda number: True) -> Iterator[Chunk]:
        """All products, `size` rows at a time.

        Args:
            size: rows of a chunk.
            is_mine: number of a chunk → whether to look for its pictures; default: for those of all chunks.

        Raises:
            CatalogError, PredictionError: the file lacks a column, or cannot be read on.
        """
        if self._table is not None:
            all_rows = self._file(self._table, size)
        else:
            all_rows = self._listed(self.folder or PictureFolder(self.source), size)
        number = -1
        for number, rows in enumerate(all_rows):
            yield self._chunk(number, rows, is_mine(number))
        if number < 0:  # an input without products gives an output without products
            yield Chunk(0, [], self._fields({}, 0), [], [], [])

    def check(self) -> None:
        """Read the first rows, so that errors show before anything is written."""
        next(self.chunks(1))

    @cached_property
    def count(self) -> int:
        """About the number of products; an upper bound for text files and folders."""
        if self.folder is not None:
            return max(self.folder.count(), 1)
        return self._table.count() if self._table is not None else 0

    def _inputs(self) -> dict[str, list[str]]:
        """Each input that the run reads, as catalog.* names it, and its columns."""
        found = {}
        if self.reads_titles:
            found = {"title": [self.columns.title]} if self.columns.title else {}
            found |= {name: [name] for name in self._own.names}
        if not self.reads_pictures or self.columns.picture is None:
            return found
        return {**found, "picture": pattern_fields(self.columns.picture)}

    def _opened(self) -> Table:
        """The file, with its columns checked: an input whose columns it lacks is not read."""
        columns, inputs = self.columns, self._inputs()
        table = open_table(
            self.source, delimiter=columns.delimiter, encoding=columns.encoding,
            wanted=list(dict.fromkeys([columns.id, *chain(*inputs.values())])),
        )  # fmt: skip
        table.check_columns([columns.id])
        lacking = {name: found for name in inputs if (found := table.lacking(inputs[name]))}
        if lacking and len(lacking) == len(inputs):
            raise PredictionError(_no_input(table, lacking))
        self.notes = [_lack(table, name, missing) for name, missing in lacking.items()]
        there = {name: inputs[name] for name in inputs if name not in lacking}
        self.reads_pictures = "picture" in there
        self._texts = [column for name in there if name != "picture" for column in there[name]]
        self.wanted = list(dict.fromkeys([columns.id, *chain(*there.values())]))
        table.check_columns(self.wanted)  # none occurs twice
        return table

    def _chunk(self, number: int, rows: _Rows, find_pictures: bool) -> Chunk:
        ids, count = rows.cells[self.columns.id], len(rows.places)
        fields = self._fields(rows.cells, count)
        paths, outside = self._paths(rows.cells, count)
        fine = [bool(product) and not reason for product, reason in zip(ids, outside, strict=True)]
        faults = list(rows.faults)
        for place in [n for n in range(count) if not fine[n]]:
            reason = outside[place] if ids[place] else f"no {self.columns.id}"
            faults.append(Fault(rows.places[place], ids[place], reason))
        places = rows.places
        if not all(fine):
            ids, places = (list(compress(texts, fine)) for texts in (ids, places))
            fields = fields.loc[fine].reset_index(drop=True)
            paths = list(compress(paths, fine))
        found = ChunkPictures([None] * len(ids))
        if self.folder is not None:
            found = ChunkPictures([os.path.join(self.root, name) for name, *_ in paths])
        elif self.reads_pictures and find_pictures:
            found = self._pictures.find(paths)
        return Chunk(
            number, ids, fields, places, found.files, faults, found.missing, found.missing_further, found.cut
        )

    def _fields(self, cells: Mapping[str, Sequence[str]], count: int) -> pd.DataFrame:
        """What is written about `count` products."""
        there = {name: cells[name] for name in self._texts if name in cells}
        columns = self.columns.model_copy(update={"text": self._own.text, "attributes": self._own.attributes})
        found = read_fields(pd.DataFrame(there, index=range(count), dtype="str"), columns)
        return found.set_axis([TITLE, *self.further.names], axis=1)

    def _paths(self, cells: Mapping[str, Sequence[str]], count: int) -> tuple[list[list[str]], list[str]]:
        """Each product's paths below the root, and why they may not be opened ("" if they may)."""
        if not self.reads_pictures:
            return [[]] * count, [""] * count
        if self.folder is not None:
            return [[name] for name in cells[self.columns.id]], [""] * count
        return self._pictures.paths(cells, count)

    def _file(self, table: Table, size: int) -> Iterator[_Rows]:
        for rows in table.chunks(self.wanted, size, last=self.columns.title, lenient=True):
            cells = {name: [cell_text(cell) for cell in rows.table[name].tolist()] for name in self.wanted}
            yield _Rows([rows.place(n) for n in range(len(rows.lines))], cells, _faults(rows))

    def _listed(self, folder: PictureFolder, size: int) -> Iterator[_Rows]:
        names = folder.names()
        while some := list(islice(names, size)):
            good = [name for name in some if is_utf8(name)]
            faults = [
                Fault(ascii(name), "", "a name that is not UTF-8") for name in some if not is_utf8(name)
            ]
            yield _Rows(good, {self.columns.id: good}, faults)


def _faults(rows: Rows) -> list[Fault]:
    """The dropped rows of a chunk."""
    faults = []
    for reason, texts in rows.dropped.items():
        for text in texts:
            place, _, beginning = text.partition(": ")
            faults.append(Fault(place, "", f"{reason}: {beginning}" if beginning else reason))
    return faults


def _lack(table: Table, name: str, columns: Sequence[str]) -> str:
    """One line on an input whose columns a file lacks."""
    near = near_name(columns[0], table.columns)
    hint = f" (did you mean {quoted(near)}?)" if near else ""
    named = ", ".join(map(quoted, columns))
    setting = name if name in ("title", "picture") else "text or catalog.attributes"
    return f"{table.path}: no column {named}{hint}: no product has a {name}; catalog.{setting} names another"


def _no_input(table: Table, lacking: Mapping[str, Sequence[str]]) -> str:
    """Why a file cannot be predicted from."""
    columns = list(dict.fromkeys(column for names in lacking.values() for column in names))
    hint = did_you_mean(columns[0], table.columns).replace("allowed:", "columns found:")
    named = " and no column ".join(map(quoted, columns))
    settings = " or ".join(f"catalog.{name}" for name in lacking)
    return f"{table.path}: no column {named}, and the run reads nothing else; {hint} (set {settings})"
