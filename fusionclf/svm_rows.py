"""The rows of a linear SVM: in random order, some at a time, with frequent features apart from rare ones."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

BLOCK = 128  # rows
DENSE = 0.3  # a feature of more than this share of the rows is kept in a dense matrix


def width(features: sparse.csr_matrix) -> int:
    """D of (n, D) features."""
    return features.shape[1]  # pyright: ignore[reportOptionalSubscript]


@dataclass(frozen=True)
class Block:
    """Some rows of the features.

    Attributes:
        places: of the rows, which are neighbours.
        dense: (b, Dd)
        columns: (d,) places of the other features that these rows have, among all.
        others: (b, d) these features.
        transposed: (d, b)
        products: (b, b) inner products of the rows.
    """

    places: slice
    dense: np.ndarray
    columns: np.ndarray
    others: sparse.csr_matrix
    transposed: sparse.csr_matrix
    products: np.ndarray

    @classmethod
    def of(cls, places: slice, dense: np.ndarray, others: sparse.csr_matrix) -> "Block":
        """Those at some places."""
        own, some = dense[places], others[places]
        columns, numbers = np.unique(some.indices, return_inverse=True)
        shape = (len(own), len(columns))
        compact = sparse.csr_matrix((some.data, numbers.astype(np.int32), some.indptr), shape=shape)
        products = own @ own.T + (compact @ compact.T).toarray()
        columns = columns + dense.shape[1]
        return cls(places, own, columns, compact, sparse.csr_matrix(compact.T), products)


@dataclass(frozen=True)
class Rows:
    """All rows of the features in random order; of each first 1 for the bias, then the dense features, then others.

    Attributes:
        order: (n,) places of the rows before.
        dense: (n, Dd) the bias and frequent features.
        others: (n, Ds)
        columns: (Dd - 1 + Ds,) places of the features before; those without a value are left out.
        blocks: all rows, some at a time.
    """

    order: np.ndarray
    dense: np.ndarray
    others: sparse.csr_matrix
    columns: np.ndarray
    blocks: list[Block]

    @classmethod
    def of(cls, features: sparse.csr_matrix, further: np.ndarray | None, seed: int) -> "Rows":
        """Those of (n, D) features, and (n, E) further dense ones."""
        values = sparse.csr_matrix(features, dtype=np.float32)
        rows = len(values.indptr) - 1
        counts = np.bincount(values.indices, minlength=width(values))
        frequent = np.flatnonzero(counts > DENSE * rows)
        rare = np.flatnonzero((counts <= DENSE * rows) & (counts > 0))
        order = np.random.default_rng(seed).permutation(rows)
        places = [slice(start, start + BLOCK) for start in range(0, rows, BLOCK)]
        order = np.concatenate([np.sort(order[block]) for block in places])
        parts = [np.ones((rows, 1), np.float32), values[:, frequent].toarray()[order]]
        if further is not None:
            parts.append(further[order].astype(np.float32, copy=False))
        dense, others = np.hstack(parts), sparse.csr_matrix(values[:, rare][order])
        del parts, values
        last = width(features) + np.arange(dense.shape[1] - 1 - len(frequent))
        columns = np.concatenate([frequent, last, rare])
        return cls(order, dense, others, columns, [Block.of(own, dense, others) for own in places])

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """(n, k) by (Dd + Ds, k) weights."""
        split = self.dense.shape[1]
        return self.dense @ weights[:split] + self.others @ weights[split:]
