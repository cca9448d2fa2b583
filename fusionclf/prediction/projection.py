"""Sparse features → dense embeddings of a fixed width that keep the angles between products.

The projection depends on nothing but the number of a feature, so that a product has the same embedding in every file.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

WIDTH = 512  # the cosine of two unrelated products is wrong by 1 / sqrt(WIDTH) = 0.04 on average; of near ones by less
BLOCKS = 8  # numbers other than 0 in a feature's row


def project(features: "sparse.csr_matrix") -> np.ndarray:
    """(n, WIDTH) float32 projections of sparse features (n, F).

    Each feature adds its value to one place of each of BLOCKS blocks, with a random sign.

    Source: Kane and Nelson, Sparser Johnson-Lindenstrauss Transforms (2014), block construction.

    >>> from scipy import sparse
    >>> project(sparse.csr_matrix([[1.0, 0.0], [0.0, 2.0]])).shape
    (2, 512)
    """
    return np.asarray((features @ _matrix(features.shape[1])).todense(), np.float32)  # pyright: ignore


def tfidf(counts: "sparse.csr_matrix", inverse_frequency: np.ndarray) -> "sparse.csr_matrix":
    """(n, F) TF-IDF with sublinear counts, rows of length 1 or 0, of n-gram counts (n, F)."""
    from scipy import sparse  # takes long to import

    weights = (1 + np.log(counts.data)) * inverse_frequency[counts.indices]
    lengths = np.sqrt(np.add.reduceat(np.append(weights**2, 0), counts.indptr[:-1]))
    sizes = np.diff(counts.indptr)
    scaled = weights / np.repeat(np.maximum(lengths, 1e-12), sizes)
    return sparse.csr_matrix((scaled, counts.indices, counts.indptr), shape=counts.shape)


@lru_cache(maxsize=4)
def _matrix(features: int) -> "sparse.csr_matrix":
    """(features, WIDTH) with BLOCKS numbers other than 0 in each row."""
    from scipy import sparse  # takes long to import

    keys = np.arange(features, dtype=np.uint64)[:, None] * np.uint64(BLOCKS) + np.arange(
        BLOCKS, dtype=np.uint64
    )
    hashes = _mixed(keys)
    size = WIDTH // BLOCKS
    places = (hashes % np.uint64(size)).astype(np.int64) + np.arange(BLOCKS) * size
    signs = np.where(hashes >> np.uint64(63), -1.0, 1.0) / np.sqrt(BLOCKS)
    starts = np.arange(features + 1) * BLOCKS
    return sparse.csr_matrix((signs.ravel(), places.ravel(), starts), shape=(features, WIDTH))


def _mixed(keys: np.ndarray) -> np.ndarray:
    """Hashes of 64 bits of whole numbers.

    Source: Steele et al., Fast Splittable Pseudorandom Number Generators (2014), SplitMix64.
    """
    with np.errstate(over="ignore"):
        found = (keys + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))
