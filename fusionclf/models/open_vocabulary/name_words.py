"""The words of class names, and which of them a title has."""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

import inflection
import numpy as np

from fusionclf.catalog.titles import split_words

FILLERS = frozenset({"a", "and", "for", "in", "of", "the", "with"})
CUT_SHORT = 0.8  # likeness of a word and its beginning: "deo", "deodorant"
LEAST_LIKE = 0.5
IRREGULAR = {"lens": "lens", "lenses": "lens", "ties": "tie"}  # what inflection gets wrong
MOST_LIKENESSES = 20_000  # words of titles whose likeness to names is remembered
MOST_SINGULARS = 65_536  # words whose singular is remembered
Likeness = tuple[np.ndarray, np.ndarray]  # places of words of names, and their likeness to a title's word


def name_words(text: str) -> list[str]:
    """Lower-case words in the singular, without fillers; "T-shirt" is one word."""
    joined = re.sub(r"\bt[ -]shirt", "tshirt", text.lower())
    return [singular(word) for word in split_words(joined) if word not in FILLERS]


@lru_cache(MOST_SINGULARS)
def singular(word: str) -> str:
    """The singular of a plural; another word stays what it is.

    >>> singular("watches"), singular("ties"), singular("lens")
    ('watch', 'tie', 'lens')
    """
    return IRREGULAR.get(word) or inflection.singularize(word)


def likeness(title_word: str, name_word: str) -> float:
    """1 for equal words; less for a cut-short, a compound, or one that shares three-letter runs; else 0."""
    if title_word == name_word:
        return 1.0
    ours, theirs = _runs_of_letters(title_word), _runs_of_letters(name_word)
    dice = 2 * len(ours & theirs) / (len(ours) + len(theirs))
    shorter = min(len(title_word), len(name_word))
    if shorter >= 3 and (name_word.startswith(title_word) or title_word.startswith(name_word)):
        dice = max(dice, CUT_SHORT)
    elif len(name_word) >= 4 and title_word.endswith(name_word):
        dice = max(dice, CUT_SHORT)
    return dice if dice >= LEAST_LIKE else 0.0


def _runs_of_letters(word: str) -> set[str]:
    marked = f"<{word}>"
    return {marked[i : i + 3] for i in range(len(marked) - 2)}


class NameWords:
    """The W distinct words of M names, laid out for comparison with a title's.

    Args:
        texts: M names.
        owners: (M,) class of each.
        weighted_by: the weight of a word falls with the number of classes that share it, of classes below this number.
    """

    def __init__(self, texts: Sequence[str], owners: np.ndarray, weighted_by: int) -> None:
        words = [dict.fromkeys(name_words(text) or [""]) for text in texts]  # no title has the empty word
        sharing: dict[str, set[int]] = {word: set() for own in words for word in own}
        for own, owner in zip(words, owners.tolist(), strict=True):
            for word in own:
                if owner < weighted_by:
                    sharing[word].add(owner)
        self.words = sorted(sharing)
        place = {word: n for n, word in enumerate(self.words)}
        weight = np.array(
            [np.log(1 + weighted_by / max(len(sharing[word]), 1)) for word in self.words]
        )  # (W,)
        self.places = np.array([place[word] for own in words for word in own])  # words, name by name
        self.first = np.cumsum([0, *map(len, words)])[:-1]  # (M,) where each name's words begin
        weights = weight[self.places]
        total = np.add.reduceat(weights, self.first)
        self.weights = (weights / np.repeat(total, [len(own) for own in words])).astype(np.float32)
        runs = [_runs_of_letters(word) for word in self.words]
        self._counts = np.array([len(own) for own in runs])  # (W,)
        having: dict[str, list[int]] = {}
        for n, own in enumerate(runs):
            for run in own:
                having.setdefault(run, []).append(n)
        self._having = {run: np.array(places) for run, places in having.items()}  # places of its words
        self._likeness: dict[str, Likeness] = {}

    def compare(self, titles: Sequence[Sequence[str]]) -> np.ndarray:
        """(n, 5, M) the word features of NAME_MATCH_FEATURES, of n titles' words, at least one each."""
        count = np.array([len(words) for words in titles])[:, None]  # (n, 1)
        first = np.cumsum(count) - count[:, 0]  # where each title's words begin
        place = np.concatenate([np.arange(1, len(words) + 1, dtype=np.float32) for words in titles])
        like = np.zeros((len(place), len(self.words)), np.float32)  # (L, W)
        for row, word in zip(like, chain.from_iterable(titles), strict=True):
            alike, values = self.alike(word)
            row[alike] = values
        last = np.maximum.reduceat((like == 1) * place[:, None], first)  # (n, W) 1-based; 0 for absent
        share = self._shares((last > 0).astype(np.float32))
        last_of_name = np.maximum.reduceat(last[:, self.places], self.first, axis=1)  # (n, M)
        from_end = np.where(last_of_name > 0, 1 / (1 + count - last_of_name), 0)
        alike = self._shares(np.maximum.reduceat(like, first))
        return np.stack([share, share > 0.999, from_end, alike, last_of_name / count], axis=1)

    def _shares(self, of_words: np.ndarray) -> np.ndarray:
        """(n, M) weighed mean of (n, W) over each name's words."""
        return np.add.reduceat(of_words[:, self.places] * self.weights, self.first, axis=1)

    def alike(self, word: str) -> Likeness:
        """The words of names that are like a title's word, and how much, as of `likeness`."""
        known = self._likeness.get(word)
        if known is None:
            if len(self._likeness) >= MOST_LIKENESSES:
                self._likeness.clear()
            known = self._likeness[word] = self._find_alike(word)
        return known

    def _find_alike(self, word: str) -> Likeness:
        runs = _runs_of_letters(word)
        found = [self._having[run] for run in runs if run in self._having]
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        places, common = np.unique(np.concatenate(found), return_counts=True)
        counts = self._counts[places]
        contained = common >= np.minimum(len(runs), counts) - 2  # of a word in another: all but its ends
        near = contained | (2 * common >= LEAST_LIKE * (len(runs) + counts))
        values = np.array([likeness(word, self.words[n]) for n in places[near].tolist()], np.float32)
        return places[near][values > 0], values[values > 0]
