"""Which column is the title, and which ones are further texts."""

from fusionclf.catalog.describing.evidence import SET, Evidence, Guess, listed, percent
from fusionclf.catalog.describing.headers import language_suffix
from fusionclf.catalog.describing.profile import Profile

TITLE_LENGTH = (2, 250)  # characters, mean
TEXT_WORDS = 4  # mean, of a text whose header says nothing
SAME_TITLE = 0.9  # share of rows in which a column repeats the title
RESERVED = "title"  # the name of the title among the fields of a product


def guess_title(evidence: Evidence) -> Guess:
    """The guess of `catalog.title`: short text that seldom repeats; None where the catalog has none."""
    if (pinned := evidence.pinned_columns("catalog.title")) is not None:
        evidence.take(pinned)
        return Guess("catalog.title", evidence.pinned["catalog.title"], SET, pinned)
    found = [p for p in evidence.free() if _may_be_title(p)]
    named = [p for p in found if p.kind == "title"]
    if not named and not (found := [p for p in found if _is_natural(p)]):
        return Guess("catalog.title", None, "no column of short texts")
    best = max(named or found, key=_title_rank)
    evidence.take([best.name])
    reason = (
        f"{best.words:.0f} words, {percent(best.unique)} of them different, {percent(best.filled)} filled"
    )
    others = [p.name for p in named if p is not best]
    doubts = []
    if not named:
        doubts.append(
            f"catalog.title: no header says title or name; could be {listed([p.name for p in found])}"
        )
    elif others:
        doubts.append(f"catalog.title: could also be {listed(others)}")
    return Guess("catalog.title", best.name, reason, (best.name,), tuple(doubts))


def _may_be_title(profile: Profile) -> bool:
    low, high = TITLE_LENGTH
    natural = profile.is_wordy and not profile.is_constant and low <= profile.length <= high
    return natural and profile.unique >= 0.05 and profile.kind in ("title", "text", "label", "")


def _is_natural(profile: Profile) -> bool:
    """Whether cells are phrases: without a header that says so, a title has blanks and seldom repeats."""
    return (
        profile.words >= 1.5
        and profile.unique >= 0.5
        and not profile.is_code
        and profile.kind in ("", "text")
    )


def _title_rank(profile: Profile) -> tuple[float, ...]:
    """Filled and different first; a title of few words before a description; then the file's order."""
    short = profile.words <= 25
    return (
        short,
        not profile.is_code,
        round(profile.filled * profile.unique, 1),
        profile.unique,
        -profile.place,
    )


def guess_texts(evidence: Evidence, title: str | None) -> Guess:
    """The guess of `catalog.text`: columns of informative text in the title's language."""
    if (pinned := evidence.pinned_columns("catalog.text")) is not None:
        evidence.take(pinned)
        return Guess("catalog.text", evidence.pinned["catalog.text"], SET, pinned)
    found = [p for p in evidence.free() if _is_text(p)]
    head = evidence.profiles.get(title or "")
    other = [p for p in found if head is not None and is_translation(p, head, evidence)]
    same = [p for p in found if head is not None and p not in other and _repeats(p, head)]
    clashing = [p for p in found if p.name == RESERVED]
    chosen = [p for p in found if p not in (*other, *same, *clashing)]
    evidence.take(p.name for p in (*found,))
    doubts = []
    if other:
        names = listed([p.name for p in other])
        doubts.append(f"catalog.text: {names} left out: not in the title's language")
    if clashing:
        doubts.append(
            "catalog.text: the column 'title' left out: texts cannot have this name; rename it to use it"
        )
    names = tuple(p.name for p in chosen)
    reason = ", ".join(f"{p.words:.0f} words" for p in chosen) or "no further column of texts"
    return Guess("catalog.text", names, reason, names, tuple(doubts))


def _is_text(profile: Profile) -> bool:
    if not profile.is_wordy or profile.is_constant or profile.is_code:
        return False
    if profile.kind in ("keeping", "code", "id", "picture", "link", "price", "variant", "level"):
        return False
    if profile.kind in ("attribute", "label"):
        return profile.words >= 2 * TEXT_WORDS and profile.unique > 0.3
    few = profile.distinct <= max(20, 0.02 * len(profile.cells))
    if profile.kind == "text":
        return not few or profile.words >= TEXT_WORDS
    return not few and (profile.words >= TEXT_WORDS or profile.unique >= 0.2)


def is_translation(profile: Profile, title: Profile, evidence: Evidence) -> bool:
    """Whether a column is in another language than the title: by its script, or by the ends of headers (name_de)."""
    if profile.script and title.script and profile.script != title.script:
        return True
    stem, language = language_suffix(profile.name)
    stems = [language_suffix(name) for name in evidence.profiles if name != profile.name]
    has_twin = any(stem == other for other, _ in stems)
    return bool(language) and has_twin and language != language_suffix(title.name)[1]


def _repeats(profile: Profile, title: Profile) -> bool:
    """Whether a column holds the title once more."""
    pairs = [(a, b) for a, b in zip(profile.cells, title.cells, strict=True) if a and b]
    return bool(pairs) and sum(a.casefold() == b.casefold() for a, b in pairs) >= SAME_TITLE * len(pairs)
