"""Which column groups the rows of one style, whose titles differ only in size or colour."""

from itertools import islice
from typing import cast

import pandas as pd

from fusionclf.catalog.describing.dependency import repeats
from fusionclf.catalog.describing.evidence import Evidence, percent
from fusionclf.catalog.describing.profile import Profile
from fusionclf.catalog.titles import split_words

GROUPED = 0.1  # share of rows that share their cell with another row
ALIKE = 0.6  # share of the words of the shorter title that two titles of a group have in common
MOST_PAIRS = 1_000
MOST_ROWS = 500  # in a group: a style does not have more variants


def find_variant_column(evidence: Evidence, title: str | None, label: str) -> tuple[str, str] | None:
    """The column of the style and the reason; None where there is none.

    Args:
        title: column of the title; where there is none, the header alone decides.
        label: column of the class.
    """
    found = []
    for profile in evidence.free():
        if not _may_group(profile, evidence, label):
            continue
        likeness = _likeness(profile, evidence.profiles[title]) if title else float(profile.kind == "variant")
        named = profile.kind == "variant"
        if likeness >= (ALIKE - 0.2 if named else ALIKE):
            found.append((named, profile.is_code, round(likeness, 2), -profile.place, profile, likeness))
    if not found:
        return None
    *_, best, likeness = max(found, key=lambda item: item[:4])
    groups = int((best.counts > 1).sum())
    alike = f", whose titles share {percent(likeness)} of their words" if title else ""
    return best.name, f"{groups:,} groups of rows{alike}"


def _may_group(profile: Profile, evidence: Evidence, label: str) -> bool:
    """Whether a column has many small groups, each of one class, and a name or form of a key."""
    if profile.kind in ("price", "attribute", "label", "level", "keeping", "text", "picture", "link"):
        return False
    if profile.is_date or profile.is_url or profile.is_flag or profile.names_pictures or profile.length > 80:
        return False
    largest = int(profile.counts.iloc[0])
    if profile.distinct < 5 or largest > MOST_ROWS or repeats(profile.cells) < GROUPED:
        return False
    if (
        profile.is_number
        and profile.kind != "variant"
        and not (profile.is_whole and profile.kind in ("id", "code"))
    ):
        return False
    many = profile.distinct >= 2 * evidence.profiles[label].distinct
    return many and evidence.determines(profile.name, label) >= 0.9


def _likeness(profile: Profile, title: Profile) -> float:
    """Mean share of words that titles of one group have in common, over pairs of neighbours in a group."""
    cells = cast(pd.Series, profile.cells[(profile.cells != "") & (title.cells != "")])
    shares = []
    for rows in islice(cells.groupby(cells, sort=False).indices.values(), MOST_PAIRS):
        if len(rows) > 1:
            first, second = (set(split_words(title.cells.loc[cells.index[row]])) for row in rows[[0, -1]])
            shares.append(len(first & second) / max(min(len(first), len(second)), 1))
    return sum(shares) / max(len(shares), 1)
