"""pandas tables as tables of products."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fusionclf.catalog.tables import Rows, Table
from fusionclf.catalog.tables.texts import value_text


class FrameTable(Table):
    """A pandas table.

    Args:
        frame: n rows. Its index does not matter.

    >>> rows = next(FrameTable(pd.DataFrame({"id": [7, 8], "title": ["Red Dress", None]})).chunks())
    >>> rows.table["id"].tolist(), rows.table["title"].tolist()
    (['7', '8'], ['Red Dress', ''])
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.path, self.recognised = Path("batch"), "pandas"
        self.columns = list(map(str, frame.columns))
        self._frame = frame.set_axis(self.columns, axis=1)

    def chunks(
        self,
        wanted: Sequence[str] | None = None,
        size: int | None = None,
        *,
        last: str | None = None,
        lenient: bool = False,
    ) -> Iterator[Rows]:
        wanted = list(dict.fromkeys(self.columns)) if wanted is None else list(wanted)
        self.check_columns(wanted)
        count = len(self._frame)
        size = size or max(count, 1)
        for start in range(0, max(count, 1), size):
            some = self._frame.iloc[start : start + size]
            cells = {name: [_text(cell) for cell in some[name].tolist()] for name in wanted}
            lines = np.arange(start + 1, start + 1 + len(some), dtype=np.int64)
            yield Rows(pd.DataFrame(cells, dtype="str"), lines, "row")

    def count(self) -> int:
        return len(self._frame)


def _text(value: object) -> str:
    """The text of a cell; an array, which engines make of a list, is written as JSON as a list is."""
    return value_text(value.tolist() if isinstance(value, np.ndarray | np.generic) else value)
