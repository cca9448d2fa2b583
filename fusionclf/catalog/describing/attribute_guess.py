"""Which columns models read as categories or numbers."""

from fusionclf.catalog.describing.evidence import SET, Evidence, Guess
from fusionclf.catalog.describing.profile import Profile

FILLED = 0.1  # share of cells
MOST_SAME = 0.9  # share of one value
MOST_VALUES = 0.1  # of the rows, of an attribute whose header says nothing
RESERVED = "title"


def guess_attributes(evidence: Evidence) -> Guess:
    """The guess of `catalog.attributes`: numbers, and words that repeat."""
    if (pinned := evidence.pinned_columns("catalog.attributes")) is not None:
        evidence.take(pinned)
        return Guess("catalog.attributes", evidence.pinned["catalog.attributes"], SET, pinned)
    chosen = [p for p in evidence.free() if _is_attribute(p)]
    names = tuple(p.name for p in chosen if p.name != RESERVED)
    evidence.take(names)
    doubts = ()
    if len(names) < len(chosen):
        doubts = (
            "catalog.attributes: the column 'title' left out: no attribute can have this name; rename it",
        )
    reason = ", ".join(_form(p) for p in chosen) or "no column of numbers or repeated words"
    return Guess("catalog.attributes", names, reason, names, doubts)


def _form(profile: Profile) -> str:
    return "numbers" if profile.is_number else f"{profile.distinct:,} values"


def _is_attribute(profile: Profile) -> bool:
    if (
        profile.top_share >= MOST_SAME
        or profile.filled < FILLED
        or profile.is_date
        or profile.is_url
        or profile.names_pictures
    ):
        return False
    if profile.kind in ("keeping", "code", "id", "picture", "link", "variant", "label", "level"):
        return False
    if profile.kind in ("attribute", "price"):
        return profile.is_number or profile.unique < 0.9
    if profile.is_number:
        counter = profile.is_whole and profile.unique > 0.95
        return not counter and not profile.is_year
    return profile.distinct <= max(20, MOST_VALUES * len(profile.cells)) and profile.repeated >= 0.5
