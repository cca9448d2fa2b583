"""Names that differ in case, blanks or Unicode form alone: shirts, Shirts and "Shirts " are one word."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence


def spelling_key(name: str) -> str:
    """Equal for names that differ in case, blanks or Unicode form alone (Unicode's compatibility caseless match)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def distinguishable(names: Sequence[str]) -> list[str]:
    """Names as a message shows them: with escapes where some look the same, for they differ in Unicode form alone."""
    looks = {unicodedata.normalize("NFC", name) for name in names}
    return list(names) if len(looks) == len(names) else [ascii(name)[1:-1] for name in names]


def spellings(names: Iterable[str]) -> list[list[str]]:
    """Groups of different spellings of one name, each from the most to the least frequent, ties by name.

    Args:
        names: one for each product; "" is no name.
    """
    counts = Counter(names)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        if name:
            groups[spelling_key(name)].append(name)
    several = [
        sorted(group, key=lambda name: (-counts[name], name)) for group in groups.values() if len(group) > 1
    ]
    return sorted(several)


def joined_spelling(names: Iterable[str]) -> dict[str, str]:
    """Spelling → the most frequent spelling of the same name, for the less frequent ones."""
    return {other: group[0] for group in spellings(names) for other in group[1:]}
