"""Which column is the product's id, and which is a year."""

from fusionclf.catalog.describing.evidence import SET, Evidence, Guess, listed, percent
from fusionclf.catalog.describing.headers import FIRST_IDS, header_words
from fusionclf.catalog.describing.profile import Profile

LONGEST_ID = 100  # characters, mean
NEARLY = 0.95
YEAR_WORDS = frozenset("year jahr annee ano anno an jaar rok yr 年 baujahr erscheinungsjahr".split())


def guess_id(evidence: Evidence) -> Guess:
    """The guess of `catalog.id`: a column without repeated cells, short, and called like an id."""
    if (pinned := evidence.pinned_columns("catalog.id")) is not None:
        evidence.take(pinned)
        return Guess("catalog.id", evidence.pinned["catalog.id"], SET, pinned)
    ranked = sorted(evidence.profiles.values(), key=_rank, reverse=True)
    best = ranked[0]
    if best.kind in ("id", "code") or best.is_code or best.names_pictures:  # a title may be the id, too
        evidence.take([best.name])
    if not _is_unique(best):
        missing, repeated = len(best.cells) - len(best.present), len(best.present) - best.distinct
        doubt = (
            f"catalog.id: no column has one value for each row; {best.name!r} is nearest ({missing:,} empty, "
            f"{repeated:,} repeated): keep one row for each id, or add a column of row numbers"
        )
        return Guess("catalog.id", best.name, "nearest to one value for each row", (best.name,), (doubt,))
    others = [p.name for p in ranked[1:] if _is_unique(p) and p.kind in ("id", "code")]
    reason = "each row has its own value" + (f", as in {listed(others, 2)}" if others else "")
    named = best.kind in ("id", "code") or best.is_code
    doubt = f"catalog.id: no column is called like an id; {best.name!r} has one value for each row"
    return Guess("catalog.id", best.name, reason, (best.name,), () if named else (doubt,))


def _is_unique(profile: Profile) -> bool:
    return profile.filled == 1 and profile.unique == 1


def _rank(profile: Profile) -> tuple[float, ...]:
    """Unique before nearly unique; ids by name, then codes; the file's order decides between equals."""
    short = profile.length <= LONGEST_ID and not profile.is_url and not profile.is_date
    nearly = min(profile.filled, profile.distinct / max(len(profile.cells), 1))
    is_id = profile.kind == "id" and not profile.names_pictures
    first = is_id and bool(FIRST_IDS.intersection(header_words(profile.name)))
    code = profile.kind == "code" or (profile.is_code and not profile.names_pictures)
    named = 3 if first else 2 if is_id else 1 if code and profile.kind not in ("price", "picture") else 0
    return (
        short,
        _is_unique(profile),
        nearly >= NEARLY,
        named if nearly >= NEARLY else 0,
        nearly,
        -profile.place,
    )


def guess_year(evidence: Evidence) -> Guess:
    """The guess of `catalog.year`: a column of years; None where there is none."""
    if (pinned := evidence.pinned_columns("catalog.year")) is not None:
        evidence.take(pinned)
        return Guess("catalog.year", evidence.pinned["catalog.year"], SET, pinned)
    found = [p for p in evidence.free() if p.is_year and p.kind not in ("price", "attribute", "keeping")]
    named = [p for p in found if YEAR_WORDS.intersection(header_words(p.name))]
    best = next(iter(named), None)
    if best is None:
        return Guess("catalog.year", None, "no column of years")
    evidence.take([best.name])
    years = [int(float(cell)) for cell in best.looked_at if cell[:4].isdigit()]
    reason = f"years {min(years)}–{max(years)}, {percent(best.filled)} filled"
    return Guess("catalog.year", best.name, reason, (best.name,))
