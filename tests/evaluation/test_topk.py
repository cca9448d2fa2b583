"""The most likely classes of many products."""

import numpy as np
import pytest

from fusionclf.evaluation.topk import CHUNK, FEW, first_classes


@pytest.mark.parametrize("count", [1, 5, FEW, FEW + 1, 100])
@pytest.mark.parametrize("classes", [1, 3, 40])
def test_the_first_classes_are_those_of_a_stable_sort(count: int, classes: int) -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.integers(0, 4, (CHUNK + 77, classes)) / 4  # many are equal, many are 0
    probabilities[generator.random(probabilities.shape) < 0.1] = np.nan
    probabilities[[0, CHUNK]] = np.nan
    expected = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    assert np.array_equal(first_classes(probabilities, count), expected)
