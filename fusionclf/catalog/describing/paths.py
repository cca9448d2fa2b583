"""Columns whose cells are paths of a taxonomy, such as `Home > Chairs > Armchairs`."""

import json
import re
from dataclasses import dataclass

import pandas as pd

from fusionclf.catalog.describing.dependency import determines
from fusionclf.catalog.describing.profile import Profile, repeated_share

SIGNS = (">", "»", "\u203a", "::", "|", "/", "\\")  # two of a sign, as in A >> B, are one
MOST_STEPS = 10
LONGEST_PATH = 200  # characters, mean
MARKUP = re.compile(r"[=-]>|<|https?://")  # arrows of hashes, tags, addresses
LONGEST_STEP = 50  # characters, mean


@dataclass(frozen=True)
class PathColumn:
    """A column of paths.

    Attributes:
        column: its profile.
        separator: between the steps.
        steps: row → the steps of its cell; none where it is empty.
    """

    column: Profile
    separator: str
    steps: list[list[str]]

    @property
    def depth(self) -> int:
        """Steps of the longest path."""
        return max(map(len, self.steps), default=0)

    def upto(self, level: int | None) -> pd.Series:
        """The first `level` steps of each cell as one text, "" where it has fewer; None: all steps."""
        cells = [
            " > ".join(steps[:level]) if level is None or len(steps) >= level else "" for steps in self.steps
        ]
        return pd.Series(cells, self.column.cells.index, dtype="str")

    def enough_rows(self, level: int | None) -> float:
        """Share of the rows whose class at this level has enough rows."""
        counts = self.upto(level).loc[lambda cells: cells != ""].value_counts()
        return repeated_share(counts) * counts.sum() / max(len(self.column.present), 1)

    def has_several(self) -> bool:
        """Whether cells hold several paths, with commas between."""
        return self.column.share(lambda cell: f"{self.separator}" in cell.partition(", ")[2]) >= 0.2


def path_column(profile: Profile) -> PathColumn | None:
    """The steps of a column's cells; None where they are no paths.

    Cells are paths where most of them have the same separator, and a step nearly always has the same step above.
    """
    if (
        profile.is_url
        or profile.names_pictures
        or profile.is_date
        or profile.is_number
        or not profile.distinct
    ):
        return None
    if profile.length > LONGEST_PATH or profile.share(MARKUP.search) > 0.3:
        return None
    for sign in SIGNS:
        if profile.share(lambda cell, sign=sign: sign in cell) < 0.4:
            continue
        steps = [path_steps(str(cell), sign) for cell in profile.cells]
        if _is_tree(steps):
            return PathColumn(profile, _written_sign(profile, sign), steps)
    return None


def path_steps(cell: str, separator: str) -> list[str]:
    """The steps of a cell: of a JSON list, of its first path.

    >>> path_steps("Home > Chairs", ">"), path_steps('["Home >> Chairs >> Ohm A1"]', ">")
    (['Home', 'Chairs'], ['Home', 'Chairs', 'Ohm A1'])
    """
    if cell.startswith("["):
        try:
            values = json.loads(cell)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list) and values and isinstance(values[0], str):
            cell = values[0]
    pieces = re.split(f"(?:{re.escape(separator)})+", cell)
    return [piece.strip() for piece in pieces if piece.strip()][:MOST_STEPS]


def _is_tree(steps: list[list[str]]) -> bool:
    long = [found for found in steps if len(found) > 1]
    if len(long) < 0.4 * sum(map(bool, steps)):
        return False
    if sum(map(len, (step for found in long for step in found))) > LONGEST_STEP * sum(map(len, long)):
        return False
    first, second = pd.Series([f[0] for f in long]), pd.Series([f[1] for f in long])
    few = first.nunique() <= max(2, 0.2 * len(first)) and first.nunique() <= second.nunique()
    return few and (first.nunique() == 1 or determines(second, first) >= 0.7)


def _written_sign(profile: Profile, sign: str) -> str:
    """The separator as the cells have it, such as >>."""
    double = profile.share(lambda cell: sign * 2 in cell) >= 0.4
    return sign * 2 if double else sign
