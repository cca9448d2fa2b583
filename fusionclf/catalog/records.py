"""A catalog's files → one clean table, with a note of all that was repaired or dropped."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import cast

import numpy as np
import pandas as pd

from fusionclf.catalog.rows import Rows, read_rows
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, near_path

SHOWN = 3  # faulty rows that an error message names
LONGEST_ID = 200  # characters; file systems allow names of 255 bytes
OWN_COLUMNS = ("id", "picture", "title", "label", "year")
FIRST_YEAR, LAST_YEAR = 1, 9999


@dataclass(frozen=True)
class Reading:
    """What happened while a catalog was read.

    Attributes:
        rows_read: rows of the file, without its header.
        repaired: ids of rows whose title held unquoted commas.
        dropped: reason → ids (or lines, where a row has no usable id).
        bad_years: ids of rows whose year is no whole number; they count as having none.
        multiline: ids of rows that go over several lines, by a line break in a quoted cell.
        lost_classes: labels of which every row was dropped.
    """

    rows_read: int
    repaired: list[str] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    bad_years: list[str] = field(default_factory=list)
    multiline: list[str] = field(default_factory=list)
    lost_classes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Catalog:
    """Products, one row each, sorted by id.

    Attributes:
        root: the catalog's folder.
        columns: the settings it was read with.
        table: columns id, picture (path below root, missing where there is none), title ("" where there is
            none), label, year (Int64, missing where there is none), and each category and metadata column
            under its own name ("" where the cell is empty; the text NA is a value).
        reading: what was repaired and dropped.
        sha256: hash of the table's cells, whatever the order of the file's rows.
    """

    root: Path
    columns: CatalogConfig
    table: pd.DataFrame
    reading: Reading
    sha256: str

    def __len__(self) -> int:
        return len(self.table)

    @property
    def classes(self) -> tuple[str, ...]:
        """All labels of the catalog, sorted."""
        return tuple(sorted(set(self.table["label"])))

    @property
    def has_title(self) -> np.ndarray:
        """(N,) whether each product has a title; one of white space alone is none."""
        return np.array([title.strip() != "" for title in self.table["title"]], bool)

    def picture_paths(self, rows: np.ndarray | None = None) -> list[Path | None]:
        """Where the pictures of `rows` (default: of all products) are; None for a product without one."""
        names = self.table["picture"] if rows is None else self.table["picture"].iloc[rows]
        return [self.root / name if isinstance(name, str) else None for name in names]


def read_catalog(root: Path, columns: CatalogConfig | None = None) -> Catalog:
    """Read, repair and check a catalog.

    Args:
        root: folder with the file `columns.file` and the pictures.
        columns: where the file keeps what; default: the Kaggle layout.

    Raises:
        CatalogError: the file is missing, empty or not UTF-8, lacks a column, or holds an unsafe or duplicate
            id or a picture path that leads out of `root`.
    """
    columns = columns or CatalogConfig()
    root = Path(root)
    file = root / columns.file
    if leads_out(columns.file):
        raise CatalogError(
            f"catalog.file={columns.file!r} leads out of the catalog's folder; give a name below it"
        )
    if not root.is_dir():
        raise CatalogError(
            f"{root}: no such folder; give the folder that holds {columns.file}{near_path(root)}"
        )
    if not file.is_file():
        raise CatalogError(
            f"{file}: no such file; give the catalog's folder, or set catalog.file{_tables_in(root)}"
        )
    rows = read_rows(file, _wanted(columns), last=columns.title)
    ids = _checked_ids(file, rows, columns)
    table = _clean(file, rows, columns)
    named = [sorted(ids.iloc[places]) for places in (rows.repaired, rows.multiline)]
    reading = Reading(rows.rows_read, named[0], dict(rows.dropped), _bad_years(rows, columns), named[1])
    labels = set(table["label"]) - {""}
    table = _drop(table, _column(table, "label") == "", "no label", reading)
    table = _with_pictures(root, rows, table, columns, reading)
    reading.lost_classes.extend(sorted(labels - set(table["label"])))
    if not len(table):
        reasons = ", ".join(f"{len(gone)} {reason}" for reason, gone in reading.dropped.items())
        raise CatalogError(f"{file}: no usable row is left ({reasons or 'it holds a header alone'})")
    table = table.sort_values("id", ignore_index=True)
    return Catalog(root, columns, table, reading, _hash(table))


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return cast(pd.Series, table[name])


def _tables_in(root: Path) -> str:
    """The CSV files that catalog.file could mean, as the end of an error message."""
    names = sorted(path.name for path in root.glob("*.csv"))
    return f"; there is {', '.join(names[:5])}" if names else ""


def _wanted(columns: CatalogConfig) -> list[str]:
    named = [columns.id, columns.title, columns.label, *columns.categories, *columns.metadata]
    return list(
        dict.fromkeys([*named, *([columns.year] if columns.year else []), *pattern_fields(columns.picture)])
    )


def pattern_fields(pattern: str) -> list[str]:
    """The columns that a pattern such as images/{id}.jpg names."""
    remedy = "write a path such as images/{id}.jpg"
    try:
        pieces = list(Formatter().parse(pattern))
    except ValueError as error:
        raise CatalogError(f"catalog.picture={pattern!r}: {error}; {remedy}") from error
    if any(name == "" or spec or conversion for _, name, spec, conversion in pieces):
        raise CatalogError(f"catalog.picture={pattern!r}: only {{column}} is allowed in braces; {remedy}")
    if not any(name for _, name, _, _ in pieces):
        raise CatalogError(
            f"catalog.picture={pattern!r}: names no column, so all pictures were one; {remedy}"
        )
    return [name for _, name, _, _ in pieces if name]


def _checked_ids(file: Path, rows: Rows, columns: CatalogConfig) -> pd.Series:
    """The ids, each a bare file name and there once."""
    ids = _column(rows.table, columns.id)
    unsafe = [place for place, value in enumerate(ids) if not _is_bare_name(value)]
    if unsafe:
        raise CatalogError(
            f"{file}: {len(unsafe)} id(s) are no bare file name ({_shown(rows, ids, unsafe)}); an id is not "
            f"empty, has no / or \\ and at most {LONGEST_ID} characters: mend or remove these rows"
        )
    double = np.flatnonzero(ids.duplicated())
    if len(double):
        raise CatalogError(
            f"{file}: {len(double)} row(s) have the id of an earlier row ({_shown(rows, ids, double)}); "
            "keep one row of each id"
        )
    return ids


def _shown(rows: Rows, values: pd.Series, places: Sequence[int] | np.ndarray) -> str:
    """The first few of some rows' values, with their lines."""
    named = [f"line {rows.lines[place]}: {values.iloc[place][:LONGEST_ID]!r}" for place in places[:SHOWN]]
    return ", ".join([*named, "…"] if len(places) > SHOWN else named)


