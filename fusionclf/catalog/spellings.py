"""Names that differ only in case, blanks or Unicode form, such as shirts, Shirts and "Shirts "."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from fusionclf.catalog.read_report import ReadReport
from fusionclf.config import CatalogConfig


def spelling_key(name: str) -> str:
    """A key that names share if they differ only in case, blanks or Unicode form.

    Source: compatibility caseless matching, The Unicode Standard, section 3.13.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def distinguishable(names: Sequence[str]) -> list[str]:
    """Names for a message; with escapes where some look the same because they differ only in Unicode form."""
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


def join_spellings(table: pd.DataFrame, columns: CatalogConfig, report: ReadReport) -> None:
    """Give labels and categories that differ only in case, blanks or Unicode form one spelling, in place."""
    for name, source in {"label": columns.label, **{name: name for name in columns.categories}}.items():
        usual = joined_spelling(table[name])
        if usual:
            report.joined[source] = int(np.count_nonzero(table[name].isin(usual)))
            table[name] = table[name].map(lambda cell, usual=usual: usual.get(cell, cell))
