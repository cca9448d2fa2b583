"""Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fusionclf.catalog.tables.rows import CHUNK_ROWS, Rows
from fusionclf.catalog.tables.table import Table
from fusionclf.catalog.tables.texts import value_text
from fusionclf.errors import CatalogError, quoted


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
            self._file = pq.ParquetFile(path)
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
        wanted = list(dict.fromkeys(self.columns)) if wanted is None else list(wanted)
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

    def _rows(self, batch: pa.RecordBatch, wanted: Sequence[str], start: int) -> Rows:
        cells = {name: self._texts(name, batch.column(name)) for name in wanted}
        lines = np.arange(start + 1, start + 1 + len(batch), dtype=np.int64)
        return Rows(pd.DataFrame(cells, dtype="str"), lines, "row")

    def _texts(self, name: str, column: Any) -> list[str]:
        """A column's values as texts; "" for a missing one."""
        kind = column.type
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_nested(kind):
            return [value_text(value) for value in column.to_pylist()]
        try:
            return [value_text(text) for text in column.cast(pa.large_string()).to_pylist()]
        except pa.ArrowException as error:
            raise CatalogError(
                f"{self.path}: column {quoted(name)} holds {kind}; give a column of texts or numbers"
            ) from error


def _one_line(error: Exception) -> str:
    """The beginning of an error's message, on one line."""
    return " ".join(str(error).split())[:100]
