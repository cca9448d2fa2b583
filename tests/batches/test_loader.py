"""Order and size of batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionclf.batches import by_length, epoch_order, in_batches

CLASSES = np.repeat([0, 1, 2], [60, 30, 10])  # (100,) class of each catalog row
ROWS = np.arange(0, 100, 2)  # 30, 15 and 5 of the classes


@given(st.integers(0, 200), st.integers(1, 40), st.integers(1, 4))
def test_every_row_is_in_one_batch_and_none_is_too_small(rows: int, size: int, smallest: int) -> None:
    batches = list(in_batches(np.arange(rows), size, smallest))
    assert np.array_equal(np.concatenate([*batches, np.empty(0, int)]), np.arange(rows))
    if len(batches) > 1 and size >= smallest:
        assert min(map(len, batches)) >= smallest


def test_order_depends_on_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> np.ndarray:
        return epoch_order(ROWS, CLASSES, seed, epoch)[:, 0]

    assert np.array_equal(order(0, 1), order(0, 1))
    assert not np.array_equal(order(0, 1), order(0, 2))
    assert not np.array_equal(order(0, 1), order(1, 1))


def test_shuffled_has_every_row_once() -> None:
    order = epoch_order(ROWS, CLASSES, 3, 4)
    assert order.shape == (50, 2)
    assert not np.array_equal(order[:, 0], ROWS)
    assert np.array_equal(np.sort(order[:, 0]), ROWS)
    assert (order[:, 1] == 0).all()


def test_shuffled_is_the_permutation_that_numpy_draws() -> None:
    expected = np.random.default_rng([3, 4]).permutation(ROWS)
    assert np.array_equal(epoch_order(ROWS, CLASSES, 3, 4)[:, 0], expected)


def test_in_order_keeps_the_order() -> None:
    order = epoch_order(ROWS[::-1], CLASSES, 3, 4, sampler="in_order")
    assert np.array_equal(order[:, 0], ROWS[::-1])


def test_balanced_draws_each_class_about_equally_often() -> None:
    orders = [epoch_order(ROWS, CLASSES, 0, epoch, sampler="balanced") for epoch in range(1, 101)]
    assert {len(order) for order in orders} == {len(ROWS)}
    drawn = np.bincount(CLASSES[np.concatenate(orders)[:, 0]])
    assert np.abs(drawn / drawn.sum() - 1 / 3).max() < 0.03
    assert set(np.concatenate(orders)[:, 0]) == set(ROWS)


@pytest.mark.parametrize("settings", [{"sampler": "balanced"}, {"oversample_up_to": 20}])
def test_occurrences_count_how_often_a_row_came_before(settings: dict) -> None:
    order = epoch_order(ROWS, CLASSES, 0, 1, **settings)
    seen: dict[int, int] = {}
    for row, occurrence in order.tolist():
        assert occurrence == seen.get(row, 0)
        seen[row] = occurrence + 1
    assert max(seen.values()) > 1


@pytest.mark.parametrize("sampler", ["shuffled", "in_order"])
def test_copies_fill_small_classes_up_to_the_number_exactly(sampler: str) -> None:
    order = epoch_order(ROWS, CLASSES, 0, 1, sampler=sampler, oversample_up_to=20)
    assert np.bincount(CLASSES[order[:, 0]]).tolist() == [30, 20, 20]
    assert np.bincount(order[:, 0])[ROWS[CLASSES[ROWS] == 2]].tolist() == [4] * 5
    assert set(order[:, 0]) == set(ROWS)


def _padded(order: np.ndarray, lengths: np.ndarray, size: int) -> int:
    """Tokens that batches take, padding included."""
    return sum(len(lines) * lengths[lines[:, 0]].max() for lines in in_batches(order, size))


def test_by_length_keeps_every_line_and_saves_padding() -> None:
    lengths = np.random.default_rng(0).integers(3, 40, 1000)
    order = epoch_order(np.arange(990), np.zeros(1000, int), 0, 1, oversample_up_to=1500)
    arranged = by_length(order, lengths, 16)
    assert sorted(map(tuple, arranged)) == sorted(map(tuple, order))
    tokens = lengths[order[:, 0]].sum()
    assert _padded(arranged, lengths, 16) < 1.1 * tokens < _padded(order, lengths, 16)


def test_by_length_is_deterministic_and_mixes_the_batches() -> None:
    lengths = np.random.default_rng(0).integers(3, 40, 1000)
    order = epoch_order(np.arange(1000), np.zeros(1000, int), 0, 1)
    arranged = by_length(order, lengths, 16)
    assert np.array_equal(by_length(order.copy(), lengths, 16), arranged)
    means = np.array([lengths[lines[:, 0]].mean() for lines in in_batches(arranged[:512], 16)])
    assert (np.diff(means) < 0).sum() > 5  # not short titles first


def test_by_length_leaves_the_short_batch_at_the_end() -> None:
    order = np.stack([np.arange(10), np.zeros(10, int)], axis=1)
    lengths = np.array([9, 1, 8, 2, 7, 3, 6, 4, 5, 5])
    batches = [lengths[lines[:, 0]].tolist() for lines in in_batches(by_length(order, lengths, 4), 4)]
    assert sorted(batches[:2]) == [[1, 2, 3, 4], [5, 5, 6, 7]]
    assert batches[2] == [8, 9]
    assert len(by_length(order[:0], lengths, 4)) == 0
