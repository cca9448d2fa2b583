"""The words of class names, and which of them a title has.

English words are compared in the singular. In languages that join nouns (`COMPOUNDING`) words are compared by their
stems, and a title's word counts as the longest name word that it ends in: "Holzbett" is a "Bett".

Source of the stems: Snowball, Porter (2001).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import inflection
import numpy as np

from fusionclf.catalog.titles import split_words

FILLERS = frozenset({"a", "and", "for", "in", "of", "the", "with"})
CUT_SHORT = 0.8  # likeness of a word and its beginning: "deo", "deodorant"
LEAST_LIKE = 0.5
IRREGULAR = {"lens": "lens", "lenses": "lens", "ties": "tie"}  # what inflection gets wrong
LANGUAGE = "en"  # of names and titles, where none is given
COMPOUNDING = {
    "da": "danish",
    "de": "german",
    "nl": "dutch",
    "no": "norwegian",
    "sv": "swedish",
}  # code → stemmer
LEAST_HEAD, LEAST_BEFORE = 4, 3  # letters of a compound's last noun, and of what stands before it
PLURAL_S = re.compile(r"(?<=[aioy])(?<!gla)s$")  # of German "sofas", which Snowball keeps; "glas" has none
MOST_LIKENESSES = 20_000  # words of titles whose likeness to names is remembered
MOST_SINGULARS = 65_536  # words whose singular is remembered
Likeness = tuple[np.ndarray, np.ndarray]  # places of words of names, and their likeness to a title's word


def name_words(text: str, language: str = LANGUAGE) -> list[str]:
    """Lower-case words in the singular or, of a language that joins nouns, their stems; without English fillers.

    "T-shirt" is one word.

    >>> name_words("Betten & Stühle", "de")
    ['bett', 'stuhl']
    """
    joined = re.sub(r"\bt[ -]shirt", "tshirt", text.lower())
    own = [word for word in split_words(joined) if word not in FILLERS]
    if language in COMPOUNDING:
        return [stem(word, language) for word in own]
    return [singular(word) for word in own]


@lru_cache(MOST_SINGULARS)
def singular(word: str) -> str:
    """The singular of a plural; another word stays what it is.

    >>> singular("watches"), singular("ties"), singular("lens")
    ('watch', 'tie', 'lens')
    """
    return IRREGULAR.get(word) or inflection.singularize(word)


@lru_cache(MOST_SINGULARS)
def stem(word: str, language: str) -> str:
    """The stem of a word of a language that joins nouns.

    >>> stem("tische", "de"), stem("sofas", "de"), stem("stolar", "sv")
    ('tisch', 'sofa', 'stol')
    """
    found = _stemmer(language).stemWord(word)
    return PLURAL_S.sub("", found) if language == "de" else found


@lru_cache(len(COMPOUNDING))
def _stemmer(language: str) -> Any:
    import snowballstemmer  # English names need none

    return snowballstemmer.stemmer(COMPOUNDING[language])


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
        language: of the names and titles.
    """

    def __init__(
        self, texts: Sequence[str], owners: np.ndarray, weighted_by: int, language: str = LANGUAGE
    ) -> None:
        self.language = language
        words = [dict.fromkeys(name_words(text, language) or [""]) for text in texts]  # no title has ""
        sharing: dict[str, set[int]] = {word: set() for own in words for word in own}
        for own, owner in zip(words, owners.tolist(), strict=True):
            for word in own:
                if owner < weighted_by:
                    sharing[word].add(owner)
        self.words = sorted(sharing)
        self._known = frozenset(self.words)
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

    def words_of(self, title: str) -> list[str]:
        """The words of a title; of a language that joins nouns, a compound as the name word that it ends in.

        >>> NameWords(["Betten"], np.array([0]), 1, "de").words_of("Holzbett Oslo")
        ['bett', 'oslo']
        """
        words = name_words(title, self.language)
        return [self._head(word) for word in words] if self.language in COMPOUNDING else words

    def _head(self, word: str) -> str:
        if word in self._known:
            return word
        ends = (word[start:] for start in range(LEAST_BEFORE, len(word) - LEAST_HEAD + 1))
        return next((end for end in ends if end in self._known), word)

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
