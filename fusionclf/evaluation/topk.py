"""The most likely classes of many products."""

import numpy as np

FEW = 16  # classes; up to this number, finding them one by one is faster than sorting all
CHUNK = 512  # rows that fit into a processor's cache


def first_classes(probabilities: np.ndarray, count: int) -> np.ndarray:
    """(n, k) numbers of the most likely classes, best first, as in a stable sort.

    Args:
        probabilities: (n, K), finite or NaN.
        count: number of classes, k; K where there are fewer.
    """
    if min(count, probabilities.shape[1]) > FEW:
        return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    order = np.empty((len(probabilities), min(count, probabilities.shape[1])), np.int64)
    for start in range(0, len(probabilities), CHUNK):
        chunk = probabilities[start : start + CHUNK]
        remaining = np.where(np.isnan(chunk), np.finfo(np.float64).min, chunk)  # NaN comes last, as in a sort
        rows = np.arange(len(remaining))
        for rank in range(order.shape[1]):
            first = remaining.argmax(axis=1)
            order[start : start + CHUNK, rank] = first
            remaining[rows, first] = -np.inf
    return order
