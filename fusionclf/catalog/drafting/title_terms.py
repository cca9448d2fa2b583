"""Terms of train titles that go with a class: log odds with a prior.

Source: Monroe, Colaresi and Quinn, Fightin' Words (2008).
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import log, sqrt

import numpy as np

from fusionclf.catalog.drafting.phrases import singular_words

LONGEST_TERM = 3  # words
PRIOR = 10.0  # rows that the prior counts as
LEAST_ROWS = 3  # with a term
LEAST_Z = 1.96
MOST_TITLES = 100_000  # that are counted; more are sampled


@dataclass(frozen=True)
class TitleTerms:
    """How often terms occur in the titles of each class.

    Attributes:
        rows: class → its titles.
        counts: term → class → its titles with the term.
        last: term → class → its titles that end with the term.
    """

    rows: Counter[str]
    counts: dict[str, Counter[str]]
    last: dict[str, Counter[str]]

    @classmethod
    def from_titles(
        cls, titles: Sequence[str], labels: Sequence[str], wanted: Collection[str] | None = None
    ) -> "TitleTerms":
        """The terms of n titles.

        Args:
            titles: (n,) of train rows alone.
            labels: (n,) their classes.
            wanted: terms to count, as `singular_words` writes them; None: those that titles end with.
        """
        if len(titles) > MOST_TITLES:
            some = np.sort(np.random.default_rng(0).permutation(len(titles))[:MOST_TITLES])
            titles, labels = (np.array(values, object)[some].tolist() for values in (titles, labels))
        texts = [singular_words(title) for title in titles]
        last: dict[str, Counter[str]] = {}
        for text, label in zip(texts, labels, strict=True):
            words = text.split(" ")
            for length in range(1, min(LONGEST_TERM, len(words))):
                last.setdefault(" ".join(words[-length:]), Counter())[label] += 1
        wanted = set(last if wanted is None else wanted)
        counts: dict[str, Counter[str]] = {}
        for text, label in zip(texts, labels, strict=True):
            for term in wanted.intersection(_terms(text)):
                counts.setdefault(term, Counter())[label] += 1
        return cls(Counter(labels), counts, last)

    def z(self, term: str, label: str, without: str = "") -> float:
        """How much more a class's titles have a term than those of others, in standard errors.

        Args:
            term: as `singular_words` writes it.
            label: the class.
            without: a class whose titles are left out; "" for none.
        """
        own = self.counts.get(term, Counter())
        rows, hits = self.rows.total() - self.rows[without], own.total() - own[without]
        if not 0 < hits < rows:
            return 0.0
        prior = PRIOR * hits / rows
        has, others = own[label] + prior, hits - own[label] + prior
        lacks = self.rows[label] - own[label] + PRIOR - prior
        rest = rows - self.rows[label] - hits + own[label] + PRIOR - prior
        return (log(has / lacks) - log(others / rest)) / sqrt(1 / has + 1 / others)

    def goes_with_another(self, term: str, name: str, share: float = 0.0) -> bool:
        """Whether a term goes with a class other than `name`, whose own titles do not count.

        So the terms of a class with train rows are judged as those of one without.

        Args:
            term: any text.
            name: the class.
            share: of the other class's titles that must have the term.
        """
        form = singular_words(term)
        return any(
            count >= max(LEAST_ROWS, share * self.rows[label]) and self.z(form, label, name) >= LEAST_Z
            for label, count in self.counts.get(form, Counter()).items()
            if label != name
        )

    def of_class(self, name: str, most: int = 8) -> list[tuple[str, int]]:
        """Terms that titles of a class end with and that go with it: term, and its titles of the class with it."""
        least = max(LEAST_ROWS, 0.03 * self.rows[name])
        fitting = (
            (self.z(term, name), term)
            for term, ends in self.last.items()
            if ends[name] >= least and 2 * self.counts[term][name] > self.counts[term].total()
        )
        return [(term, self.counts[term][name]) for _, term in islice(sorted(fitting, reverse=True), most)]


def _terms(text: str) -> Iterator[str]:
    words = text.split(" ")
    for length in range(1, LONGEST_TERM + 1):
        for first in range(len(words) - length + 1):
            yield " ".join(words[first : first + length])
