"""A catalog's files → one clean table, with a report of all that was repaired or dropped."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from fusionclf.catalog.counted_examples import EXAMPLES, CountedExamples
from fusionclf.catalog.fields import have_texts, read_fields
from fusionclf.catalog.find_pictures import find_pictures, named_urls
from fusionclf.catalog.ids import checked_ids
from fusionclf.catalog.label_lists import LabelSets, label_names, take_label_lists
from fusionclf.catalog.label_paths import add_levels, name_by_path, read_label_paths
from fusionclf.catalog.location import locate_catalog, open_catalog_table
from fusionclf.catalog.missing import are_missing_words
from fusionclf.catalog.picture_paths import pattern_fields
from fusionclf.catalog.read_report import ReadReport
from fusionclf.catalog.spellings import join_spellings
from fusionclf.catalog.tables import Rows, joined_rows
from fusionclf.catalog.titles import have_titles
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, quoted

OWN_COLUMNS = ("id", "picture", "title", "label", "year")
FIRST_YEAR, LAST_YEAR = 1, 9999


@dataclass(frozen=True)
class Catalog:
    """Products, one row each, sorted by id.

    Attributes:
        root: the catalog's folder.
        columns: the settings that it was read with; `categories` names the columns level_1, … where they come from
            the label's path.
        table: columns id, picture (path below root, missing where there is none), title ("" where there is
            none), label (of a product with several: all, as one text), year (Int64, missing where there is none), and
            each category and metadata column under its own name ("" where the cell is empty; the text NA is a value).
        fields: what is written about each product, as plain text: the column `title`, then those that
            `columns.text` and `columns.attributes` name, under their own names ("" where the cell is empty).
        read_report: what was repaired and dropped.
        sha256: hash of the table's cells; the order of the file's rows does not count, nor do `columns.text` and
            `columns.attributes`, so that runs with and without them can be compared (see `column_hashes`).
        further_pictures: position in `table` → the pictures after the first one, paths below root; products with one
            picture are not in it.
        label_sets: the labels of each product where it can have several (`columns.label_list`); else None.
    """

    root: Path
    columns: CatalogConfig
    table: pd.DataFrame
    fields: pd.DataFrame
    read_report: ReadReport
    sha256: str
    further_pictures: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    label_sets: LabelSets | None = None

    def __len__(self) -> int:
        return len(self.table)

    @property
    def classes(self) -> tuple[str, ...]:
        """All labels of the catalog, sorted."""
        if self.label_sets is not None:
            return self.label_sets.names
        return tuple(sorted(set(self.table["label"])))

    def column_hashes(self, names: Iterable[str]) -> dict[str, str]:
        """Column → hash of its cells, of fields and of columns of the table."""
        tables = {name: self.fields if name in self.fields else self.table for name in names}
        return {name: _cells_hash(_column(table, name)) for name, table in tables.items()}

    def count_labels(self, rows: np.ndarray | None = None) -> Counter[str]:
        """Class → how many of `rows` (default: of all products) have it."""
        if self.label_sets is not None:
            return self.label_sets.counts(None if rows is None else rows.tolist())
        labels = self.table["label"]
        return Counter(labels if rows is None else labels.iloc[rows])

    @property
    def has_title(self) -> np.ndarray:
        """(N,) whether each product has a title."""
        return have_titles(self.table["title"])

    @property
    def has_text(self) -> np.ndarray:
        """(N,) whether each product has a title or another field."""
        return have_texts(self.fields)

    def picture_paths(self, rows: np.ndarray | None = None) -> list[Path | None]:
        """Where the first picture of each of `rows` (default: of all products) is; None without one."""
        names = self.table["picture"] if rows is None else self.table["picture"].iloc[rows]
        return [self.root / name if isinstance(name, str) else None for name in names]

    def all_picture_paths(self, rows: np.ndarray | None = None) -> list[tuple[Path, ...]]:
        """Where all pictures of each of `rows` (default: of all products) are."""
        places = range(len(self)) if rows is None else rows.tolist()
        further = [[self.root / name for name in self.further_pictures.get(place, ())] for place in places]
        first = self.picture_paths(rows)
        return [(path, *others) if path else () for path, others in zip(first, further, strict=True)]

    def flat_picture_paths(self) -> list[Path | None]:
        """Where all pictures are, product by product, in the order of `picture_owners`; None without one."""
        return [path for paths in self.all_picture_paths() for path in paths or (None,)]

    @property
    def picture_owners(self) -> np.ndarray:
        """(P,) the product of each picture, product by product; one without a picture counts as if it had one."""
        counts = np.ones(len(self), np.int64)
        for place, paths in self.further_pictures.items():
            counts[place] += len(paths)
        return np.repeat(np.arange(len(self)), counts)


class NoRowsError(CatalogError):
    """No row of a catalog can be used; `catalog` is empty, and its `read_report` gives the reasons."""

    def __init__(self, message: str, catalog: Catalog) -> None:
        super().__init__(message)
        self.catalog = catalog


def read_catalog(
    root: Path, columns: CatalogConfig | None = None, *, split_columns: Sequence[str] = ()
) -> Catalog:
    """A catalog, read, repaired and checked.

    Args:
        root: folder with the table and the pictures, or the table itself (`locate_catalog`).
        columns: the names of the file's columns; default: the Kaggle layout.
        split_columns: further columns to read, by which products will be divided. They do not count for `sha256`
            unless `columns` names them, too: a division does not change the products.

    Raises:
        CatalogError: the file is missing, empty or cannot be read, lacks a column, or holds an unsafe or duplicate
            id or a picture path that leads out of its folder.
        NoRowsError: no row can be used.
    """
    root, columns = locate_catalog(Path(root), columns or CatalogConfig())
    wanted = _wanted(columns, split_columns)
    opened = open_catalog_table(root, columns, wanted)
    file, rows = opened.path, joined_rows(opened.chunks(wanted, last=columns.title))
    ids = checked_ids(file, rows, columns)
    missing_words = _empty_missing_words(rows)
    paths = read_label_paths(_column(rows.table, columns.label), columns) if columns.label_separator else None
    table = _clean(file, rows, columns, split_columns)
    if paths is not None:
        columns = add_levels(file, table, paths, columns)
    named = [sorted(ids.iloc[places]) for places in (rows.repaired, rows.multiline)]
    report = ReadReport(
        rows.rows_read, named[0], dict(rows.dropped), _bad_years(rows, columns), named[1],
        missing_words=missing_words, recognised=opened.described,
    )  # fmt: skip
    lists = take_label_lists(table, columns, report)
    if columns.join_spellings and lists is None:
        join_spellings(table, columns, report)
    if paths is not None:
        for fault, mask in paths.faults.items():
            table = _drop(table, mask.loc[table.index], fault, report)
        name_by_path(table, paths, columns, report)
    if lists is not None:
        table = _drop(table, lists.faulty, "no JSON list of labels", report)
    labels = label_names(table, lists)
    table = _drop(table, _column(table, "label") == "", "no label", report)
    found = find_pictures(root, rows, table.index.to_numpy(), columns, report)
    table = table.assign(picture=pd.Series(found.first, table.index, "str"))
    if columns.missing_picture == "drop" and columns.picture is not None:
        table = _drop(table, _column(table, "picture").isna(), "missing picture", report)
    report.lost_classes.extend(sorted(labels - label_names(table, lists)))
    table = table.sort_values("id")
    fields = read_fields(rows.table.loc[table.index], columns)
    further = found.by_place(table.index)
    sets = None if lists is None else lists.sets(table.index)
    table = table.reset_index(drop=True)
    catalog = Catalog(root, columns, table, fields, report, _hash(table, columns, further), further, sets)
    if not len(table):
        raise NoRowsError(f"{file}: no usable row is left ({_why_none(report)}", catalog)
    return catalog


def picture_urls(data: Path, columns: CatalogConfig) -> tuple[Path, list[str]]:
    """The folder of a catalog's pictures, and the URLs that its rows name as pictures, each once.

    Args:
        data: the catalog's folder, or its table.
        columns: the names of the table's columns.

    Raises:
        CatalogError: as of `read_catalog`.
    """
    root, columns = locate_catalog(data, columns)
    wanted = pattern_fields(columns.picture)
    rows = joined_rows(open_catalog_table(root, columns, wanted).chunks(wanted, last=columns.title))
    _empty_missing_words(rows)
    return root, list(dict.fromkeys(named_urls(rows, columns)))


def _why_none(report: ReadReport) -> str:
    """Why all rows were dropped, as the end of an error message."""
    reasons = ", ".join(f"{len(gone)} {reason}" for reason, gone in report.dropped.items())
    missing = f"; {report.missing_pictures}" if report.missing_pictures.count else ""
    return f"{reasons or 'it holds a header alone'}){missing}"


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return cast(pd.Series, table[name])


def _wanted(columns: CatalogConfig, split_columns: Sequence[str]) -> list[str]:
    named = [columns.id, columns.label, *columns.categories, *columns.metadata]
    others = [name for name in (columns.title, columns.year, *split_columns) if name]
    inputs = [*columns.text, *columns.attributes, *pattern_fields(columns.picture)]
    return list(dict.fromkeys([*named, *others, *inputs]))


def _empty_missing_words(rows: Rows) -> dict[str, CountedExamples]:
    """Replace words for a missing value by "" in place; how many each column has."""
    found = {}
    for name in rows.table.columns:
        cells = _column(rows.table, name)
        places = np.flatnonzero(are_missing_words(cells))
        if len(places):
            shown = [f"{rows.place(place)}: {quoted(cells.iloc[place])}" for place in places[:EXAMPLES]]
            found[str(name)] = CountedExamples(len(places), shown)
            rows.table[name] = cells.mask(are_missing_words(cells), "")
    return found


def _clean(file: Path, rows: Rows, columns: CatalogConfig, split_columns: Sequence[str]) -> pd.DataFrame:
    """All columns but the picture's, under the names that Catalog uses."""
    raw = rows.table
    table = pd.DataFrame(
        {
            "id": raw[columns.id],
            "title": raw[columns.title] if columns.title else "",
            "label": raw[columns.label].str.strip(),
        }
    )
    none = pd.Series(pd.NA, raw.index, "Int64")
    table["year"] = _years(_column(raw, columns.year)) if columns.year else none
    own = {"id": columns.id, "title": columns.title, "label": columns.label, "year": columns.year}
    for name in dict.fromkeys((*columns.categories, *columns.metadata, *split_columns)):
        if name not in OWN_COLUMNS:
            table[name] = raw[name].str.strip() if name in columns.categories else raw[name]
        elif own.get(name) != name:
            raise CatalogError(
                f"{file}: column {name!r} has a name that fusionclf uses itself; rename it in the file"
            )
    return table


