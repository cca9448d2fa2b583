"""scikit-learn's own checks of estimators, on words that are made of their numbers."""

import gc
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

from tests.estimator.numbers import SMALL, OfNumbers

ESTIMATOR = OfNumbers("text", config="text-cpu", settings=SMALL, columns={"title": "words"})
# Of a check that is there with several kinds of arrays, the last one.
FOUND: Any = estimator_checks_generator(ESTIMATOR)
CHECKS = {check.func.__name__: check for _, check in FOUND}
NOT_APPLICABLE = {"check_array_api_input": "an array of another library is no table"}


@pytest.fixture(scope="module", autouse=True)
def _short_collections() -> None:
    """Exempt what the first fit imports from garbage collection, which every fit calls."""
    OfNumbers(**ESTIMATOR.get_params()).fit([[0.0], [1.0]] * 5, [0, 1] * 5)
    gc.collect()
    gc.freeze()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in CHECKS if name not in NOT_APPLICABLE])
def test_sklearn_check_passes(name: str) -> None:
    CHECKS[name](clone(ESTIMATOR))
