"""Name-match features: how well a title fits the name of a class. A class without training rows is known by them alone.

Each (title, class) pair has ten features. Five compare words: the share of the name's words that occur in the title,
whether all occur, how near the end the last one is (titles end in their noun), where the last one is, and the share of
words that match at least in part. Five compare sentence embeddings: the title, and its best run of one, two or three
words, with the name; and the title with the name and its place in the category graph. The embedding of a run is the
mean of its words' embeddings, because a catalog's titles share their words. Where a class has synonyms, each feature
except `path` is that of the name or synonym that fits best.

Source: label embeddings, Akata et al. (2015); the best run of words follows late interaction, Khattab and Zaharia,
ColBERT (2020).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fusionclf.batches import TextBatch
from fusionclf.catalog.titles import split_words
from fusionclf.models.open_vocabulary.name_words import LANGUAGE, NameWords

NAME_MATCH_FEATURES = ("share", "all", "from_end", "like", "name", "path", "run_1", "run_2", "run_3", "last")
OF_WORDS = [0, 1, 2, 3, 9]  # those of NameWords.compare
LONGEST_RUN = 3
NAME_MATCH = "name_match"  # the name of the tensor in a batch of titles
TITLES_AT_ONCE = 64  # whose words are compared together: what a processor's cache holds
ROWS_AT_ONCE, COSINES_AT_ONCE = 4096, 2**20  # rows compared with all names together: at most, and numbers
MOST_COMPARED = (
    2**23
)  # pairs of a title and a class whose cosines are kept: 50 MB, and as much for runs of words
RUNS_PER_TITLE = 16  # about, of one to three words
Embed = Callable[[list[str]], np.ndarray]


class ClassNames:
    """What C classes are called, ready to be compared with titles.

    Args:
        names: C class names.
        paths: C texts of name and place in the category graph, such as "Lipstick, Lips, Personal Care".
        embed: texts → (n, D) sentence embeddings of length 1.
        synonyms: further names of each class; default: none.
        weighted_by: the weight of a word falls with the number of classes that share it, of the first so many classes;
            default: all.
        language: the code of the language of names and titles; it matters for words of languages that join nouns.
    """

    def __init__(
        self,
        names: Sequence[str],
        paths: Sequence[str],
        embed: Embed,
        synonyms: Sequence[Sequence[str]] | None = None,
        weighted_by: int | None = None,
        language: str = LANGUAGE,
    ) -> None:
        self.language = language
        self.names, self.paths = tuple(names), tuple(paths)
        self.synonyms = tuple(tuple(own) for own in synonyms or [()] * len(names))
        self.embed = embed
        self.weighted_by = len(names) if weighted_by is None else weighted_by
        called = [(name, *others) for name, others in zip(self.names, self.synonyms, strict=True)]
        texts = [text for own in called for text in own]  # M, class by class
        self.first = np.cumsum([0, *map(len, called)])[:-1]  # (C,) where each class's names begin
        self.name_embeddings = embed(texts)  # (M, D)
        self.path_embeddings = embed(list(paths))  # (C, D)
        owners = np.repeat(np.arange(len(names)), [len(own) for own in called])
        self.words = NameWords(texts, owners, self.weighted_by, language)

    def with_more(
        self, names: Sequence[str], paths: Sequence[str], synonyms: Sequence[Sequence[str]]
    ) -> "ClassNames":
        """These and further classes; the features of these stay what they were."""
        return ClassNames(
            (*self.names, *names), (*self.paths, *paths), self.embed,
            (*self.synonyms, *map(tuple, synonyms)), self.weighted_by, self.language,
        )  # fmt: skip

    def best(self, of_names: np.ndarray) -> np.ndarray:
        """(…, C) the best of each class's names, of (…, M)."""
        return np.maximum.reduceat(of_names, self.first, axis=-1)

    def compare(self, titles: list[str]) -> "NameTable | LargeNameTable":
        """What is the same for all classes of the titles' comparison: their words, runs of words, and embeddings."""
        numbers: dict[str, int] = {}
        for title in titles:
            for word in split_words(title):
                numbers.setdefault(word, len(numbers))
        whole = self.embed(titles)
        words = TitleWords(numbers, self.embed(list(numbers)) if numbers else np.zeros((0, 0)))
        if len(titles) * len(self.names) > MOST_COMPARED:
            return LargeNameTable(self, titles, words, whole)
        return self.table(titles, words, whole)

    def table(self, titles: list[str], words: "TitleWords", embeddings: np.ndarray) -> "NameTable":
        """Titles with their embeddings, (n, D), compared with all names."""
        numbers: dict[str, int] = {}
        runs = [[_numbered(_runs(title, n), numbers) for n in range(1, LONGEST_RUN + 1)] for title in titles]
        return NameTable(
            self,
            [self.words.words_of(title) for title in titles],
            runs,
            self._of_runs(list(numbers), words),
            self._cosines(embeddings),
            (embeddings @ self.path_embeddings.T).astype(np.float16),
        )

    def _of_runs(self, runs: list[str], words: "TitleWords") -> np.ndarray:
        """(n, C) cosine of each run of words with each class."""
        found = np.empty((len(runs), len(self.names)), np.float16)
        split = [words.of_run(run) for run in runs]
        for start in range(0, len(runs), ROWS_AT_ONCE):
            some = split[start : start + ROWS_AT_ONCE]
            first = np.cumsum([0, *map(len, some)])[:-1]
            sums = np.add.reduceat(words.embeddings[np.concatenate(some)], first)  # (b, D)
            sums /= np.linalg.norm(sums, axis=1, keepdims=True).clip(1e-9)
            found[start : start + ROWS_AT_ONCE] = self._cosines(sums)
        return found

    def _cosines(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, C) with the name or synonym that is nearest."""
        found = np.empty((len(embeddings), len(self.names)), np.float16)
        at_once = min(ROWS_AT_ONCE, 1 + COSINES_AT_ONCE // max(len(self.name_embeddings), 1))
        for start in range(0, len(embeddings), at_once):
            some = slice(start, start + at_once)
            found[some] = self.best(embeddings[some] @ self.name_embeddings.T)
        return found


@dataclass(frozen=True)
class TitleWords:
    """The W distinct words of many titles.

    Attributes:
        numbers: word → its place.
        embeddings: (W, D).
    """

    numbers: dict[str, int]
    embeddings: np.ndarray

    def of_run(self, run: str) -> np.ndarray:
        """Places of the words of a run."""
        return np.array([self.numbers[word] for word in run.split(" ")], np.int64)


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
        """`name_match` (B, C, 10): the features in the order of NAME_MATCH_FEATURES."""
        found = np.zeros((len(rows), len(self.names.names), len(NAME_MATCH_FEATURES)), np.float32)
        for start in range(0, len(rows), TITLES_AT_ONCE):
            self._fill(found[start : start + TITLES_AT_ONCE], rows[start : start + TITLES_AT_ONCE])
        return {NAME_MATCH: torch.from_numpy(found)}

    def lengths(self) -> None:
        return None

    def _fill(self, found: np.ndarray, rows: np.ndarray) -> None:
        """Write (b, C, 10) features of some rows."""
        worded = [place for place, row in enumerate(rows) if self.words[row]]
        if worded:
            of_names = self.names.words.compare([self.words[row] for row in rows[worded]])  # (b, 5, M)
            found[np.ix_(worded, range(found.shape[1]), OF_WORDS)] = self.names.best(of_names).swapaxes(1, 2)
        found[:, :, 4], found[:, :, 5] = self.of_names[rows], self.of_paths[rows]
        for own, row in zip(found, rows, strict=True):
            for column, numbers in enumerate(self.runs[row], start=6):
                if len(numbers):
                    own[:, column] = self.of_runs[numbers].max(axis=0)
                elif column > 6:  # a title of two words has no run of three
                    own[:, column] = own[:, column - 1]


@dataclass(frozen=True)
class LargeNameTable:
    """Titles of which each batch is compared with class names when it is picked: all together would be too many.

    Attributes:
        names: the classes.
        titles: N titles.
        words: of all titles.
        embeddings: (N, D) of the titles.
    """

    names: ClassNames
    titles: list[str]
    words: TitleWords
    embeddings: np.ndarray

    def batch(self, rows: np.ndarray) -> TextBatch:
        """As NameTable.batch."""
        at_once = max(1, MOST_COMPARED // RUNS_PER_TITLE // len(self.names.names))
        found = [
            self._compared(rows[start : start + at_once]) for start in range(0, max(len(rows), 1), at_once)
        ]
        return {NAME_MATCH: torch.cat(found) if len(found) != 1 else found[0]}

    def lengths(self) -> None:
        return None

    def _compared(self, rows: np.ndarray) -> torch.Tensor:
        table = self.names.table([self.titles[row] for row in rows], self.words, self.embeddings[rows])
        return table.batch(np.arange(len(rows)))[NAME_MATCH]


def _runs(title: str, length: int) -> list[str]:
    words = split_words(title)
    return [" ".join(words[i : i + length]) for i in range(len(words) - length + 1)]


def _numbered(texts: list[str], numbers: dict[str, int]) -> np.ndarray:
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
