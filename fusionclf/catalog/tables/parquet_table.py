"""Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fusionclf.catalog.tables.rows import CHUNK_ROWS, LONGEST_CELL, Rows
from fusionclf.catalog.tables.table import Table
from fusionclf.catalog.tables.texts import value_text
from fusionclf.errors import CatalogError, quoted

BUFFER = 2**20  # bytes that are read together, where it is a whole row group otherwise
FIRST_CELLS = 20  # of a binary column that show whether it holds texts
LONGEST_TYPE = 60  # characters of a type in a message


class ParquetTable(Table):
    """A Parquet file.

    Args:
        path: of the file.

    Raises:
        CatalogError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.recognised = path, "Parquet"
        try:
            self._file = pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
            self.columns = list(self._file.schema_arrow.names)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise CatalogError(
                f"{path}: cannot be read as Parquet ({_one_line(error)}); replace the file"
            ) from error

    def chunks(
        self,
        wanted: Sequence[str] | None = None,
        size: int = CHUNK_ROWS,
        *,
        last: str | None = None,
        lenient: bool = False,
    ) -> Iterator[Rows]:
        wanted = self.readable_columns() if wanted is None else list(wanted)
        self.check_columns(wanted)
        done = 0
        try:
            for batch in self._file.iter_batches(size, columns=wanted):
                yield self._rows(batch, wanted, done)
                done += len(batch)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise CatalogError(
                f"{self.path}: damaged after row {done} ({_one_line(error)}); replace the file"
            ) from error
        if not done:
            yield Rows(pd.DataFrame({name: [] for name in wanted}, dtype="str"), np.zeros(0, np.int64), "row")

    def count(self) -> int:
        return self._file.metadata.num_rows

    def binary_columns(self) -> list[str]:
        found = [field for field in self._file.schema_arrow if _has_bytes(field.type)]
        return [field.name for field in found if field.type.num_fields or not self._holds_texts(field.name)]

    def _holds_texts(self, name: str) -> bool:
        """Whether the first cells of a binary column are texts, as some programs write them."""
        try:
            return any(next(self.chunks([name], FIRST_CELLS)).table[name])
        except CatalogError:
            return False

    def _rows(self, batch: pa.RecordBatch, wanted: Sequence[str], start: int) -> Rows:
        cells = {name: self._texts(name, batch.column(name)) for name in wanted}
        lines = np.arange(start + 1, start + 1 + len(batch), dtype=np.int64)
        rows = Rows(pd.DataFrame(cells, dtype="str"), lines, "row")
        long = {n for column in cells.values() for n, text in enumerate(column) if len(text) > LONGEST_CELL}
        if long:
            reason = f"a cell of more than {LONGEST_CELL:,} characters"
            rows.dropped[reason] = [rows.place(n) for n in sorted(long)]
            rows.table = rows.table.drop(index=[*long]).reset_index(drop=True)
            rows.lines = np.delete(lines, [*long])
        return rows

    def _texts(self, name: str, column: Any) -> list[str]:
        """A column's values as texts; "" for a missing one."""
        kind = column.type
        is_json = pa.types.is_nested(kind) and not _has_bytes(kind)
        if is_json or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return [value_text(value) for value in column.to_pylist()]
        try:
            return [value_text(text) for text in column.cast(pa.large_string()).to_pylist()]
        except pa.ArrowException as error:
            raise CatalogError(
                f"{self.path}: column {quoted(name)} holds {str(kind)[:LONGEST_TYPE]}; give a column of texts or "
                "numbers"
            ) from error


def _has_bytes(kind: Any) -> bool:
    """Whether a type is binary, or has a binary one inside, such as that of pictures with their paths."""
    if isinstance(kind, pa.BaseExtensionType):
        return _has_bytes(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _has_bytes(kind.value_type)
    tests = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    inner = [kind.field(place).type for place in range(kind.num_fields)]
    return any(test(kind) for test in tests) or any(map(_has_bytes, inner))


def _one_line(error: Exception) -> str:
    """The beginning of an error's message, on one line."""
    return " ".join(str(error).split())[:100]
