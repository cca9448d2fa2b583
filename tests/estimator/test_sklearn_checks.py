"""scikit-learn's own checks of estimators, on words that are made of their numbers."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.estimator.numbers import SMALL, OfNumbers

ESTIMATOR = OfNumbers("text", config="text-cpu", settings=SMALL, columns={"title": "words"})


@parametrize_with_checks([ESTIMATOR])
@pytest.mark.filterwarnings("ignore")
def test_sklearn_check_passes(estimator: OfNumbers, check: Any) -> None:
    check(estimator)
