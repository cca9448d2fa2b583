"""Titles → what a text encoder takes, prepared once for all products."""

from collections.abc import Iterable
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
    """Prepared titles of all products; rows are picked batch by batch."""

    def batch(self, rows: np.ndarray) -> TextBatch: ...

    def lengths(self) -> np.ndarray | None:
        """(N,) what each title costs to read; None where batches need no padding."""
        ...


def joined_lengths(tables: Iterable[TitleTable]) -> np.ndarray | None:
    """(N,) what titles cost that are read by several encoders: as by the first whose cost differs between titles."""
    return next((lengths for table in tables if (lengths := table.lengths()) is not None), None)


class TextPreparer(Protocol):
    """Turns titles into a table; belongs to a text encoder."""

    def __call__(self, titles: list[str]) -> TitleTable: ...


@dataclass(frozen=True)
class HashedTitles:
    """Hashed n-gram counts, one sparse row a title."""

    counts: sparse.csr_matrix

    def batch(self, rows: np.ndarray) -> TextBatch:
        """ids (nnz,), counts (nnz,) and offsets (B,) as torch's EmbeddingBag takes them."""
        picked = self.counts[rows]
        return {
            "ids": torch.from_numpy(picked.indices.astype(np.int64)),
            "counts": torch.from_numpy(picked.data.astype(np.float32)),
            "offsets": torch.from_numpy(picked.indptr[:-1].astype(np.int64)),
        }

    def padded(self, rows: np.ndarray) -> TextBatch:
        """ids (B, L) and counts (B, L), with id 0 and count 0 behind a title's last n-gram; L is 1 or more."""
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

    Source: Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009); Joulin et al., Bag of
    Tricks for Efficient Text Classification (2017).
    """

    def __init__(self, buckets: int = 2**18, smallest: int = 2, largest: int = 5, words: int = 2) -> None:
        shared: dict[str, Any] = {
            "n_features": buckets,
            "alternate_sign": False,
            "norm": None,
            "dtype": np.float32,
        }
        self.characters = HashingVectorizer(analyzer="char_wb", ngram_range=(smallest, largest), **shared)
        # scikit-learn takes a function here; its stubs know names alone.
        analyzer: Any = _WordGrams(words)
        self.words = HashingVectorizer(analyzer=analyzer, **shared) if words else None

    def __call__(self, titles: list[str]) -> HashedTitles:
        counts = self.characters.transform(titles)
        if self.words is not None:
            counts = counts + self.words.transform(titles)
        return HashedTitles(sparse.csr_matrix(counts))


class _WordGrams:
    """1- to n-grams of words, marked so that no character n-gram shares their names."""

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


# A fast tokenizer that two threads ask at once fails ("Already borrowed"), for its settings are part of it.
ONE_AT_A_TIME = Lock()


class Tokeniser:
    """A transformers tokenizer; titles longer than `longest` tokens are cut."""

    def __init__(self, tokenizer: Any, longest: int = 64) -> None:
        self.tokenizer = tokenizer
        self.longest = longest

    def __call__(self, titles: list[str]) -> TokenisedTitles:
        with ONE_AT_A_TIME:
            encoded = self.tokenizer(titles, truncation=True, max_length=self.longest)["input_ids"]
        return TokenisedTitles(encoded, self.tokenizer.pad_token_id or 0)

    def save(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)
