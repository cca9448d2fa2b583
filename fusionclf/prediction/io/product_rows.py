"""Rows of a table as texts → products."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress

import pandas as pd

from fusionclf.catalog.fields import TITLE, Fields, read_fields
from fusionclf.catalog.missing import cell_text
from fusionclf.catalog.picture_paths import MissingPictures, pattern_fields
from fusionclf.catalog.tables import Rows, Table
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError, did_you_mean, near_name, quoted
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
    """Some products of a table, in its order.

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


class ProductRows:
    """Turns the rows of tables into products.

    Where a table lacks the columns of one input, such as the title, that input is missing for every product.

    Args:
        columns: names of the tables' columns.
        root: folder below which the pictures are; whatever lies outside of it is not opened.
        reads_pictures, reads_titles: which inputs to read.
        further: texts and attributes that the run reads besides the title; `columns` has the table's names of them.

    Attributes:
        wanted: columns to read of the table in use.
        notes: a line for each input whose columns the table in use lacks.
        has_pictures: whether the table in use has the columns of the picture, and they are read.

    Raises:
        PredictionError: `columns` names more or fewer texts or attributes than the run reads.
    """

    def __init__(
        self,
        columns: CatalogConfig,
        root: str | os.PathLike[str],
        *,
        reads_pictures: bool = True,
        reads_titles: bool = True,
        further: Fields = Fields(),  # noqa: B008  frozen
    ) -> None:
        self.columns, self.root = columns, os.path.abspath(root)
        self.reads_pictures, self.reads_titles = reads_pictures, reads_titles
        self.further = further if reads_titles else Fields()
        self._own = Fields.of(columns) if self.further else Fields()  # what the table calls them
        for setting, own, names in (
            ("text", self._own.text, self.further.text),
            ("attributes", self._own.attributes, self.further.attributes),
        ):
            if len(own) != len(names):
                raise PredictionError(
                    f"catalog.{setting} names {len(own)} columns; give one for each of {', '.join(names) or 'none'}, "
                    "in this order"
                )
        self.wanted, self.notes = self.possible, list[str]()
        self._texts: list[str] = []  # columns of the title and further fields that the table has
        self.has_pictures = False
        self._pictures = RowPictures(self.root, columns)

    @property
    def possible(self) -> list[str]:
        """The columns to read of a table that has all of them."""
        return list(dict.fromkeys([self.columns.id, *chain(*self._inputs().values())]))

    def use(self, table: Table) -> None:
        """Read this table from now on.

        Raises:
            CatalogError: it lacks the id, or has a column twice.
            PredictionError: it lacks the columns of every input.
        """
        table.check_columns([self.columns.id])
        inputs = self._inputs()
        lacking = {name: found for name in inputs if (found := table.lacking(inputs[name]))}
        if lacking and len(lacking) == len(inputs):
            raise PredictionError(_no_input(table, lacking))
        self.notes = [_lack(table, name, missing) for name, missing in lacking.items()]
        there = {name: inputs[name] for name in inputs if name not in lacking}
        self.has_pictures = "picture" in there
        self._texts = [column for name in there if name != "picture" for column in there[name]]
        self.wanted = list(dict.fromkeys([self.columns.id, *chain(*there.values())]))
        table.check_columns(self.wanted)  # none occurs twice

    def chunk(self, number: int, rows: Rows, find_pictures: bool = True) -> Chunk:
        """The products of some rows.

        Args:
            number: of the chunk, from 0.
            rows: of the table in use.
            find_pictures: whether to look for the files.
        """
        cells = {name: [cell_text(cell) for cell in rows.table[name].tolist()] for name in self.wanted}
        places = [rows.place(n) for n in range(len(rows.lines))]
        ids, count = cells[self.columns.id], len(places)
        fields = self.fields(cells, count)
        paths, outside = self._paths(cells, count)
        fine = [bool(product) and not reason for product, reason in zip(ids, outside, strict=True)]
        faults = _dropped(rows)
        for place in [n for n in range(count) if not fine[n]]:
            reason = outside[place] if ids[place] else f"no {self.columns.id}"
            faults.append(Fault(places[place], ids[place], reason))
        if not all(fine):
            ids, places = (list(compress(texts, fine)) for texts in (ids, places))
            paths = list(compress(paths, fine))
            fields = fields.loc[fine].reset_index(drop=True)
        found = ChunkPictures([None] * len(ids))
        if self.has_pictures and find_pictures:
            found = self._pictures.find(paths)
        return Chunk(
            number, ids, fields, places, found.files, faults, found.missing, found.missing_further, found.cut
        )

    def fields(self, cells: Mapping[str, Sequence[str]], count: int) -> pd.DataFrame:
        """What is written about `count` products."""
        there = {name: cells[name] for name in self._texts if name in cells}
        columns = self.columns.model_copy(update={"text": self._own.text, "attributes": self._own.attributes})
        found = read_fields(pd.DataFrame(there, index=range(count), dtype="str"), columns)
        return found.set_axis([TITLE, *self.further.names], axis=1)

    def _paths(self, cells: Mapping[str, Sequence[str]], count: int) -> tuple[list[list[str]], list[str]]:
        """Each product's paths below the root, and why they may not be opened ("" if they may)."""
        if not self.has_pictures:
            return [[]] * count, [""] * count
        return self._pictures.paths(cells, count)

    def _inputs(self) -> dict[str, list[str]]:
        """Each input that the run reads, as catalog.* names it, and its columns."""
        found = {}
        if self.reads_titles:
            found = {"title": [self.columns.title]} if self.columns.title else {}
            found |= {name: [name] for name in self._own.names}
        if not self.reads_pictures or self.columns.picture is None:
            return found
        return {**found, "picture": pattern_fields(self.columns.picture)}


def _dropped(rows: Rows) -> list[Fault]:
    """The dropped rows of a chunk."""
    faults = []
    for reason, texts in rows.dropped.items():
        for text in texts:
            place, _, beginning = text.partition(": ")
            faults.append(Fault(place, "", f"{reason}: {beginning}" if beginning else reason))
    return faults


def _lack(table: Table, name: str, columns: Sequence[str]) -> str:
    """One line on an input whose columns a table lacks."""
    near = near_name(columns[0], table.columns)
    hint = f" (did you mean {quoted(near)}?)" if near else ""
    named = ", ".join(map(quoted, columns))
    setting = name if name in ("title", "picture") else "text or catalog.attributes"
    return f"{table.path}: no column {named}{hint}: no product has a {name}; catalog.{setting} names another"


def _no_input(table: Table, lacking: Mapping[str, Sequence[str]]) -> str:
    """Why a table cannot be predicted from."""
    columns = list(dict.fromkeys(column for names in lacking.values() for column in names))
    hint = did_you_mean(columns[0], table.columns).replace("allowed:", "columns found:")
    named = " and no column ".join(map(quoted, columns))
    settings = " or ".join(f"catalog.{name}" for name in lacking)
    return f"{table.path}: no column {named}, and the run reads nothing else; {hint} (set {settings})"
