"""Scores of labels → probabilities → the labels of a product; all of it is fitted on held-out rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

DEFAULT_THRESHOLD = 0.5  # where there is no held-out row
SHRINKAGE = 20.0  # held-out products with a label that weigh as much as the threshold of all labels
SMALLEST = 1e-6  # probability, in log-odds
MOST_PAIRS = 2_000_000  # of a product and a label that are read at once


@dataclass(frozen=True)
class SigmoidDecision:
    """How the scores of K labels become probabilities, and which labels a product gets.

    Attributes:
        temperature: that scores are divided by.
        offset: that is added then; a sigmoid makes a probability of the sum.
        thresholds: (K,) probability from which a product gets each label.

    >>> decision = SigmoidDecision(0.5, 0.0, np.array([0.5, 0.9]))
    >>> probabilities = decision.probabilities(np.array([[1.0, 1.0]]))
    >>> probabilities.round(2).tolist(), decision.predicted(probabilities).tolist()
    ([[0.88, 0.88]], [[True, False]])
    """

    temperature: float
    offset: float
    thresholds: np.ndarray

    @classmethod
    def default(cls, labels: int) -> "SigmoidDecision":
        """The plain sigmoid and a threshold of 0.5, for want of held-out rows."""
        return cls(1.0, 0.0, np.full(labels, DEFAULT_THRESHOLD))

    @classmethod
    def fit(cls, scores: np.ndarray, is_label: np.ndarray) -> "SigmoidDecision":
        """The sigmoid that makes held-out labels most likely, and thresholds by their F1.

        One sigmoid serves all labels: few held-out products have a rare label. The threshold of a label is that of its
        best F1, drawn towards the one of the best micro F1, the more the fewer held-out products have the label.

        Args:
            scores: (n, K) of rows that were not trained on; -inf for a label that the model cannot predict.
            is_label: (n, K) whether each row has each label.

        Source: Platt, Probabilistic Outputs for Support Vector Machines (1999); Yang, A Study of Thresholding
        Strategies for Text Categorization (2001), on thresholds that overfit rare labels.
        """
        known = np.isfinite(scores).all(axis=0) if len(scores) else np.zeros(scores.shape[1], bool)
        if not is_label[:, known].any():
            return cls.default(scores.shape[1])
        temperature, offset = _fit_sigmoid(scores[:, known], is_label[:, known])
        found = cls(temperature, offset, np.full(scores.shape[1], DEFAULT_THRESHOLD))
        probabilities = found.probabilities(scores)
        return cls(temperature, offset, fit_thresholds(probabilities, is_label))

    @classmethod
    def from_labels(cls, entry: Mapping[str, Any]) -> "SigmoidDecision | None":
        """The decision in a part's entry of labels.json; None for a model of one label per product."""
        if "multilabel" not in entry:
            return None
        own = entry["multilabel"]
        return cls(entry["temperature"], own["offset"], np.array(own["thresholds"], np.float64))

    def to_labels(self) -> dict[str, Any]:
        """Its keys of a part's entry of labels.json."""
        own = {"offset": float(self.offset), "thresholds": [float(value) for value in self.thresholds]}
        return {"temperature": float(self.temperature), "multilabel": own}

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """(n, K) float64."""
        from scipy.special import expit  # scipy takes long to import

        return expit(np.asarray(scores, np.float64) / self.temperature + self.offset)

    def predicted(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, K) whether each product gets each label; none for a row of NaN."""
        return probabilities >= self.thresholds


def _fit_sigmoid(scores: np.ndarray, is_label: np.ndarray) -> tuple[float, float]:
    """Temperature and offset."""
    from scipy.optimize import minimize  # scipy takes long to import
    from scipy.special import expit

    step = -(-scores.size // MOST_PAIRS)  # every so manieth row
    plain, targets = scores[::step].astype(np.float64).ravel(), is_label[::step].ravel()

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        factor = np.exp(values[0])
        logits = factor * plain + values[1]
        error = expit(logits) - targets
        total = float(np.mean(np.logaddexp(0, logits) - targets * logits))
        return total, np.array([np.mean(error * factor * plain), np.mean(error)])

    bounds = [(np.log(0.05), np.log(20)), (-20, 20)]
    found = minimize(loss, np.zeros(2), jac=True, bounds=bounds, method="L-BFGS-B")
    return float(np.exp(-found.x[0])), float(found.x[1])


def fit_thresholds(probabilities: np.ndarray, is_label: np.ndarray) -> np.ndarray:
    """(K,) thresholds as of `SigmoidDecision.fit`.

    Args:
        probabilities: (n, K) of rows that were not trained on.
        is_label: (n, K) whether each row has each label.
    """
    step = -(-probabilities.size // MOST_PAIRS)
    some = slice(None, None, step) if is_label[::step].any() else slice(None)
    of_all = best_threshold(probabilities[some].ravel(), is_label[some].ravel())
    counts = is_label.sum(axis=0)
    own = np.array(
        [
            best_threshold(probabilities[:, label], is_label[:, label]) if counts[label] else of_all
            for label in range(len(counts))
        ]
    )
    weight = counts / (counts + SHRINKAGE)
    odds = weight * _log_odds(own) + (1 - weight) * _log_odds(np.array(of_all))
    return 1 / (1 + np.exp(-odds))


def best_threshold(probabilities: np.ndarray, is_label: np.ndarray) -> float:
    """The threshold of the best F1, in the middle between two probabilities; of equal ones the highest.

    Args:
        probabilities: (n,) at least one of a row with the label.
        is_label: (n,) whether a row has the label.

    >>> best_threshold(np.array([0.9, 0.6, 0.2]), np.array([True, True, False]))
    0.4
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    hits = np.cumsum(is_label[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + is_label.sum())
    f1[:-1][ranked[:-1] == ranked[1:]] = -1  # a threshold does not divide equal probabilities
    last = int(f1.argmax())
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    return float((ranked[last] + below) / 2)


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    inside = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    return np.log(inside / (1 - inside))
