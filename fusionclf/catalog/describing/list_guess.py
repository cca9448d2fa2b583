"""Columns whose cells list several labels, such as red|dress."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from fusionclf.catalog.describing.evidence import Evidence, Guess
from fusionclf.catalog.describing.paths import path_column
from fusionclf.catalog.describing.profile import Profile, repeated_share
from fusionclf.catalog.label_lists import JSON, listed_labels

SIGNS = (JSON, "|", ";", ",")
SEVERAL = 0.2  # share of the cells with two labels or more
ENOUGH_ROWS = 0.9  # share of labels that have enough rows
LONGEST_LABEL, MOST_WORDS = 30, 3  # mean characters and words of a label
NO_CLASS = "no column looks like a class"


@dataclass(frozen=True)
class ListColumn:
    """A column of lists.

    Attributes:
        column: its profile.
        sign: between the labels of a cell.
        labels: number of labels.
        mean: labels of a cell.
    """

    column: Profile
    sign: str
    labels: int
    mean: float

    @property
    def reason(self) -> str:
        """What the cells hold, in a few words."""
        return f"lists: {self.labels:,} labels, {self.mean:.1f} a product"


def list_column(profile: Profile) -> ListColumn | None:
    """How the cells of a column list labels; None where they do not.

    Cells are lists where enough of them hold two labels or more, and nearly all labels are short and have enough rows.
    """
    if (
        profile.is_url
        or profile.names_pictures
        or profile.is_date
        or profile.is_number
        or not profile.distinct
    ):
        return None
    for sign in SIGNS:
        lists = [listed_labels(cell, sign) for cell in profile.looked_at]
        if any(own is None for own in lists) or (sign != JSON and profile.looked_at[0].startswith("[")):
            continue
        cells = [[label for label in own or () if label] for own in lists]
        if sum(len(own) > 1 for own in cells) < SEVERAL * len(cells):
            continue
        labels = [label for own in cells for label in own]
        short = sum(map(len, labels)) <= LONGEST_LABEL * len(labels)
        few_words = sum(len(label.split()) for label in labels) <= MOST_WORDS * len(labels)
        counts = Counter(labels)
        if short and few_words and repeated_share(pd.Series(counts)) >= ENOUGH_ROWS and len(counts) > 1:
            return ListColumn(profile, sign, len(counts), len(labels) / len(cells))
    return None


def with_label_list(evidence: Evidence, guesses: Sequence[Guess]) -> list[Guess]:
    """The guesses of the label, and of `catalog.label_list` where its cells hold several labels.

    Args:
        evidence: the sampled table.
        guesses: as of `guess_label`.
    """
    label, *others = guesses
    if others or {"catalog.label_list", "catalog.label_separator"} & set(evidence.pinned):
        return list(guesses)
    if label.reason == NO_CLASS:
        return _only_lists(evidence, label)
    own = evidence.profiles.get(label.columns[0]) if label.columns else None
    if own is not None and path_column(own) is None and (found := list_column(own)) is not None:
        reason = label.reason if "catalog.label" in evidence.pinned else found.reason
        return [replace(label, reason=reason), _list_guess(found)]
    if (beside := _named_lists(evidence)) and "catalog.label" not in evidence.pinned:
        first = beside[0]
        doubt = (
            f"catalog.label: the column {first.column.name!r} holds {first.reason}; to predict them, set "
            f"catalog.label={first.column.name} catalog.label_list={first.sign!r}"
        )
        return [replace(label, doubts=(*label.doubts, doubt))]
    return list(guesses)


def _only_lists(evidence: Evidence, label: Guess) -> list[Guess]:
    """The column of lists with most labels a product, where no other column looks like a class."""
    found = [own for p in evidence.free() if (own := list_column(p)) is not None]
    if not found:
        return [label]
    best = max(found, key=lambda own: (own.mean, -own.column.place))
    name = best.column.name
    evidence.take([name])
    return [Guess("catalog.label", name, best.reason, (name,)), _list_guess(best)]


def _named_lists(evidence: Evidence) -> list[ListColumn]:
    """The free columns of lists whose header names a class, and that are no paths."""
    named = [p for p in evidence.free() if p.kind == "label" and path_column(p) is None]
    return [own for p in named if (own := list_column(p)) is not None]


def _list_guess(found: ListColumn) -> Guess:
    what = "each cell is a JSON list" if found.sign == JSON else "between the labels of a cell"
    return Guess("catalog.label_list", found.sign, what)
