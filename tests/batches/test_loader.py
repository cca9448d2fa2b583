"""Order and size of batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fusionclf.batches import count_batches, in_batches, shuffled


@given(st.integers(0, 200), st.integers(1, 40), st.integers(1, 4))
def test_every_row_is_in_one_batch_and_none_is_too_small(rows: int, size: int, smallest: int) -> None:
    batches = list(in_batches(np.arange(rows), size, smallest))
    assert np.array_equal(np.concatenate([*batches, np.empty(0, int)]), np.arange(rows))
    assert count_batches(rows, size, smallest) == len(batches)
    if len(batches) > 1 and size >= smallest:
        assert min(map(len, batches)) >= smallest


def test_order_depends_on_seed_and_epoch() -> None:
    rows = np.arange(50)
    assert np.array_equal(shuffled(rows, 0, 1), shuffled(rows, 0, 1))
    assert not np.array_equal(shuffled(rows, 0, 1), shuffled(rows, 0, 2))
    assert not np.array_equal(shuffled(rows, 0, 1), shuffled(rows, 1, 1))
    assert sorted(shuffled(rows, 3, 4)) == list(rows)
