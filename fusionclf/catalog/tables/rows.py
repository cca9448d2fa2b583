"""Some rows of a table as texts, with a list of every row that was repaired or dropped."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

CHUNK_ROWS = 65_536
LONGEST_CELL = 2**20  # characters; Python's limit for CSV, 131,072, is below some product descriptions


@dataclass
class Rows:
    """Some rows of a table.

    Attributes:
        table: the wanted columns as text; an empty cell is "".
        lines: the line of the file (or the row, counted from 1) on which each row of `table` begins.
        unit: what `lines` counts: line or row.
        repaired: positions in `table` of rows whose last column held unquoted separators.
        multiline: positions in `table` of rows with a line break in a quoted cell.
        dropped: reason → the dropped rows, each by its line and beginning.
    """

    table: pd.DataFrame
    lines: np.ndarray
    unit: str = "line"
    repaired: list[int] = field(default_factory=list)
    multiline: list[int] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)

    @property
    def rows_read(self) -> int:
        """Rows of the file without its header, dropped rows included."""
        return len(self.table) + sum(map(len, self.dropped.values()))

    def place(self, position: int) -> str:
        """Where a row of `table` is in the file, such as "line 7"."""
        return f"{self.unit} {self.lines[position]}"


def joined_rows(chunks: Iterable[Rows]) -> Rows:
    """All rows of some chunks, at least one."""
    found = list(chunks)
    table = pd.concat([chunk.table for chunk in found], ignore_index=True)
    whole = Rows(table, np.concatenate([chunk.lines for chunk in found]), found[0].unit)
    start = 0
    for chunk in found:
        whole.repaired += [start + place for place in chunk.repaired]
        whole.multiline += [start + place for place in chunk.multiline]
        for reason, places in chunk.dropped.items():
            whole.dropped.setdefault(reason, []).extend(places)
        start += len(chunk.table)
    return whole
