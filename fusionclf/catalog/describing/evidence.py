"""What the guesses share: the sampled table, its folder, its profiles, and what the user has set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fusionclf.catalog.describing.dependency import determines
from fusionclf.catalog.describing.profile import Profile, profile_columns
from fusionclf.catalog.missing import is_missing

SET = "set by you"


@dataclass(frozen=True)
class Guess:
    """A setting that was guessed.

    Attributes:
        setting: its path, such as catalog.title.
        value: of the setting.
        reason: for the value, in a few words.
        columns: of which examples are shown.
        doubts: what is unsure, each with the alternatives.
    """

    setting: str
    value: Any
    reason: str
    columns: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass
class Evidence:
    """What the guesses are made of.

    Attributes:
        root: the catalog's folder.
        table: rows of the file as stripped text; "" where a cell is missing.
        pinned: settings that the user has set, by their path.
        taken: columns that have a role already.
        variant: the column of the style and the reason, where one was found.
        leaks: column → why it gives the class away.
    """

    root: Path
    table: pd.DataFrame
    pinned: dict[str, Any] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    variant: tuple[str, str] | None = None
    leaks: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.profiles = profile_columns(self.table)
        self._determined: dict[tuple[str, str], float] = {}

    def free(self) -> list[Profile]:
        """The columns without a role that hold anything, in the file's order."""
        return [p for p in self.profiles.values() if p.name not in self.taken and p.distinct]

    def take(self, names: Iterable[str | None]) -> None:
        """Mark columns as having a role."""
        self.taken.update(name for name in names if name)

    def determines(self, source: str, target: str) -> float:
        """How far one column determines another, as `dependency.determines`."""
        pair = (source, target)
        if pair not in self._determined:
            self._determined[pair] = determines(self.profiles[source].cells, self.profiles[target].cells)
        return self._determined[pair]

    def pinned_columns(self, setting: str) -> tuple[str, ...] | None:
        """The columns that the user gave a setting, those of the file alone; None where it was not set."""
        if setting not in self.pinned:
            return None
        value = self.pinned[setting]
        names: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
        return tuple(name for name in names if name in self.profiles)


def clean_table(table: pd.DataFrame) -> pd.DataFrame:
    """The named columns of a table, with stripped cells: "" where one is a word for a missing value."""
    found = {
        str(name): ["" if is_missing(cell) else str(cell).strip() for cell in table[name].tolist()]
        for name in table.columns
        if str(name).strip()
    }
    return pd.DataFrame(found, dtype="str")


def percent(share: float) -> str:
    """A share in percent; 100 % only where it is all.

    >>> percent(0.999), percent(0.9999), percent(1), percent(0.25)
    ('99.9 %', '99.9 %', '100 %', '25 %')
    """
    shown = f"{100 * share:.0f}"
    return f"{min(100 * share, 99.9):.1f} %" if shown == "100" and share < 1 else f"{shown} %"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names with commas between; of many the first ones."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
