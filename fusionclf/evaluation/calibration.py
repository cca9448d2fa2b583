"""Calibration of probabilities: metrics and temperature scaling."""

import numpy as np

BINS = 15


def reliability(
    confidence: np.ndarray, right: np.ndarray, bins: int = BINS
) -> list[tuple[int, float, float]]:
    """Products, mean confidence and accuracy of each equally wide bin that holds any."""
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    members = [bin_of == n for n in range(bins)]
    return [(int(m.sum()), float(confidence[m].mean()), float(right[m].mean())) for m in members if m.any()]


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Mean gap between confidence and accuracy over the bins, in [0, 1].

    Args:
        confidence: (N,) probability of the predicted class.
        right: (N,) whether it is the label.
        bins: equally wide bins.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017), equation 3.
    """
    rows = reliability(confidence, right, bins)
    return sum(n * abs(sure - share) for n, sure, share in rows) / max(len(confidence), 1)


def coverage_accuracy(confidence: np.ndarray, right: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Accuracy among the products with the highest confidence, in [0, 1].

    Args:
        confidence: (N,) probability of the predicted class.
        right: (N,) whether it is the label.
        shares: (S,) shares of the products to cover, in (0, 1]; at least one product is covered.

    Returns:
        (S,) accuracies; for products with equal confidence the mean over all their orders.

    Source: Geifman and El-Yaniv, Selective Classification for Deep Neural Networks (2017), section 2.
    """
    if not len(confidence):
        return np.full(len(shares), np.nan)
    values, member = np.unique(-confidence, return_inverse=True)
    sizes = np.bincount(member, minlength=len(values))
    hits = np.bincount(member, right.astype(float), minlength=len(values))
    covered = np.maximum(shares * len(confidence), 1.0)
    edges, gained = np.append(0, sizes.cumsum()), np.append(0, hits.cumsum())
    return np.interp(covered, edges, gained) / covered


def softmax(logits: np.ndarray) -> np.ndarray:
    """(N, K) probabilities, in float64."""
    logits = np.asarray(logits, np.float64)
    exps = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return exps / exps.sum(axis=1, keepdims=True)


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature: dividing logits by it makes the labels of held-out rows most likely.

    Args:
        logits: (N, K) of rows that were not trained on.
        targets: (N,) class numbers; rows of -1 are ignored.

    Source: Guo et al. (2017), section 4.2.
    """
    logits, targets = logits[targets >= 0], targets[targets >= 0]
    if not len(targets):
        return 1.0
    from scipy.optimize import minimize_scalar  # scipy takes long to import

    # float32: of thousands of classes, exponentials take most of the time.
    below = (logits - logits.max(axis=1, keepdims=True)).astype(np.float32)
    own, exponentials = below[np.arange(len(targets)), targets].astype(np.float64), np.empty_like(below)

    def loss(log_temperature: float) -> float:
        factor = np.exp(-log_temperature)
        np.exp(np.multiply(below, np.float32(factor), out=exponentials), out=exponentials)
        return float(np.mean(np.log(exponentials.sum(axis=1)) - factor * own))

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))  # pyright: ignore[reportAttributeAccessIssue]


def fit_blend(first: np.ndarray, second: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Factors of two models' scores that make the labels of held-out rows most likely.

    Args:
        first, second: (N, K) scores of rows that neither model was trained on.
        targets: (N,) class numbers; rows of -1 are ignored.

    Returns:
        Factors (a, b), both positive, of a · first + b · second.
    """
    known = targets >= 0
    if not known.any():
        return 1.0, 1.0
    from scipy.optimize import minimize  # scipy takes long to import

    def loss(log_factors: np.ndarray) -> float:
        a, b = np.exp(log_factors)
        probabilities = softmax(a * first[known] + b * second[known])
        return float(-np.log(probabilities[np.arange(known.sum()), targets[known]].clip(1e-30)).mean())

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", bounds=[(-4, 4), (-4, 4)])
    a, b = np.exp(found.x)
    return float(a), float(b)
