"""Significance of a difference: bootstrap intervals over groups, McNemar's exact test, Holm's correction."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95
WEIGHTS = 4_000_000  # weights of groups in the resamples that are drawn at once


def resampled_sums(columns: Any, groups: np.ndarray, seed: int = 0) -> np.ndarray:
    """Column sums over resamples that draw whole groups with replacement.

    Args:
        columns: (N, M) values of each product, an array or a sparse array.
        groups: (N,) products with the same number (one title, or one group of the split) are drawn together.
        seed: of the resampling.

    Returns:
        (RESAMPLES, M) sums.

    Source: Field and Welsh, Bootstrapping Clustered Data (2007).
    """
    from scipy import sparse  # scipy takes long to import

    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    rows = np.arange(len(member))
    gather = sparse.csr_array((np.ones(len(member)), (member, rows)), shape=(count, len(member)))
    sums = gather @ sparse.csr_array(columns)  # (groups, M)
    generator = np.random.default_rng(seed)
    found = np.empty((RESAMPLES, int(columns.shape[1])))
    chunk = max(1, WEIGHTS // count)
    for start in range(0, RESAMPLES, chunk):
        drawn = generator.integers(0, count, (min(chunk, RESAMPLES - start), count))
        weights = np.stack([np.bincount(draw, minlength=count) for draw in drawn])  # (chunk, groups)
        found[start : start + len(drawn)] = weights.astype(float) @ sums
    return found


def resampled_weights(groups: np.ndarray, resamples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Chunks of `resamples` rows, (R, N) float32: how often each product is in resamples that draw whole groups.

    Args:
        groups: (N,) as of `resampled_sums`.
        resamples: how many.
        seed: of the resampling.
    """
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    generator = np.random.default_rng(seed)
    chunk = max(1, WEIGHTS // len(member))
    for start in range(0, resamples, chunk):
        drawn = generator.integers(0, count, (min(chunk, resamples - start), count))
        weights = np.stack([np.bincount(draw, minlength=count) for draw in drawn])  # (R, groups)
        yield weights[:, member].astype(np.float32)


def percentile_interval(values: np.ndarray, level: float = LEVEL) -> list[float] | None:
    """The middle `level` of resampled values without NaN; None where all are NaN."""
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    tail = 50 * (1 - level)
    return [float(edge) for edge in np.percentile(values, [tail, 100 - tail])]


def bootstrap_interval(values: np.ndarray, groups: np.ndarray, seed: int = 0) -> list[float] | None:
    """95 % interval of the mean of `values`, in percent; None where there are none.

    Args:
        values: (N,) 0 or 1 for each product; or -1, 0, 1 for the difference of two models.
        groups: (N,) as of `group_numbers`.
        seed: of the resampling.
    """
    if not len(values):
        return None
    sums = resampled_sums(np.stack([values.astype(float), np.ones(len(values))], axis=1), groups, seed)
    return percentile_interval(100 * sums[:, 0] / sums[:, 1])


def mcnemar_exact(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided p-value of the hypothesis that two models are right equally often.

    Args:
        first, second: (N,) whether each model is right, on the same products.

    Source: McNemar (1947), with the exact binomial distribution.
    """
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} products; the test needs the same ones")
    first, second = first.astype(bool), second.astype(bool)
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    if only_first + only_second == 0:
        return 1.0
    from scipy.stats import binomtest  # scipy takes long to import

    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for multiple tests by Holm's step-down method (1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted.tolist()
