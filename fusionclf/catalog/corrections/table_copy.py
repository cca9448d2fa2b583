"""A copy of a table in which some cells differ; all other rows of a text file stay as they are, byte by byte."""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fusionclf.catalog.tables import Table
from fusionclf.catalog.tables.csv_table import CsvTable
from fusionclf.catalog.tables.delimiters import DELIMITERS
from fusionclf.catalog.tables.json_table import JsonTable
from fusionclf.catalog.tables.streams import TextFile, is_gzip
from fusionclf.errors import CatalogError

Edits = Mapping[int, Mapping[str, str]]  # line or row as of Rows.lines → column → new cell


def write_copy(table: Table, edits: Edits, out: Path) -> None:
    """Write a copy of a table with other cells.

    Args:
        table: the original.
        edits: what differs.
        out: the file to write.

    Raises:
        CatalogError: a new cell cannot be written in the encoding of the file, or a column holds no texts.
    """
    if isinstance(table, CsvTable):
        _write_text(table.text, out, _edited_csv(table, edits))
    elif isinstance(table, JsonTable):
        _write_text(table.text, out, _edited_json(table, edits))
    else:
        _write_parquet(table.path, edits, out)


def _edited_csv(table: CsvTable, edits: Edits) -> Sequence[str]:
    with table.text.open(lenient=True) as stream:
        lines = list(stream)
    sign = DELIMITERS[table.delimiter or "comma"]
    for first, cells in edits.items():
        reader = csv.reader(islice(lines, first - 1, None), delimiter=sign, strict=True)
        row = next(reader)
        last = first - 2 + reader.line_num
        ending = lines[last][len(lines[last].rstrip("\r\n")) :]
        for name, cell in cells.items():
            row[table.columns.index(name)] = cell
        stream = io.StringIO()
        csv.writer(stream, delimiter=sign).writerow(row)
        lines[first - 1 : last + 1] = [
            stream.getvalue().removesuffix("\r\n") + ending,
            *[""] * (last - first + 1),
        ]
    return lines


def _edited_json(table: JsonTable, edits: Edits) -> Sequence[str]:
    with table.text.open(lenient=True, newline="\n") as stream:
        lines = list(stream)
    for number, cells in edits.items():
        line = lines[number - 1]
        ending = line[len(line.rstrip("\r\n")) :]
        lines[number - 1] = json.dumps(json.loads(line) | dict(cells), ensure_ascii=False) + ending
    return lines


def _write_text(text: TextFile, out: Path, lines: Sequence[str]) -> None:
    encoding = text.encoding
    codec = encoding.name if encoding.codec == "utf-8-sig" and not encoding.marked else encoding.codec
    try:
        content = "".join(lines).encode(codec, "strict" if encoding.is_wide else "surrogateescape")
    except UnicodeEncodeError as error:
        raise CatalogError(
            f"{text.path}: {error.object[error.start]!r} cannot be written in {encoding.shown}; save the table as UTF-8"
        ) from error
    out.write_bytes(gzip.compress(content, mtime=0) if is_gzip(text.path) else content)


def _write_parquet(path: Path, edits: Edits, out: Path) -> None:
    table = pq.read_table(path)
    for name in dict.fromkeys(name for cells in edits.values() for name in cells):
        place = table.column_names.index(name)
        values = table.column(place).to_pylist()
        for row, cells in edits.items():
            if name in cells:
                values[row - 1] = cells[name]
        kind = table.schema.field(place).type
        try:
            column = pa.array(values, kind)
        except pa.ArrowException as error:
            raise CatalogError(
                f"{path}: column {name!r} holds {kind}, not texts; save it as texts"
            ) from error
        table = table.set_column(place, table.schema.field(place), column)
    pq.write_table(table, out)
