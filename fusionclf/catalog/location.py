"""Where a catalog's table is: `--data` may name its folder, or the table itself."""

from collections.abc import Sequence
from pathlib import Path

from fusionclf.catalog.picture_paths import is_outside
from fusionclf.catalog.tables import Table, open_table
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, near_path

SUFFIXES = (
    ".csv",
    ".tsv",
    ".tab",
    ".psv",
    ".parquet",
    ".pq",
    ".jsonl",
    ".ndjson",
)  # each text format with .gz, too
SHOWN = 5  # tables that a message names


def locate_catalog(data: Path, columns: CatalogConfig) -> tuple[Path, CatalogConfig]:
    """The catalog's folder, and the settings with the name of its table.

    Args:
        data: the folder, or the table. A folder's table is the one that `columns.file` names; where that setting was
            not given and there is no such file, the folder's only table.
        columns: the settings.

    Raises:
        CatalogError: there is no table, or several.
    """
    if data.is_file():
        return data.parent, columns.model_copy(update={"file": data.name})
    if is_outside(columns.file):
        raise CatalogError(
            f"catalog.file={columns.file!r} leads out of the catalog's folder; give a name below it"
        )
    if not data.is_dir():
        raise CatalogError(
            f"{data}: no such folder; give the folder that holds {columns.file}, or the table{near_path(data)}"
        )
    if (data / columns.file).is_file():
        return data, columns
    names = table_names(data)
    if "file" not in columns.model_fields_set and len(names) == 1:
        return data, columns.model_copy(update={"file": names[0]})
    shown = f"{', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''}"
    if "file" not in columns.model_fields_set and names:
        raise CatalogError(f"{data}: holds {len(names)} tables ({shown}); give one: --data {data / names[0]}")
    hint = f"; there is {shown}" if names else ""
    raise CatalogError(
        f"{data / columns.file}: no such file; give the catalog's folder or its table, or set catalog.file{hint}"
    )


def table_names(folder: Path) -> list[str]:
    """The tables of a folder by their suffix, sorted; hidden files are none."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return [
        name
        for name in names
        if not name.startswith(".") and name.lower().removesuffix(".gz").endswith(SUFFIXES)
    ]


def open_catalog_table(root: Path, columns: CatalogConfig, wanted: Sequence[str] = ()) -> Table:
    """The table of a catalog, as `open_table` opens it.

    Args:
        root, columns: as `locate_catalog` returns them.
        wanted: columns that it should have.

    Raises:
        CatalogError: it cannot be read.
    """
    return open_table(
        root / columns.file, delimiter=columns.delimiter, encoding=columns.encoding, wanted=wanted
    )