def _years(cells: pd.Series) -> pd.Series:
    years = np.asarray(pd.to_numeric(cells, errors="coerce"), np.float64)
    usable = (years >= FIRST_YEAR) & (years <= LAST_YEAR) & (years == np.floor(years))
    return pd.Series(np.where(usable, years, np.nan), cells.index).astype("Int64")


def _bad_years(rows: Rows, columns: CatalogConfig) -> list[str]:
    if not columns.year:
        return []
    cells = _column(rows.table, columns.year)
    bad = _years(cells).isna() & (cells.str.strip() != "")
    return sorted(_column(rows.table, columns.id)[bad])


def _drop(table: pd.DataFrame, faulty: pd.Series, reason: str, report: ReadReport) -> pd.DataFrame:
    if faulty.any():
        report.dropped[reason] = sorted(table["id"][faulty])
    return table.loc[~faulty]


def _hash(table: pd.DataFrame, columns: CatalogConfig, further: Mapping[int, tuple[str, ...]]) -> str:
    """The hash of the columns that the catalog's settings name; a split's column is not one of them."""
    named = {*OWN_COLUMNS, *columns.categories, *columns.metadata}
    digest = hashlib.sha256()
    for name in sorted(named.intersection(table.columns)):
        digest.update(f"\x1d{name}\x1e".encode())
        digest.update("\x1f".join(table[name].astype("str").fillna("")).encode("utf-8", "surrogatepass"))
    for place, paths in further.items():
        digest.update("\x1f".join(("\x1dpictures", str(place), *paths)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _cells_hash(cells: pd.Series) -> str:
    digest = hashlib.sha256()
    for cell in cells.astype("str").fillna(""):
        digest.update(f"{cell}\x1f".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
