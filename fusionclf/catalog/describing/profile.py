"""What the cells of one column look like: counts and shares by which its role is guessed."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import pandas as pd

from fusionclf.catalog.describing.headers import header_kind
from fusionclf.catalog.picture_paths import URL

LOOKED_AT = 1_000  # cells whose form is looked at
ENOUGH = 5  # rows that make a class worth learning
CURRENCY = r"(?:[€$£¥₹]|eur|usd|gbp|chf|inr|jpy|cad|aud|sek|nok|dkk|pln|zł|kr\.?|rs\.?|円)"
NUMBER = re.compile(
    rf"[-+]?{CURRENCY}?\s*[-+]?(?:\d{{1,3}}(?:[ .,'\u2019\u00a0\u202f]\d{{3}})+|\d+)?(?:[.,]\d+)?\s*(?:{CURRENCY}|%)?",
    re.IGNORECASE,
)
WHOLE = re.compile(r"\d+(?:\.0+)?")
YEAR = re.compile(r"(?:1[4-9]\d\d|20\d\d)(?:\.0)?")
DATE = re.compile(r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2}))(?:\D.*)?")
CODE = re.compile(r"(?=.*[\d_-])[\w.:#+-]+|[A-Z]{3,}")
PICTURE = re.compile(
    r".*\.(?:jpe?g|png|webp|gif|bmp|tiff?|avif|jp2)(?:\?.*)?['\"\]]*", re.IGNORECASE | re.DOTALL
)
FLAGS = frozenset("true false yes no y n t f 0 1 ja nein oui non si sí vrai faux wahr falsch".split())
Test = Callable[[str], object]


@dataclass(frozen=True)
class Profile:
    """What a column's cells look like.

    Attributes:
        name: of the column.
        place: of the column in the file, from 0.
        cells: the sampled cells, stripped; "" where one is missing.
    """

    name: str
    place: int
    cells: pd.Series

    @cached_property
    def present(self) -> pd.Series:
        """The cells that are not missing."""
        return cast(pd.Series, self.cells[self.cells != ""])

    @cached_property
    def filled(self) -> float:
        """Share of the cells that are not missing."""
        return len(self.present) / max(len(self.cells), 1)

    @cached_property
    def counts(self) -> pd.Series:
        """Value → rows, the most frequent first."""
        return self.present.value_counts()

    @property
    def distinct(self) -> int:
        """Number of values."""
        return len(self.counts)

    @property
    def unique(self) -> float:
        """Values for each row that has one: 1 where none is repeated."""
        return self.distinct / max(len(self.present), 1)

    @property
    def top_share(self) -> float:
        """Share of the most frequent value among all cells, missing ones included."""
        if not self.distinct:
            return 1.0
        return max(int(self.counts.iloc[0]), len(self.cells) - len(self.present)) / len(self.cells)

    @property
    def is_constant(self) -> bool:
        """Whether nearly all cells are the same, so that they tell nothing."""
        return self.distinct < 2 or self.top_share > 0.95

    @cached_property
    def repeated(self) -> float:
        """Share of the rows with a value that have one of at least ENOUGH rows."""
        return repeated_share(self.counts)

    @cached_property
    def looked_at(self) -> list[str]:
        """At most LOOKED_AT cells, evenly spread."""
        step = max(1, len(self.present) // LOOKED_AT)
        return [str(cell) for cell in self.present.iloc[::step][:LOOKED_AT]]

    def share(self, test: Test) -> float:
        """Share of the cells with a value that pass a test."""
        return sum(bool(test(cell)) for cell in self.looked_at) / max(len(self.looked_at), 1)

    @cached_property
    def length(self) -> float:
        """Mean number of characters."""
        return float(np.mean([len(cell) for cell in self.looked_at] or [0]))

    @cached_property
    def words(self) -> float:
        """Mean number of words; of a script without blanks, of two characters each."""
        return float(np.mean([_words(cell) for cell in self.looked_at] or [0]))

    @cached_property
    def is_number(self) -> bool:
        """Whether the cells are numbers, with or without a currency."""
        return self.share(is_number) >= 0.95

    @cached_property
    def is_whole(self) -> bool:
        """Whether the cells are whole numbers."""
        return self.share(WHOLE.fullmatch) >= 0.95

    @cached_property
    def is_year(self) -> bool:
        """Whether the cells are years."""
        return self.share(YEAR.fullmatch) >= 0.95

    @cached_property
    def is_date(self) -> bool:
        """Whether the cells are dates."""
        return self.share(DATE.fullmatch) >= 0.8

    @cached_property
    def is_url(self) -> bool:
        """Whether the cells are URLs."""
        return self.share(URL.match) >= 0.8

    @cached_property
    def is_code(self) -> bool:
        """Whether the cells are codes: one word with digits, dashes or capitals alone."""
        return self.share(CODE.fullmatch) >= 0.8

    @cached_property
    def is_flag(self) -> bool:
        """Whether the cells say yes or no."""
        return self.distinct <= 3 and self.share(lambda cell: cell.casefold() in FLAGS) >= 0.95

    @cached_property
    def names_pictures(self) -> bool:
        """Whether the cells end as names of pictures do."""
        return self.share(PICTURE.fullmatch) >= 0.8

    @cached_property
    def is_wordy(self) -> bool:
        """Whether the cells are words, and not numbers, dates, codes or addresses."""
        plain = not (self.is_number or self.is_date or self.is_url or self.names_pictures)
        return plain and self.share(lambda cell: any(c.isalpha() for c in cell)) >= 0.8

    @cached_property
    def script(self) -> str:
        """The script of most letters, such as LATIN; "" where there are none."""
        letters = Counter(
            _script(letter) for cell in self.looked_at[:100] for letter in cell[:100] if letter.isalpha()
        )
        return letters.most_common(1)[0][0] if letters else ""

    @property
    def kind(self) -> str:
        """What the header says, as `header_kind`."""
        return header_kind(self.name)

    def examples(self, count: int = 3) -> list[str]:
        """The first few different values."""
        return [str(value) for value in dict.fromkeys(self.present.iloc[:200])][:count]


def repeated_share(counts: pd.Series) -> float:
    """Share of the rows whose value has at least ENOUGH rows, from value → rows."""
    return float(counts[counts >= ENOUGH].sum() / max(int(counts.sum()), 1))


def is_number(cell: str) -> bool:
    """Whether a cell is a number, with or without a currency or a percent sign.

    >>> [is_number(cell) for cell in ("12,99 €", "$1,299.00", "Rs. 354", "12 cm", "")]
    [True, True, True, False, False]
    """
    return any(c.isdigit() for c in cell) and NUMBER.fullmatch(cell.strip()) is not None


def profile_columns(table: pd.DataFrame) -> dict[str, Profile]:
    """Column → its profile."""
    return {
        str(name): Profile(str(name), place, cast(pd.Series, table[name]))
        for place, name in enumerate(table.columns)
    }


def _words(cell: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) == "W" for c in cell[:400])
    return max(len(cell.split()), wide // 2)


def _script(letter: str) -> str:
    script = unicodedata.name(letter, "?").split()[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK") else script


def spread(values: Sequence[str], count: int) -> list[str]:
    """At most `count` of some values, evenly spread."""
    step = max(1, len(values) // count)
    return list(values[::step][:count])
