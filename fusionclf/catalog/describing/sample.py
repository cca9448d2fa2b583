"""Rows of a table from all over the file, in constant memory."""

from pathlib import Path

import pandas as pd

from fusionclf.catalog.tables import Table
from fusionclf.errors import CatalogError

BLOCK = 500  # neighbouring rows, which are often variants of one product
MOST_BLOCKS = 40


def sample_rows(table: Table, most_blocks: int = MOST_BLOCKS) -> tuple[pd.DataFrame, int]:
    """At most `most_blocks` blocks of BLOCK neighbouring rows, evenly spread over a table, and the number of all rows.

    Raises:
        CatalogError: the table cannot be read, or has a column twice.
    """
    for name in table.columns:
        if table.columns.count(name) > 1:
            raise CatalogError(f"{table.path}: column {name!r} occurs twice; rename one")
    blocks: list[pd.DataFrame] = []
    step, rows = 1, 0
    for number, chunk in enumerate(table.chunks(size=BLOCK, lenient=True)):
        rows += len(chunk.table)
        if number % step == 0:
            blocks.append(chunk.table)
        if len(blocks) > most_blocks:  # every second one is left, and every second one follows
            blocks, step = blocks[::2], 2 * step
    return pd.concat(blocks, ignore_index=True), rows


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
