"""Nearest neighbours among embeddings: exact, or for many products by an index of faiss."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

EXACT = (
    50_000**2
)  # pairs up to which all are compared, although faiss is installed: about a minute on one core
BLOCK = 2**24  # cosines in memory, at most
CELL_ROWS, PROBED = 64, 32  # rows of a cell of the index, and cells that a query looks into
SAMPLE = 40  # rows of a cell on which the cells are fitted
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Neighbours:
    """The nearest of m rows for n queries, the nearest first.

    Attributes:
        rows: (n, k) places; -1 where there are fewer.
        distances: (n, k) 1 - cosine; infinite where there are fewer.
    """

    rows: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True)
class VectorIndex:
    """Rows that can be searched for their nearest ones.

    Args:
        vectors: (m, D) float32 of length 1.
        queries: how many will come; decides whether an index pays.

    >>> index = VectorIndex(np.eye(3, dtype=np.float32), 1)
    >>> index.search(np.array([[0, 1, 0]], np.float32), 2).rows[0, 0].item()
    1
    """

    vectors: np.ndarray
    queries: int

    @property
    def is_exact(self) -> bool:
        """Whether all rows are compared with each query; faiss may miss a few neighbours in a hundred."""
        return len(self.vectors) * self.queries <= EXACT or _faiss() is None

    def search(self, queries: np.ndarray, count: int, progress: Progress | None = None) -> Neighbours:
        """The `count` nearest rows of each query, (n, D); `progress` gets the queries that are done and in all."""
        count = min(count, len(self.vectors))
        search = self._exact if self.is_exact else self._indexed
        rows = np.empty((len(queries), count), np.int64)
        cosines = np.empty((len(queries), count), np.float32)
        for start, found, values in search(queries, count):
            rows[start : start + len(found)], cosines[start : start + len(found)] = found, values
            if progress is not None:
                progress(start + len(found), len(queries))
        distances = np.where(rows < 0, np.inf, np.maximum(1 - cosines, 0)).astype(np.float32)
        return Neighbours(rows, distances)

    def _exact(self, queries: np.ndarray, count: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for start, some in _blocks(queries, max(BLOCK // max(len(self.vectors), 1), 1)):
            cosines = some @ self.vectors.T  # (b, m)
            rows = (
                np.argpartition(cosines, -count, axis=1)[:, -count:]
                if count
                else np.empty((len(some), 0), int)
            )
            values = np.take_along_axis(cosines, rows, axis=1)
            order = np.lexsort((rows, -values), axis=1)  # of equal distances, the first row first
            yield start, np.take_along_axis(rows, order, axis=1), np.take_along_axis(values, order, axis=1)

    def _indexed(self, queries: np.ndarray, count: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        faiss, (rows, width) = _faiss(), self.vectors.shape
        assert faiss is not None
        cells = max(rows // CELL_ROWS, 1) if rows < 2**20 else int(16 * np.sqrt(rows))
        flat = faiss.IndexFlatIP(width)
        index = faiss.IndexIVFFlat(flat, width, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.min_points_per_centroid = 0, 1
        chosen = np.random.default_rng(0).permutation(rows)[: cells * SAMPLE]
        index.train(np.ascontiguousarray(self.vectors[np.sort(chosen)]))
        index.add(self.vectors)
        index.nprobe = PROBED
        for start, some in _blocks(queries, 4096):
            values, found = index.search(np.ascontiguousarray(some), count)
            yield start, found, values


def _blocks(rows: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(rows), size):
        yield start, rows[start : start + size]


def _faiss() -> Any:
    """The package, if it is installed (extra `similar`)."""
    try:
        import faiss
    except ImportError:
        return None
    return faiss
