"""Values of Parquet and JSON lines → texts, as in a CSV file of the same products."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fusionclf.catalog.missing import cell_text
from fusionclf.catalog.rows import is_utf8
from fusionclf.errors import PredictionError, quoted

LONGEST_LINE = 2**20  # bytes of a line of JSON


def open_parquet(path: Path) -> pq.ParquetFile:
    """A Parquet file whose schema can be read.

    Raises:
        PredictionError: it cannot be read.
    """
    try:
        file = pq.ParquetFile(path)
        file.schema_arrow  # noqa: B018  a damaged schema shows here
        return file
    except (OSError, ValueError, pa.ArrowException) as error:
        raise PredictionError(f"{path}: cannot be read as Parquet ({one_line(error)})") from error


def parquet_texts(path: Path, name: str, column: Any) -> list[str]:
    """A column's values as texts; "" for a missing one.

    Raises:
        PredictionError: they are neither texts nor numbers.
    """
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return [cell_text(value) for value in column.to_pylist()]
    try:
        texts = column.cast(pa.large_string())
    except pa.ArrowException as error:
        raise PredictionError(
            f"{path}: column {quoted(name)} holds {column.type}; give a column of texts or numbers"
        ) from error
    return [cell_text(text) for text in texts.to_pylist()]


def json_texts(raw: bytes, wanted: Collection[str]) -> dict[str, str] | str:
    """A line's values as texts ("" for columns not in `wanted`), or what is wrong with the line."""
    if len(raw) > LONGEST_LINE:
        return f"a line of more than {LONGEST_LINE:,} bytes"
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({one_line(error)})"
    if not isinstance(values, dict):
        return f"holds a {type(values).__name__}, not an object"
    found = dict.fromkeys(values, "")
    for name in wanted:
        value = values.get(name)
        if isinstance(value, dict | list):
            return f"{name} holds a {type(value).__name__}, not a text"
        if name in found:
            found[name] = cell_text(value)
            if not is_utf8(found[name]) or "\0" in found[name]:
                return f"{name} is not valid text"
    return found


def one_line(error: Exception) -> str:
    """The beginning of an error's message, on one line."""
    return " ".join(str(error).split())[:100]
