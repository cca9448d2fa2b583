"""The format of a table, recognised from its content."""

import json
from collections.abc import Sequence
from pathlib import Path

from fusionclf.catalog.tables.csv_table import CsvTable
from fusionclf.catalog.tables.encodings import find_encoding
from fusionclf.catalog.tables.json_table import JsonTable
from fusionclf.catalog.tables.parquet_table import ParquetTable
from fusionclf.catalog.tables.streams import HEAD, TextFile, is_gzip, read_head, readable
from fusionclf.catalog.tables.table import Table
from fusionclf.errors import CatalogError, near_path

PARQUET = b"PAR1"
PARQUET_SUFFIXES, JSON_SUFFIXES = (".parquet", ".pq"), (".jsonl", ".ndjson")
OTHERS = {
    b"PK\x03\x04": "a ZIP archive or a workbook of a spreadsheet",
    b"\xd0\xcf\x11\xe0": "a workbook of a spreadsheet",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
}


def open_table(
    path: Path, *, delimiter: str = "auto", encoding: str = "auto", wanted: Sequence[str] = ()
) -> Table:
    """A table, its format recognised from its content.

    Args:
        path: a CSV, Parquet or JSON lines file; the text formats may be compressed by gzip.
        delimiter: of a CSV file, as catalog.delimiter names it.
        encoding: of a text file, as catalog.encoding names it.
        wanted: columns that the table should have: they help to recognise the delimiter, and may be missing.

    Raises:
        CatalogError: the file cannot be read, is of another format, or it is unclear how to read it.
    """
    path = Path(path)
    if not path.is_file():
        raise CatalogError(f"{path}: no such file{near_path(path)}; give a CSV, Parquet or JSON lines file")
    with readable(path):
        head, compressed = read_head(path), is_gzip(path)
    for start, what in OTHERS.items():
        if head.startswith(start):
            raise CatalogError(f"{path}: is {what}; save the table as CSV, Parquet or JSON lines")
    if head.startswith(PARQUET) or path.suffix.lower() in PARQUET_SUFFIXES:
        return ParquetTable(path)
    text = TextFile(path, find_encoding(path, encoding))
    is_json = _is_json_lines(path, text.head(HEAD))
    table = JsonTable(text, wanted) if is_json else CsvTable(text, delimiter, wanted)
    table.recognised += ", gzip" if compressed else ""
    return table


def _is_json_lines(path: Path, beginning: str) -> bool:
    """Whether a text holds JSON lines: by its suffix, or by an object on its first line."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if any(suffix in JSON_SUFFIXES for suffix in suffixes):
        return True
    line = beginning.lstrip().partition("\n")[0]
    if not line.startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
