"""How well a title fits a class by the class's name alone: what a class without a training row is known by.

Each (title, class) pair gets ten figures. Five compare words: the share of the name's words that stand in the title,
whether all do, how near the end the last one stands (titles end in their noun), and the same share when words may be
cut short or extended. Five compare sentence embeddings: of the title, and of its best run of one, two or three
words, with that of the name, and of the title with the name and its place in the category graph.

Source: label embeddings, Akata et al. (2015); the best run of words follows late interaction, Khattab and Zaharia,
ColBERT (2020).
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fusionclf.batches import TextBatch

FIGURES = ("share", "all", "from_end", "like", "name", "path", "run_1", "run_2", "run_3", "last")
LONGEST_RUN = 3
FILLERS = frozenset({"a", "and", "for", "in", "of", "the", "with"})
CUT_SHORT = 0.8  # likeness of a word and its beginning: "deo", "deodorant"
LEAST_LIKE = 0.5
MOST_LIKENESSES = 20_000  # words of titles whose likeness to names is remembered
Embed = Callable[[list[str]], np.ndarray]


def name_words(text: str) -> list[str]:
    """Lower-case words in the singular, without fillers; "T-shirt" is one word."""
    joined = re.sub(r"\bt[ -]shirt", "tshirt", text.lower())
    return [_singular(word) for word in re.findall(r"\w+", joined) if word not in FILLERS]


def _singular(word: str) -> str:
    if len(word) > 4 and re.search(r"(ss|sh|ch|x|z)es$", word):
        return word[:-2]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


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


class ClassNames:
    """The names of C classes, ready to be compared with titles.

    Args:
        names: C class names.
        paths: C texts of name and place in the category graph, such as "Lipstick, Lips, Personal Care".
        embed: texts → (n, D) sentence embeddings of length 1.
        counted: how many of the names, from the first on, tell how much a word that several share says; default: all.
    """

    def __init__(
        self, names: Sequence[str], paths: Sequence[str], embed: Embed, counted: int | None = None
    ) -> None:
        self.names, self.paths = tuple(names), tuple(paths)
        self.embed = embed
        self.counted = len(names) if counted is None else counted
        self.name_embeddings = embed(list(names))  # (C, D)
        self.path_embeddings = embed(list(paths))  # (C, D)
        words = [name_words(name) for name in names]
        classes_of = Counter(word for own in words[: self.counted] for word in set(own))
        self.words = sorted({word for own in words for word in own})
        place = {word: n for n, word in enumerate(self.words)}
        weights = np.zeros((len(self.words), len(names)))
        for column, own in enumerate(words):
            for word in own:  # a word that many names share says less
                weights[place[word], column] = np.log(1 + self.counted / max(classes_of[word], 1))
        self.weights = weights / weights.sum(axis=0).clip(1e-9)  # (W, C)
        self.belongs = weights > 0  # (W, C)
        self._likeness: dict[str, np.ndarray] = {}

    def with_more(self, names: Sequence[str], paths: Sequence[str]) -> "ClassNames":
        """These and further classes; the figures of these stay what they were."""
        return ClassNames((*self.names, *names), (*self.paths, *paths), self.embed, self.counted)

    def compare(self, titles: list[str]) -> "NameTable":
        """Everything about the titles that needs no class: their words, runs of words, and embeddings."""
        numbers: dict[str, int] = {}
        runs = [[_numbered(_runs(title, n), numbers) for n in range(1, LONGEST_RUN + 1)] for title in titles]
        of_runs = self.embed(list(numbers)) @ self.name_embeddings.T if numbers else np.zeros((0, 0))
        whole = self.embed(titles)
        return NameTable(
            self,
            [name_words(title) for title in titles],
            runs,
            of_runs.astype(np.float16),
            (whole @ self.name_embeddings.T).astype(np.float16),
            (whole @ self.path_embeddings.T).astype(np.float16),
        )

    def likeness_of(self, word: str) -> np.ndarray:
        """(W,) likeness of a title's word to each word of the names."""
        if word not in self._likeness:
            if len(self._likeness) >= MOST_LIKENESSES:
                self._likeness.clear()
            self._likeness[word] = np.array([likeness(word, name) for name in self.words], np.float32)
        return self._likeness[word]


@dataclass(frozen=True)
class NameTable:
    """Titles compared with class names; rows are picked batch by batch.

    Attributes:
        names: the classes.
        words: words of each title.
        runs: of each title, for each length, numbers of its runs of words.
        of_runs: (R, C) cosine of each distinct run of words and each name.
        of_names, of_paths: (n, C) cosine of each title and each name, or name with path.
    """

    names: ClassNames
    words: list[list[str]]
    runs: list[list[np.ndarray]]
    of_runs: np.ndarray
    of_names: np.ndarray
    of_paths: np.ndarray

    def batch(self, rows: np.ndarray) -> TextBatch:
        """pairs (B, C, 10): the figures in the order of FIGURES."""
        return {"pairs": torch.from_numpy(np.stack([self._figures(int(row)) for row in rows]))}

    def lengths(self) -> None:
        return None

    def _figures(self, row: int) -> np.ndarray:
        names = self.names
        found = np.zeros((len(names.names), len(FIGURES)), np.float32)  # (C, 10)
        if words := self.words[row]:
            like = np.stack([names.likeness_of(word) for word in words])  # (L, W)
            same = like == 1
            there = same.any(axis=0)  # (W,)
            last = (same * np.arange(1, len(words) + 1)[:, None]).max(axis=0)  # (W,) 1-based; 0 for absent
            last_of_class = (names.belongs * last[:, None]).max(axis=0)  # (C,)
            found[:, 0] = there @ names.weights
            found[:, 1] = (names.belongs <= there[:, None]).all(axis=0) & names.belongs.any(axis=0)
            found[:, 2] = np.where(last_of_class > 0, 1 / (1 + len(words) - last_of_class), 0)
            found[:, 3] = like.max(axis=0) @ names.weights
            found[:, 9] = last_of_class / len(words)
        found[:, 4], found[:, 5] = self.of_names[row], self.of_paths[row]
        for column, numbers in enumerate(self.runs[row], start=6):
            if len(numbers):
                found[:, column] = self.of_runs[numbers].max(axis=0)
            elif column > 6:  # a title of two words has no run of three
                found[:, column] = found[:, column - 1]
        return found


def _runs(title: str, length: int) -> list[str]:
    words = re.findall(r"\w+", title.lower())
    return [" ".join(words[i : i + length]) for i in range(len(words) - length + 1)]


def _numbered(texts: list[str], numbers: dict[str, int]) -> np.ndarray:
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
