"""The most likely classes of many products."""

import numpy as np

FEW = 16  # classes up to which finding them one by one is faster than sorting all
BLOCK = 512  # rows that stay in a processor's cache meanwhile


def first_classes(probabilities: np.ndarray, count: int) -> np.ndarray:
    """(n, k) numbers of the most likely classes, best first: those of a stable sort of all.

    Args:
        probabilities: (n, K), finite or NaN.
        count: how many; k is K where there are fewer.
    """
    if min(count, probabilities.shape[1]) > FEW:
        return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    order = np.empty((len(probabilities), min(count, probabilities.shape[1])), np.int64)
    for start in range(0, len(probabilities), BLOCK):
        block = probabilities[start : start + BLOCK]
        left = np.where(np.isnan(block), np.finfo(np.float64).min, block)  # as a sort does, NaN comes last
        rows = np.arange(len(left))
        for rank in range(order.shape[1]):
            first = left.argmax(axis=1)
            order[start : start + BLOCK, rank] = first
            left[rows, first] = -np.inf
    return order
