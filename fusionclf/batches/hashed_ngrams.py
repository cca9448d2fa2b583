"""Titles → counts of their hashed n-grams, as scikit-learn's HashingVectorizer gives them, without its import.

Source: Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009); Joulin et al., Bag of Tricks for
Efficient Text Classification (2017).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import mmh3
import numpy as np
import torch
from torch import Tensor

from fusionclf.catalog.ngrams import character_ngrams
from fusionclf.catalog.titles import split_words

if TYPE_CHECKING:
    from scipy import sparse

AT_ONCE = 8192  # titles whose n-grams are in memory together: 80 MB


@dataclass(frozen=True)
class HashedTitles:
    """Counts of hashed n-grams of n titles.

    Attributes:
        ids: (nnz,) numbers of n-grams, title by title, in ascending order, int32.
        values: (nnz,) how often each occurs, float32.
        starts: (n + 1,) where each title's n-grams begin.
        buckets: number of possible ids.
    """

    ids: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    buckets: int

    @classmethod
    def of(cls, counts: "sparse.csr_matrix") -> "HashedTitles":
        """Those of a sparse matrix (n, buckets)."""
        return cls(counts.indices, counts.data, counts.indptr, counts.shape[1])  # pyright: ignore

    @cached_property
    def counts(self) -> "sparse.csr_matrix":
        """The same as a sparse matrix (n, buckets)."""
        from scipy import sparse  # takes long to import

        shape = (len(self.starts) - 1, self.buckets)
        return sparse.csr_matrix((self.values, self.ids, self.starts), shape=shape)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """ids (nnz,), counts (nnz,) and offsets (B,) for torch's EmbeddingBag."""
        ids, values, sizes = self._picked(rows)
        return {
            "ids": torch.from_numpy(ids.astype(np.int64)),
            "counts": torch.from_numpy(values.astype(np.float32)),
            "offsets": torch.from_numpy(np.cumsum(sizes) - sizes),
        }

    def padded(self, rows: np.ndarray) -> dict[str, Tensor]:
        """ids (B, L) and counts (B, L), with id 0 and count 0 behind a title's last n-gram; L is at least 1."""
        picked_ids, picked_values, sizes = self._picked(rows)
        there = np.arange(max(sizes.max(initial=0), 1)) < sizes[:, None]  # (B, L)
        ids, counts = np.zeros(there.shape, np.int64), np.zeros(there.shape, np.float32)
        ids[there], counts[there] = picked_ids, picked_values
        return {"ids": torch.from_numpy(ids), "counts": torch.from_numpy(counts)}

    def lengths(self) -> None:
        return None

    def _picked(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids and values of some titles, and how many each has."""
        sizes = np.diff(self.starts)[rows].astype(np.int64)
        before = np.cumsum(sizes) - sizes
        places = np.repeat(self.starts[:-1][rows] - before, sizes) + np.arange(sizes.sum())
        return self.ids[places], self.values[places], sizes


class HashedNGrams:
    """Character n-grams within words, and whole words and word pairs, hashed to `buckets` numbers.

    Args:
        buckets: size of the hash.
        smallest, largest: lengths of the character n-grams; largest=0 for none.
        words: longest word n-gram; 0 for none.

    >>> HashedNGrams(buckets=16)(["red dress", "red"]).counts.shape
    (2, 16)
    """

    def __init__(self, buckets: int = 2**18, smallest: int = 2, largest: int = 5, words: int = 2) -> None:
        self.buckets, self.smallest, self.largest, self.words = buckets, smallest, largest, words

    def __call__(self, titles: list[str]) -> HashedTitles:
        chunks = [self._hashed(titles[start : start + AT_ONCE]) for start in range(0, len(titles), AT_ONCE)]
        if len(chunks) == 1:
            return chunks[0]
        ids = np.concatenate([np.zeros(0, np.int32), *(chunk.ids for chunk in chunks)])
        values = np.concatenate([np.zeros(0, np.float32), *(chunk.values for chunk in chunks)])
        sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(chunk.starts) for chunk in chunks)])
        return HashedTitles(ids, values, np.cumsum(sizes), self.buckets)

    def _hashed(self, titles: list[str]) -> HashedTitles:
        hashes, sizes = [], []
        for title in titles:
            before = len(hashes)
            if self.largest:
                hashes += map(mmh3.hash, character_ngrams(title, self.smallest, self.largest))
            hashes += map(mmh3.hash, _of_words(title, self.words))
            sizes.append(len(hashes) - before)
        first = np.repeat(np.arange(len(titles)) * self.buckets, np.array(sizes, np.int64))
        ids = np.abs(np.array(hashes, np.int64)) % self.buckets
        keys, counts = np.unique(first + ids, return_counts=True)  # title by title, each id once
        starts = np.searchsorted(keys, np.arange(len(titles) + 1) * self.buckets)
        return HashedTitles(
            (keys % self.buckets).astype(np.int32), counts.astype(np.float32), starts, self.buckets
        )


def _of_words(text: str, largest: int) -> Iterator[str]:
    """1- to n-grams of words, with a prefix so that they never equal a character n-gram."""
    words = split_words(text) if largest else []
    for n in range(1, largest + 1):
        yield from ("\x00" + " ".join(words[i : i + n]) for i in range(len(words) - n + 1))
