"""FusionClassifier for scikit-learn's estimator checks, which give arrays of numbers: each becomes a word."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import validate_data

from fusionclf import FusionClassifier

SMALL = {
    "train": {"epochs": 1, "batch_size": 16, "optimiser": {"learning_rate": 0.03}},
    "model": {"text": {"buckets": 4096, "dim": 16}},
    "split.group_by": [],
}


class OfNumbers(FusionClassifier):
    """Reads an array as one column of words, a word for a range of each number."""

    def fit(self, X: Any, y: Any) -> "OfNumbers":
        found: Any = validate_data(self, X, y, multi_output=True)
        numbers, y = found
        super().fit(_words(numbers), y)
        self.n_features_in_ = numbers.shape[1]
        del self.feature_names_in_
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        numbers: Any = validate_data(self, X, reset=False)
        return super().predict_proba(_words(numbers))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.allow_nan = True, False
        return tags


def _words(numbers: np.ndarray) -> pd.DataFrame:
    texts = [" ".join(f"c{n}v{round(2 * cell)}" for n, cell in enumerate(row)) for row in numbers.tolist()]
    return pd.DataFrame({"words": texts})
