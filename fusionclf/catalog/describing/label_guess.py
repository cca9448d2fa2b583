"""Which column is the class to predict, and which ones are the categories above it."""

import pandas as pd

from fusionclf.catalog.describing.evidence import SET, Evidence, Guess, listed, percent
from fusionclf.catalog.describing.headers import header_words, is_strong_label
from fusionclf.catalog.describing.list_guess import NO_CLASS
from fusionclf.catalog.describing.paths import PathColumn, path_column
from fusionclf.catalog.describing.profile import ENOUGH, Profile
from fusionclf.catalog.describing.text_guess import is_translation

ENOUGH_ROWS = 0.9  # share of rows in classes of at least ENOUGH rows
BELOW = 0.85  # determines: a column is a level below another one
LONGEST_LABEL = 60  # characters, mean
# Words by which shop programs name kinds of records, not of products.
RECORD_TYPES = frozenset(
    "simple variable variation configurable grouped bundle external virtual downloadable parent child product".split()
)
OWN_NAMES = ("id", "picture", "title", "label", "year")  # columns of Catalog.table that are no category


def guess_label(evidence: Evidence, title: str | None) -> list[Guess]:
    """The guesses of `catalog.label`, and of its separator and level where it is a path."""
    if (pinned := evidence.pinned_columns("catalog.label")) is not None:
        evidence.take(pinned)
        return [Guess("catalog.label", evidence.pinned["catalog.label"], SET, pinned)]
    head = evidence.profiles.get(title or "")
    columns = [p for p in evidence.free() if not (head and is_translation(p, head, evidence))]
    paths = {p.name: path for p in columns if p.kind in ("label", "level", "") and (path := path_column(p))}
    plain = [p for p in columns if p.name not in paths and _may_be_label(p)]
    named = [p for p in plain if p.kind in ("label", "level")]
    enough = [p for p in named if p.repeated >= ENOUGH_ROWS and p.filled >= 0.5]
    path = max(paths.values(), key=_path_rank, default=None)
    if enough:
        return [_plain(evidence, enough, named, path)]
    if path is not None and (path.column.kind == "label" or not named):
        return _path(evidence, path)
    if pool := named or plain:
        return [_unsure(evidence, pool, bool(named))]
    first = next((p.name for p in evidence.free()), "label")
    doubt = (
        "catalog.label: no column has few values with many rows each; name the column of the class to predict"
    )
    return [Guess("catalog.label", first, NO_CLASS, (first,), (doubt,))]


def _may_be_label(profile: Profile) -> bool:
    if profile.is_constant or profile.is_date or profile.is_url or profile.is_flag or profile.names_pictures:
        return False
    if (
        profile.length > LONGEST_LABEL
        or profile.repeated < 0.3
        or profile.kind not in ("label", "level", "title", "")
    ):
        return False
    if {str(value).casefold() for value in profile.counts.index} <= RECORD_TYPES:
        return False
    if profile.is_number:
        return (is_strong_label(profile.name) or "label" in header_words(profile.name)) and profile.is_whole
    return profile.is_wordy or profile.kind == "label"


def _plain(evidence: Evidence, enough: list[Profile], named: list[Profile], path: PathColumn | None) -> Guess:
    """The lowest level that still has enough rows a class, below the column with the best name."""
    best = max(enough, key=lambda p: (_strength(p), not p.is_number, p.distinct, -p.place))
    while below := [
        p for p in enough if p.distinct > best.distinct and evidence.determines(p.name, best.name) > BELOW
    ]:
        best = max(below, key=lambda p: (p.distinct, -p.place))
    evidence.take([best.name])
    deeper = [p for p in named if p not in enough and evidence.determines(p.name, best.name) > BELOW]
    beside = [p.name for p in enough if p is not best and not _is_chained(evidence, p.name, best.name)]
    beside = [name for name in beside if is_strong_label(name) or "label" in header_words(name)]
    reason = f"{best.distinct:,} classes, {percent(best.repeated)} of rows in classes of {ENOUGH} or more"
    if deeper:
        reason += f"; {deeper[0].name} below it has too few rows a class ({percent(deeper[0].repeated)})"
    doubts = [f"catalog.label: could also be {listed(beside)}"] if beside else []
    doubts += [f"catalog.label: {percent(1 - best.filled)} of rows have none"] if best.filled < 0.9 else []
    return Guess("catalog.label", best.name, reason, (best.name,), tuple(doubts))


def _strength(profile: Profile) -> int:
    return is_strong_label(profile.name)


def _is_chained(evidence: Evidence, one: str, other: str) -> bool:
    return max(evidence.determines(one, other), evidence.determines(other, one)) > BELOW


