"""Rows of a table from all over the file, in constant memory."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.catalog.tables import Rows, Table
from fusionclf.errors import CatalogError

BLOCK = 500  # neighbouring rows, which are often variants of one product
MOST_BLOCKS = 40


@dataclass
class RowCounts:
    """How many rows a table has.

    Attributes:
        total: all of them.
        dropped: reason → those that cannot be read.
    """

    total: int = 0
    dropped: dict[str, CountedExamples] = field(default_factory=dict)

    def add(self, rows: Rows) -> None:
        """Count some rows."""
        self.total += len(rows.lines)
        for reason, places in rows.dropped.items():
            self.total += len(places)
            found = self.dropped.setdefault(reason, CountedExamples())
            for place in places:
                found.add(lambda place=place: place)


def sample_rows(table: Table, most_blocks: int = MOST_BLOCKS) -> tuple[pd.DataFrame, RowCounts]:
    """At most `most_blocks` blocks of BLOCK neighbouring rows, evenly spread over a table, and counts of all rows.

    Raises:
        CatalogError: the table cannot be read, or has a column twice.
    """
    blocks: list[pd.DataFrame] = []
    step, counts = 1, RowCounts()
    for number, chunk in enumerate(table.chunks(size=BLOCK, lenient=True)):
        counts.add(chunk)
        if number % step == 0:
            blocks.append(chunk.table)
        if len(blocks) > most_blocks:  # every second one is left, and every second one follows
            blocks, step = blocks[::2], 2 * step
    return pd.concat(blocks, ignore_index=True), counts


def table_in(data: Path, names: list[str]) -> tuple[str, list[str]]:
    """The largest of a folder's tables and the others.

    Raises:
        CatalogError: there is none.
    """
    if not names:
        raise CatalogError(
            f"{data}: holds no CSV, Parquet or JSON lines file; give the folder of the table, or the table"
        )
    largest = max(names, key=lambda name: ((data / name).stat().st_size, name))
    return largest, [name for name in names if name != largest]
