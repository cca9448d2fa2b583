"""Which products to label next: those that a model is least certain of and that differ from each other."""

import numpy as np

WIDENING = 10  # candidates for each product to choose


def uncertainty(probabilities: np.ndarray) -> np.ndarray:
    """(n,) 1 minus the margin between the two most likely classes; 0 where a row holds NaN.

    >>> uncertainty(np.array([[0.5, 0.5, 0.0], [0.1, 0.8, 0.1]])).round(2).tolist()
    [1.0, 0.3]
    """
    if probabilities.shape[1] < 2:
        return np.zeros(len(probabilities))
    second, first = np.sort(np.partition(probabilities, -2, axis=1)[:, -2:], axis=1).T
    return np.nan_to_num(1 - (first - second))


def most_uncertain(uncertain: np.ndarray, count: int) -> np.ndarray:
    """(m,) rows of the candidates for `count` choices, the least certain first; ties in the order of the rows."""
    return np.argsort(-uncertain, kind="stable")[: WIDENING * count]


def choose_varied(uncertain: np.ndarray, vectors: np.ndarray, count: int) -> np.ndarray:
    """Rows to label, the most useful first: k-centre greedy, weighted by uncertainty.

    Each choice is the row whose uncertainty times distance from all choices before it is greatest.

    Args:
        uncertain: (n,) of the candidates, from 0 to 1.
        vectors: (n, D) of any length; a row of zeros is as far from all others as unrelated products are.
        count: rows to choose.

    Source: Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach (2018),
    algorithm 1; the weights are this project's.

    >>> choose_varied(np.array([0.9, 0.9, 0.5]), np.array([[1.0, 0], [1, 0], [0, 1]]), 2).tolist()
    [0, 2]
    """
    count = min(count, len(uncertain))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1.0)
    distance, left = np.ones(len(uncertain)), np.ones(len(uncertain), bool)
    chosen = np.zeros(count, np.int64)
    for place in range(count):
        # Of rows that are equal to choices, the least certain one.
        score = np.where(left, uncertain * (distance + 1e-6), -1.0)
        row = int(score.argmax())
        chosen[place], left[row] = row, False
        distance = np.minimum(distance, np.maximum(1 - unit @ unit[row], 0.0))
    return chosen
