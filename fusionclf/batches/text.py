"""Titles → inputs of a text encoder, prepared once for all products."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import torch
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from torch import Tensor

from fusionclf.catalog.titles import split_words

TextBatch = dict[str, Tensor]


class TitleTable(Protocol):
    """Prepared titles of all products; `batch` picks rows."""

    def batch(self, rows: np.ndarray) -> TextBatch: ...

    def lengths(self) -> np.ndarray | None:
        """(N,) number of tokens of each title; None where batches are not padded."""
        ...


@dataclass(frozen=True)
class MergedTitles:
    """The tensors of several tables of the same products, side by side."""

    tables: Sequence[TitleTable]

    def batch(self, rows: np.ndarray) -> TextBatch:
        """The tensors of all tables."""
        return {name: tensor for table in self.tables for name, tensor in table.batch(rows).items()}

    def lengths(self) -> np.ndarray | None:
        return joined_lengths(self.tables)


@dataclass(frozen=True)
class NamedTitles:
    """Several tables of the same products; the tensors of each carry its name before a dot."""

    tables: Mapping[str, TitleTable]

    def batch(self, rows: np.ndarray) -> TextBatch:
        """The tensors of all tables, such as `sentence.embedding`."""
        return {
            f"{name}.{key}": tensor
            for name, table in self.tables.items()
            for key, tensor in table.batch(rows).items()
        }

    def lengths(self) -> np.ndarray | None:
        return joined_lengths(self.tables.values())


@dataclass(frozen=True)
class Column:
    """One number or one vector a product, as the tensor `name`."""

    name: str
    values: np.ndarray

    def batch(self, rows: np.ndarray) -> TextBatch:
        """`name` (B, …)."""
        return {self.name: torch.from_numpy(np.asarray(self.values[rows]))}

    def lengths(self) -> None:
        return None


def joined_lengths(tables: Iterable[TitleTable]) -> np.ndarray | None:
    """(N,) lengths of titles for several encoders: those of the first one that pads batches; None without one."""
    return next((lengths for table in tables if (lengths := table.lengths()) is not None), None)


class TextPreparer(Protocol):
    """Turns titles into a table, for one text encoder."""

    def __call__(self, titles: list[str]) -> TitleTable: ...


@dataclass(frozen=True)
class HashedTitles:
    """Hashed n-gram counts, one sparse row per title."""

    counts: sparse.csr_matrix

    def batch(self, rows: np.ndarray) -> TextBatch:
        """ids (nnz,), counts (nnz,) and offsets (B,) for torch's EmbeddingBag."""
        picked = self.counts[rows]
        return {
            "ids": torch.from_numpy(picked.indices.astype(np.int64)),
            "counts": torch.from_numpy(picked.data.astype(np.float32)),
            "offsets": torch.from_numpy(picked.indptr[:-1].astype(np.int64)),
        }

    def padded(self, rows: np.ndarray) -> TextBatch:
        """ids (B, L) and counts (B, L), with id 0 and count 0 behind a title's last n-gram; L is at least 1."""
        picked = self.counts[rows]
        sizes = np.diff(picked.indptr)  # (B,)
        there = np.arange(max(sizes.max(initial=0), 1)) < sizes[:, None]  # (B, L)
        ids, counts = np.zeros(there.shape, np.int64), np.zeros(there.shape, np.float32)
        ids[there], counts[there] = picked.indices, picked.data
        return {"ids": torch.from_numpy(ids), "counts": torch.from_numpy(counts)}

    def lengths(self) -> None:
        return None


class HashedNGrams:
    """Character n-grams within words, and whole words and word pairs, hashed to `buckets` numbers.

    Args:
        buckets: size of the hash.
        smallest, largest: lengths of the character n-grams; largest=0 for none.
        words: longest word n-gram; 0 for none.

    Source: Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009); Joulin et al., Bag of
    Tricks for Efficient Text Classification (2017).
    """

    def __init__(self, buckets: int = 2**18, smallest: int = 2, largest: int = 5, words: int = 2) -> None:
        self.buckets = buckets
        shared: dict[str, Any] = {
            "n_features": buckets,
            "alternate_sign": False,
            "norm": None,
            "dtype": np.float32,
        }
        self.characters = None
        if largest:
            self.characters = HashingVectorizer(analyzer="char_wb", ngram_range=(smallest, largest), **shared)
        # scikit-learn accepts a function here; its type stubs only know names.
        analyzer: Any = _WordGrams(words)
        self.words = HashingVectorizer(analyzer=analyzer, **shared) if words else None

    def __call__(self, titles: list[str]) -> HashedTitles:
        counts = [kind.transform(titles) for kind in (self.characters, self.words) if kind is not None]
        return HashedTitles(sparse.csr_matrix(sum(counts[1:], counts[0])))


class _WordGrams:
    """1- to n-grams of words, with a prefix so that they never equal a character n-gram."""

    def __init__(self, largest: int) -> None:
        self.largest = largest

    def __call__(self, title: str) -> list[str]:
        words = split_words(title)
        return [
            "\x00" + " ".join(words[i : i + n])
            for n in range(1, self.largest + 1)
            for i in range(len(words) - n + 1)
        ]


@dataclass(frozen=True)
class TokenisedTitles:
    """Token ids of a transformers tokenizer, padded batch by batch."""

    tokens: list[list[int]]
    padding: int

    def batch(self, rows: np.ndarray) -> TextBatch:
        """input_ids and attention_mask, both (B, longest)."""
        picked = [self.tokens[row] for row in rows]
        longest = max((len(tokens) for tokens in picked), default=1)
        ids = torch.full((len(picked), longest), self.padding, dtype=torch.long)
        mask = torch.zeros(len(picked), longest, dtype=torch.long)
        for place, tokens in enumerate(picked):
            ids[place, : len(tokens)] = torch.tensor(tokens)
            mask[place, : len(tokens)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def lengths(self) -> np.ndarray:
        return np.array([len(tokens) for tokens in self.tokens], np.int64)


# A fast tokenizer fails when two threads use it at the same time ("Already borrowed").
ONE_AT_A_TIME = Lock()


class Tokeniser:
    """A transformers tokenizer; titles longer than `longest` tokens are cut."""

    def __init__(self, tokenizer: Any, longest: int = 64) -> None:
        self.tokenizer = tokenizer
        self.longest = longest

    def __call__(self, titles: list[str], longest: int | None = None) -> TokenisedTitles:
        """The tokens of n texts; of each at most `longest`, by default as many as of a title."""
        with ONE_AT_A_TIME:
            encoded = self.tokenizer(titles, truncation=True, max_length=longest or self.longest)["input_ids"]
        return TokenisedTitles(encoded, self.tokenizer.pad_token_id or 0)

    def save(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)
