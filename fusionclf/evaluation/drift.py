"""Drift: two-sample tests of whether new products differ from a model's test products, and how much."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

THRESHOLD = 0.1  # smallest difference that counts
SIGNIFICANCE = 0.01  # probability of an alarm where nothing differs, over all tests
LEAST_EXPECTED = 5  # products of a class in each sample; rarer ones are counted together
SHOWN = 5  # classes that changed most


@dataclass(frozen=True)
class DriftCheck:
    """One property of the products, compared.

    Attributes:
        name: such as "class mix" or "unknown:title".
        test: chi-squared or Kolmogorov-Smirnov.
        reference, current: share or mean in the reference and in the new products; NaN for classes.
        effect: largest difference between the two distributions, from 0 (equal) to 1: the total variation distance of
            shares, or the Kolmogorov-Smirnov statistic of numbers.
        p: probability of such a difference if both come from one distribution, corrected for the number of tests.
        drifted: whether the difference is neither noise nor small.
        details: what changed most.
    """

    name: str
    test: str
    reference: float
    current: float
    effect: float
    p: float
    drifted: bool = False
    details: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; null for NaN."""
        values = asdict(self)
        return {
            key: None if isinstance(value, float) and np.isnan(value) else value
            for key, value in values.items()
        }


def find_drift(
    reference: pd.DataFrame, current: pd.DataFrame, threshold: float = THRESHOLD
) -> list[DriftCheck]:
    """A comparison of every column that both tables have, the largest difference first.

    A column of texts is compared by the shares of its values, one of booleans by its share, one of numbers by its
    distribution. Empty cells and NaN are left out. A column drifted if the difference is significant at
    SIGNIFICANCE, corrected for the number of columns (Holm, 1979), and at least `threshold`.

    Args:
        reference, current: one row per product.
        threshold: smallest effect that counts.

    >>> old, new = pd.DataFrame({"confidence": [0.9, 0.8] * 50}), pd.DataFrame({"confidence": [0.4, 0.5] * 50})
    >>> [(check.name, check.drifted) for check in find_drift(old, new)]
    [('confidence', True)]
    """
    checks = []
    for name in [name for name in reference.columns if name in current.columns]:
        old, new = pd.Series(reference[name]).dropna(), pd.Series(current[name]).dropna()
        if len(old) and len(new):
            checks.append(_compare(str(name), old, new))
    corrected = holm([check.p for check in checks])
    judged = [
        replace(check, p=p, drifted=p < SIGNIFICANCE and check.effect >= threshold)
        for check, p in zip(checks, corrected, strict=True)
    ]
    return sorted(judged, key=lambda check: (not check.drifted, -check.effect))


def holm(probabilities: Sequence[float]) -> list[float]:
    """p-values corrected for their number.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(probabilities)
    count, largest = len(probabilities), 0.0
    found = [0.0] * count
    for rank, place in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (count - rank) * probabilities[place]))
        found[place] = largest
    return found


def _compare(name: str, old: pd.Series, new: pd.Series) -> DriftCheck:
    if old.dtype == bool and new.dtype == bool:
        return _compare_shares(name, old.to_numpy(bool), new.to_numpy(bool))
    if pd.api.types.is_numeric_dtype(old):
        return _compare_numbers(name, old.to_numpy(float), new.to_numpy(float))
    return _compare_classes(name, old.tolist(), new.tolist())


def _compare_shares(name: str, old: np.ndarray, new: np.ndarray) -> DriftCheck:
    table = np.array([[own.sum(), (~own).sum()] for own in (old, new)])
    effect, p = _chi_squared(table)
    return DriftCheck(name, "chi-squared", float(old.mean()), float(new.mean()), effect, p)


def _compare_numbers(name: str, old: np.ndarray, new: np.ndarray) -> DriftCheck:
    from scipy.stats import ks_2samp  # takes long to import

    found: Any = ks_2samp(old, new, method="asymp")
    return DriftCheck(
        name, "Kolmogorov-Smirnov", float(old.mean()), float(new.mean()), float(found.statistic),
        float(found.pvalue),
    )  # fmt: skip


def _compare_classes(name: str, old: Sequence[str], new: Sequence[str]) -> DriftCheck:
    before, after = Counter(old), Counter(new)
    names = sorted({*before, *after})
    table = np.array([[own[value] for value in names] for own in (before, after)], np.int64)  # (2, K)
    shares = table / table.sum(axis=1, keepdims=True)
    change = shares[1] - shares[0]
    most = sorted(range(len(names)), key=lambda n: -abs(change[n]))[:SHOWN]
    details = [f"{names[n]}: {100 * shares[0, n]:.1f} % → {100 * shares[1, n]:.1f} %" for n in most]
    effect, p = _chi_squared(_without_rare(table))
    return DriftCheck(name, "chi-squared", np.nan, np.nan, effect, p, details=details)


def _without_rare(table: np.ndarray) -> np.ndarray:
    """(2, k) counts with the classes joined of which a sample has too few for the test."""
    expected = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    rare = expected < LEAST_EXPECTED
    if not rare.any():
        return table
    return np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])


def _chi_squared(table: np.ndarray) -> tuple[float, float]:
    """Total variation distance and p-value of two samples' counts, (2, k)."""
    from scipy.stats import chi2_contingency, fisher_exact  # takes long to import

    table = table[:, table.sum(axis=0) > 0]
    shares = table / table.sum(axis=1, keepdims=True)
    effect = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if table.shape[1] < 2:
        return effect, 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    if table.shape == (2, 2) and expected.min() < LEAST_EXPECTED:
        found: Any = fisher_exact(table)
        return effect, float(found.pvalue)
    return effect, float(chi2_contingency(table)[1])  # pyright: ignore
