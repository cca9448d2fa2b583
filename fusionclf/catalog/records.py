"""A catalog's files → one clean table, with a note of all that was repaired or dropped."""

import csv
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, did_you_mean

SHOWN = 3  # faulty rows that an error message names


@dataclass(frozen=True)
class Reading:
    """What happened while a catalog was read.

    Attributes:
        rows_read: rows of the file, without its header.
        repaired: ids of rows whose title held unquoted commas.
        dropped: reason → ids (or row numbers, where a row has no usable id).
        bad_years: ids of rows whose year is no number; they count as having none.
    """

    rows_read: int
    repaired: list[str] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    bad_years: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Catalog:
    """Products, one row each, sorted by id.

    Attributes:
        root: the catalog's folder.
        columns: the settings it was read with.
        table: columns id, picture (path below root, missing where there is none), title ("" where there is
            none), label, year (Int64, missing where there is none), and each category and metadata column under
            its own name ("" where the cell is empty; the text NA is a value).
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
        CatalogError: the file is missing, empty or not UTF-8, lacks a column, or holds an unsafe or duplicate id.
    """
    columns = columns or CatalogConfig()
    root = Path(root)
    file = root / columns.file
    if not root.is_dir():
        raise CatalogError(f"{root}: no such folder; give the folder that holds {columns.file}")
    if not file.is_file():
        raise CatalogError(f"{file}: no such file; give the catalog's folder, or set catalog.file")
    raw, notes = _read_rows(file, columns)
    reading = Reading(notes.rows_read, notes.repaired, dict(notes.dropped))
    table = _clean(file, raw, columns, reading)
    table = _with_pictures(root, raw, table, columns, reading)
    if not len(table):
        reasons = ", ".join(f"{len(ids)} {reason}" for reason, ids in reading.dropped.items())
        raise CatalogError(f"{file}: no usable row is left ({reasons or 'the file holds a header alone'})")
    table = table.sort_values("id", ignore_index=True)
    return Catalog(root, columns, table, reading, _hash(table))


def _wanted(columns: CatalogConfig) -> list[str]:
    named = [columns.id, columns.title, columns.label, *columns.categories, *columns.metadata]
    return list(dict.fromkeys([*named, *([columns.year] if columns.year else []), *_fields(columns.picture)]))


def _fields(pattern: str) -> list[str]:
    try:
        return [name for _, name, _, _ in Formatter().parse(pattern) if name]
    except ValueError as error:
        raise CatalogError(
            f"catalog.picture={pattern!r}: {error}; write a path such as images/{{id}}.jpg"
        ) from error


class _Faults:
    """Takes the rows whose number of fields is wrong out of pyarrow's hands."""

    def __init__(self, header: list[str], title: str) -> None:
        self.header = header
        self.title_is_last = header[-1] == title
        self.rows: list[list[str]] = []
        self.dropped: dict[str, list[str]] = {}
        self.repaired: list[str] = []
        self.rows_read = 0

    def __call__(self, row: Any) -> str:
        fields = next(csv.reader([row.text]), [])
        width = len(self.header)
        if len(fields) > width and self.title_is_last:
            self.rows.append([*fields[: width - 1], ",".join(fields[width - 1 :])])
        else:
            reason = "too few fields" if len(fields) < width else "too many fields"
            self.dropped.setdefault(reason, []).append(f"row {row.number}: {row.text[:40]}")
        return "skip"


def _read_rows(file: Path, columns: CatalogConfig) -> tuple[pd.DataFrame, _Faults]:
    header = _header(file)
    for name in _wanted(columns):
        if name not in header:
            raise CatalogError(f"{file}: no column {name!r}; {did_you_mean(name, header)} (set catalog.*)")
    faults = _Faults(header, columns.title)
    try:
        read = arrow_csv.read_csv(
            file,
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=1 << 24),
            parse_options=arrow_csv.ParseOptions(invalid_row_handler=faults, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), null_values=[], strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{file}: not a UTF-8 CSV file ({' '.join(str(error).split())[:160]})") from error
    wanted = _wanted(columns)
    table = pd.DataFrame({name: read.column(name).to_pandas().astype("str") for name in wanted})
    faults.rows_read = read.num_rows + len(faults.rows) + sum(map(len, faults.dropped.values()))
    if faults.rows:
        repaired = pd.DataFrame(faults.rows, columns=header, dtype="str")[wanted]
        faults.repaired = sorted(repaired[columns.id])
        table = pd.concat([table, repaired], ignore_index=True)
    return table, faults


