"""Samples of rows, for steps for which all rows are too many."""

import numpy as np

LEAST_ROWS = 50  # of each class in a sample, where half of the sample can hold so many


def sample_of_each_class(classes: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Places of `count` products, ascending: LEAST_ROWS of each class (or all, if it has fewer), the rest at random.

    If these were more than half of the sample, it has fewer of each class.

    Args:
        classes: (n,) class numbers.
        count: how many products.
        seed: of the choice.
    """
    order = np.random.default_rng(seed).permutation(len(classes))
    by_class = order[np.argsort(classes[order], kind="stable")]
    own = classes[by_class]
    place_in_class = np.arange(len(own)) - np.searchsorted(own, own)
    least = by_class[place_in_class < min(LEAST_ROWS, count // 2 // len(np.unique(own)))]
    others = order[~np.isin(order, least)][: max(count - len(least), 0)]
    return np.sort(np.concatenate([least, others]))