def _clean(file: Path, rows: Rows, columns: CatalogConfig) -> pd.DataFrame:
    """All columns but the picture's, under the names that Catalog gives."""
    raw = rows.table
    table = pd.DataFrame(
        {"id": raw[columns.id], "title": raw[columns.title], "label": raw[columns.label].str.strip()}
    )
    none = pd.Series(pd.NA, raw.index, "Int64")
    table["year"] = _years(_column(raw, columns.year)) if columns.year else none
    own = {"id": columns.id, "title": columns.title, "label": columns.label, "year": columns.year}
    for name in dict.fromkeys((*columns.categories, *columns.metadata)):
        if name not in OWN_COLUMNS:
            table[name] = raw[name]
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


def _is_bare_name(value: str) -> bool:
    if not value or value in (".", "..") or "/" in value or "\\" in value or len(value) > LONGEST_ID:
        return False
    return value.isprintable()  # no line break, no terminal control sequence


def _drop(table: pd.DataFrame, faulty: pd.Series, reason: str, reading: Reading) -> pd.DataFrame:
    if faulty.any():
        reading.dropped[reason] = sorted(table["id"][faulty])
    return table.loc[~faulty]


def _with_pictures(
    root: Path, rows: Rows, table: pd.DataFrame, columns: CatalogConfig, reading: Reading
) -> pd.DataFrame:
    """The table with the column picture, a path below the catalog's folder."""
    paths = pd.Series("", index=table.index, dtype="str")
    for text, name, _, _ in Formatter().parse(columns.picture):
        paths = paths + text
        if name:
            paths = paths + rows.table.loc[table.index, name]
    outside = np.array([place for place, path in paths.items() if leads_out(path)], np.int64)
    if len(outside):
        shown = _shown(rows, paths.reindex(rows.table.index), outside)
        raise CatalogError(
            f"{root / columns.file}: {len(outside)} picture path(s) lead out of the catalog ({shown}); "
            "mend these rows, or catalog.picture"
        )
    there = _existing(root, paths)
    if columns.missing_picture == "drop":
        return _drop(table.assign(picture=paths), ~there, "missing picture", reading)
    return table.assign(picture=paths.where(there))


def leads_out(path: str) -> bool:
    """Whether a path below a folder leads out of it, by its words."""
    if path.startswith(("/", "\\")):
        return True
    return ".." in path and ".." in re.split(r"[/\\]", path)


def _existing(root: Path, paths: pd.Series) -> pd.Series:
    """Which paths are files, by one scan a folder."""
    found: set[str] = set()
    for folder in {os.path.dirname(path) for path in paths}:
        if (root / folder).is_dir():
            with os.scandir(root / folder) as entries:
                found.update(os.path.join(folder, entry.name) for entry in entries if entry.is_file())
    return paths.isin(found)


def _hash(table: pd.DataFrame) -> str:
    digest = hashlib.sha256()
    for name in sorted(table.columns):
        digest.update(f"\x1d{name}\x1e".encode())
        digest.update("\x1f".join(table[name].astype("str").fillna("")).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
