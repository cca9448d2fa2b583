"""What every format of a table offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from fusionclf.catalog.tables.rows import CHUNK_ROWS, Rows
from fusionclf.errors import CatalogError, did_you_mean, quoted


class Table(ABC):
    """An opened table.

    Attributes:
        path: the file.
        columns: names of its columns, in the file's order.
        recognised: what the file was recognised as, such as "CSV, semicolons, cp1252, gzip".
        delimiter: setting of catalog.delimiter that reads it; None for other formats than CSV.
        encoding: setting of catalog.encoding that reads it; None for Parquet.
    """

    path: Path
    columns: list[str]
    recognised: str
    delimiter: str | None = None
    encoding: str | None = None

    @property
    def described(self) -> str:
        """The file, and what it was recognised as."""
        count = len(self.columns)
        return f"{self.path} ({self.recognised}; {count:,} column{'s' if count != 1 else ''})"

    @abstractmethod
    def chunks(
        self,
        wanted: Sequence[str] | None = None,
        size: int = CHUNK_ROWS,
        *,
        last: str | None = None,
        lenient: bool = False,
    ) -> Iterator[Rows]:
        """All rows in the file's order; at least one chunk. Columns that are not wanted take no memory.

        Args:
            wanted: columns to read; default: `readable_columns`.
            size: rows of a chunk, dropped ones included.
            last: where this is the last column of a CSV file, the surplus fields of a row are joined to it.
            lenient: drop a row that holds a NUL character, or bytes of another encoding, where a file with such a
                row is otherwise refused.

        Raises:
            CatalogError: the file lacks a wanted column, or cannot be read on.
        """

    @abstractmethod
    def count(self) -> int:
        """About the number of rows; an upper bound for text files."""

    def binary_columns(self) -> list[str]:
        """Columns of binary data, such as pictures, which are no texts."""
        return []

    def readable_columns(self) -> list[str]:
        """Each column once that has a name and holds no binary data."""
        binary = self.binary_columns()
        return [name for name in dict.fromkeys(self.columns) if name.strip() and name not in binary]

    def lacking(self, wanted: Sequence[str]) -> list[str]:
        """The wanted columns that the table lacks; none where it has neither columns nor rows."""
        return [name for name in wanted if self.columns and name not in self.columns]

    def check_columns(self, wanted: Sequence[str]) -> None:
        """Raise CatalogError for the first wanted column that the table lacks, or has twice."""
        lacking = self.lacking(wanted)
        for name in wanted:
            if name in lacking:
                hint = did_you_mean(name, self.columns).replace("allowed:", "columns found:")
                raise CatalogError(
                    f"{self.path}: no column {quoted(name)}; {hint} (settings catalog.*, split.* and model.auxiliary "
                    "name the columns)"
                )
            if self.columns.count(name) > 1:
                raise CatalogError(f"{self.path}: column {name!r} occurs twice; rename one")