def _header(file: Path) -> list[str]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            header = next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogError(f"{file}: cannot be read as UTF-8 CSV ({error})") from error
    if not header:
        raise CatalogError(f"{file}: is empty; a catalog needs a header row and products")
    if len(set(header)) < len(header):
        double = next(name for name in header if header.count(name) > 1)
        raise CatalogError(f"{file}: column {double!r} occurs twice; rename one")
    return header


def _clean(file: Path, raw: pd.DataFrame, columns: CatalogConfig, reading: Reading) -> pd.DataFrame:
    ids = raw[columns.id]
    unsafe = [value for value in ids if not _is_bare_name(value)]
    if unsafe:
        shown = ", ".join(repr(value) for value in unsafe[:SHOWN])
        raise CatalogError(
            f"{file}: {len(unsafe)} id(s) in column {columns.id!r} are no bare file name ({shown}); "
            "ids hold no path separators and are not empty: mend these rows"
        )
    if ids.duplicated().any():
        double = ids[ids.duplicated()].unique()
        shown = ", ".join(repr(value) for value in double[:SHOWN])
        raise CatalogError(
            f"{file}: {len(double)} id(s) occur more than once ({shown}); keep one row of each"
        )
    table = pd.DataFrame({"id": ids, "title": raw[columns.title], "label": raw[columns.label].str.strip()})
    years = (
        pd.to_numeric(raw[columns.year], errors="coerce") if columns.year else pd.Series(np.nan, raw.index)
    )
    if columns.year:
        bad = years.isna() & (raw[columns.year] != "")
        reading.bad_years.extend(ids[bad])
    table["year"] = np.floor(years).astype("Int64")
    for name in (*columns.categories, *columns.metadata):
        table[name] = raw[name]
    return _drop(table, table["label"] == "", "no label", reading)


def _is_bare_name(value: str) -> bool:
    return (
        bool(value) and value not in (".", "..") and not any(c in value for c in "/\\\0") and len(value) < 200
    )


def _drop(table: pd.DataFrame, faulty: pd.Series, reason: str, reading: Reading) -> pd.DataFrame:
    if faulty.any():
        reading.dropped[reason] = sorted(table.loc[faulty, "id"])
    return table[~faulty]


def _with_pictures(
    root: Path, raw: pd.DataFrame, table: pd.DataFrame, columns: CatalogConfig, reading: Reading
) -> pd.DataFrame:
    paths = pd.Series("", index=table.index, dtype="str")
    for text, name, _, _ in Formatter().parse(columns.picture):
        paths = paths + text
        if name:
            paths = paths + raw.loc[table.index, name]
    for path in paths:
        if (
            path.startswith(("/", "\\"))
            or "\0" in path
            or (".." in path and ".." in PurePosixPath(path).parts)
        ):
            raise CatalogError(
                f"{root}: picture path {path!r} leads out of the catalog; mend the row or catalog.picture"
            )
    there = _existing(root, paths)
    table = table.assign(picture=paths)
    if columns.missing_picture == "drop":
        return _drop(table, ~there, "missing picture", reading)
    return table.assign(picture=paths.where(there))


def _existing(root: Path, paths: pd.Series) -> pd.Series:
    """Which paths are files, by one scan a folder."""
    folders = {os.path.dirname(path) for path in paths}
    found: set[str] = set()
    for folder in folders:
        if (root / folder).is_dir():
            with os.scandir(root / folder) as entries:
                found.update(os.path.join(folder, entry.name) for entry in entries)
    return paths.isin(found)


def _hash(table: pd.DataFrame) -> str:
    digest = hashlib.sha256()
    for name in sorted(table.columns):
        digest.update(f"\x1d{name}\x1e".encode())
        digest.update("\x1f".join(table[name].astype("str").fillna("")).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