def _unsure(evidence: Evidence, pool: list[Profile], named: bool) -> Guess:
    """A label where no column has both a fitting name and enough rows for each class."""
    parents = {
        p.name: sum(evidence.determines(p.name, o.name) > BELOW for o in pool if o is not p) for p in pool
    }
    best = max(
        pool, key=lambda p: (p.repeated >= ENOUGH_ROWS, parents[p.name], round(p.repeated, 1), p.distinct)
    )
    evidence.take([best.name])
    reason = f"{best.distinct:,} values, {percent(best.repeated)} of rows in classes of {ENOUGH} or more"
    others = listed([f"{p.name} ({p.distinct:,})" for p in pool if p is not best])
    why = "few rows a class" if named else "no header says category, type or class"
    doubt = f"catalog.label: {why}" + (f"; could also be {others}" if others else "")
    return Guess("catalog.label", best.name, reason, (best.name,), (doubt,))


def _path_rank(path: PathColumn) -> tuple[float, ...]:
    return (
        path.column.kind == "label",
        round(path.column.filled, 1),
        path.enough_rows(1),
        -path.column.place,
    )


def _path(evidence: Evidence, path: PathColumn) -> list[Guess]:
    """The lowest level of a column of paths that still has enough rows a class."""
    name = path.column.name
    evidence.take([name])
    level: int | None = None
    if path.enough_rows(None) < ENOUGH_ROWS:
        levels = range(path.depth, 0, -1)
        level = next((n for n in levels if path.enough_rows(n) >= ENOUGH_ROWS), None)
        level = level or max(levels, key=path.enough_rows)
    classes = len(set(path.upto(level)) - {""})
    share = percent(path.enough_rows(level))
    reason = f"paths; {classes:,} classes, {share} of rows in classes of {ENOUGH} or more"
    doubts = []
    if path.has_several():
        doubts.append(f"catalog.label: cells of {name!r} hold several paths; only one can be the class")
    if path.enough_rows(level) < ENOUGH_ROWS:
        doubts.append(f"catalog.label: only {share} of rows are in classes of {ENOUGH} or more at this level")
    guesses = [
        Guess("catalog.label", name, reason, (name,), tuple(doubts)),
        Guess("catalog.label_separator", path.separator, "between the steps of a path"),
    ]
    if level is not None:
        guesses.append(
            Guess("catalog.label_level", level, f"of up to {path.depth}: the lowest with enough rows")
        )
    return guesses


def guess_categories(evidence: Evidence, label: str, title: str | None) -> Guess:
    """The guess of `catalog.categories`: columns that the label determines, top down."""
    if (pinned := evidence.pinned_columns("catalog.categories")) is not None:
        evidence.take(pinned)
        return Guess("catalog.categories", evidence.pinned["catalog.categories"], SET, pinned)
    head, classes = evidence.profiles.get(title or ""), evidence.profiles[label].distinct
    above = [p for p in evidence.free() if _may_be_category(p) and p.distinct < classes]
    above = [p for p in above if evidence.determines(label, p.name) > BELOW]
    same = [p for p in above if not (head and is_translation(p, head, evidence))]
    above = same or above
    above.sort(key=lambda p: (p.distinct, p.place))
    chain: list[Profile] = []
    for profile in reversed(above):
        if not chain or evidence.determines(chain[0].name, profile.name) > BELOW:
            chain.insert(0, profile)
    clashing = [p for p in chain if p.name in OWN_NAMES]
    chain = [p for p in chain if p not in clashing]
    names = tuple(p.name for p in chain)
    evidence.take(names)
    doubts = tuple(
        f"catalog.categories: the column {p.name!r} left out: no category can have this name; rename it to use it"
        for p in clashing
    )
    beside = [
        p.name for p in evidence.free() if _may_be_category(p) and p.kind == "level" and p not in clashing
    ]
    beside = [
        name for name in beside if not (head and is_translation(evidence.profiles[name], head, evidence))
    ]
    if beside:
        doubts += (f"catalog.categories: {listed(beside)} left out: one class is in several of them",)
    reason = "each class has one (few exceptions)" if names else "no column is above the class"
    return Guess("catalog.categories", names, reason, names, doubts)


def _may_be_category(profile: Profile) -> bool:
    plain = (
        profile.is_wordy and not profile.is_code and not profile.is_flag and profile.length <= LONGEST_LABEL
    )
    return plain and not profile.is_constant and profile.kind in ("label", "level", "")


def label_cells(evidence: Evidence, label: str, settings: dict[str, object]) -> pd.Series:
    """The class of each row: the cell, or the step of its path that the settings name."""
    separator, level = settings.get("catalog.label_separator"), settings.get("catalog.label_level")
    profile = evidence.profiles[label]
    path = path_column(profile) if separator else None
    if path is None:
        return profile.cells
    return path.upto(int(str(level)) if level else None)
