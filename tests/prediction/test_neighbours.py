"""Nearest neighbours: exact, and by an index."""

import numpy as np
import pytest

from fusionclf.prediction import neighbours
from fusionclf.prediction.neighbours import VectorIndex


def vectors(count: int, width: int = 16) -> np.ndarray:
    rng = np.random.default_rng(0)
    found = rng.normal(size=(count, width)) + 3 * rng.normal(size=(20, width))[rng.integers(0, 20, count)]
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_neighbours_are_those_of_sorted_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", 1000)  # 10 queries at a time
    rows = vectors(100)
    found = VectorIndex(rows, 100).search(rows, 5)
    distances = 1 - rows @ rows.T
    assert np.allclose(found.distances, np.sort(distances, axis=1)[:, :5], atol=1e-5)
    assert found.rows[:, 0].tolist() == list(range(100))


def test_fewer_rows_than_wanted_give_fewer_neighbours() -> None:
    assert VectorIndex(vectors(3), 1).search(vectors(1), 10).rows.shape == (1, 3)


def test_index_finds_nearly_all_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    rows = vectors(4000)
    exact = VectorIndex(rows, len(rows)).search(rows, 10)
    monkeypatch.setattr(neighbours, "EXACT", 0)
    index = VectorIndex(rows, len(rows))
    assert not index.is_exact
    found = index.search(rows, 10)
    shared = [len(set(a) & set(b)) for a, b in zip(exact.rows.tolist(), found.rows.tolist(), strict=True)]
    assert np.mean(shared) > 9.5


def test_without_faiss_all_pairs_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "EXACT", 0)
    monkeypatch.setattr(neighbours, "_faiss", lambda: None)
    assert VectorIndex(vectors(10), 10).is_exact
