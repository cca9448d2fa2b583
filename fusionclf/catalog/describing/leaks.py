"""Columns that give the class away: no model may read them."""

from collections.abc import Callable

import pandas as pd

from fusionclf.catalog.describing.dependency import determines, repeats
from fusionclf.catalog.describing.evidence import Evidence
from fusionclf.catalog.describing.paths import path_column
from fusionclf.catalog.describing.profile import Profile

REFINES = 0.95  # determines: values of a column belong to one class each
IS_NAMED = 0.8  # share of rows whose cell lists the class


def find_leaks(evidence: Evidence, label: pd.Series) -> dict[str, str]:
    """Column without a role → why it gives the class away; also those that the class determines.

    Args:
        label: the class of each row.
    """
    found = {}
    for profile in evidence.free():
        if reason := _reason(profile, label):
            found[profile.name] = reason
    return found


def _reason(profile: Profile, label: pd.Series) -> str:
    if profile.kind in ("label", "level"):
        return "a level of the taxonomy"
    if path_column(profile) is not None:
        return "a path of the taxonomy"
    if _lists_label(profile, label):
        return "its cells name the class"
    below = determines(profile.cells, label) if repeats(profile.cells) > 0.3 else 0.0
    above = determines(label, profile.cells)
    is_class = below >= REFINES and above >= REFINES
    if is_class:
        return "one value for each class"
    if above >= REFINES and not profile.is_constant:
        return "the class determines it"
    if below >= REFINES and _is_sorted_by_class(profile):
        return "its values belong to one class each"
    return ""


def _is_sorted_by_class(profile: Profile) -> bool:
    """Whether a column has the form of a finer class; texts, prices and brands may belong to one class each, too."""
    form = profile.is_wordy or profile.is_whole
    return (
        form
        and profile.repeated >= 0.5
        and profile.words < 4
        and profile.kind not in ("attribute", "price", "text", "title")
    )


def _lists_label(profile: Profile, label: pd.Series) -> bool:
    """Whether most cells hold the class as an item of a list, or as a whole."""
    if not profile.is_wordy:
        return False
    pairs = [
        (str(c).casefold(), str(k).casefold()) for c, k in zip(profile.cells, label, strict=True) if c and k
    ]
    pairs = pairs[:: max(1, len(pairs) // 1000)]
    return bool(pairs) and sum(_is_item(k.rpartition(" > ")[2], c) for c, k in pairs) >= IS_NAMED * len(pairs)


def _is_item(name: str, cell: str) -> bool:
    split: Callable[[str], list[str]] = lambda sign: [item.strip(" []\"'") for item in cell.split(sign)]  # noqa: E731
    return any(name in split(sign) for sign in (",", ";", "|", ">", "/"))
