"""Drift: no alarm where nothing differs, an alarm where something does, none for a difference that is tiny."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusionclf.evaluation.drift import DriftCheck, find_drift, holm

SHARES = np.array([0.4, 0.3, 0.15, 0.1, 0.03, 0.01, 0.01])


def products(
    seed: int, count: int = 300, *, shares: np.ndarray = SHARES, less: float = 0.0, missing: float = 0.05
) -> pd.DataFrame:
    """Made products: a class, a confidence, words, and a picture that may be missing."""
    rng = np.random.default_rng(seed)
    brightness = rng.normal(200, 30, count)
    brightness[rng.random(count) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "predicted class": rng.choice(list("abcdefg"), count, p=shares),
            "confidence": rng.beta(8, 2, count) - less,
            "missing:picture": rng.random(count) < missing,
            "missing:title": np.zeros(count, bool),
            "unknown:title": rng.binomial(6, 0.1, count) / 6,
            "picture:brightness": brightness,
        }
    )


def drifted(old: pd.DataFrame, new: pd.DataFrame, threshold: float = 0.1) -> set[str]:
    return {check.name for check in find_drift(old, new, threshold) if check.drifted}


def test_one_distribution_gives_no_alarm() -> None:
    # Without the smallest effect that counts, so that the p-values alone decide.
    alarms = sum(
        bool(drifted(products(seed, 500), products(1000 + seed, 60 + seed), 0.0)) for seed in range(100)
    )
    assert alarms <= 5


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"shares": SHARES[::-1]}, "predicted class"),
        ({"less": 0.15}, "confidence"),
        ({"missing": 0.3}, "missing:picture"),
    ],
)
def test_shift_gives_an_alarm_for_its_column_alone(changes: dict[str, Any], name: str) -> None:
    found = [drifted(products(seed, 500), products(1000 + seed, 300, **changes)) for seed in range(20)]
    assert sum(own == {name} for own in found) >= 19


def test_tiny_shift_of_many_products_gives_no_alarm() -> None:
    old, new = products(0, 100_000), products(1, 100_000, less=0.01, missing=0.06)
    found = {check.name: check for check in find_drift(old, new)}
    assert found["confidence"].p < 1e-6 and found["missing:picture"].p < 1e-6
    assert not any(check.drifted for check in found.values())


def test_checks_name_the_classes_that_changed_most() -> None:
    old = pd.DataFrame({"class": ["a"] * 90 + ["b"] * 10})
    new = pd.DataFrame({"class": ["a"] * 10 + ["c"] * 90})
    (check,) = find_drift(old, new)
    assert check.details[:2] == ["c: 0.0 % → 90.0 %", "a: 90.0 % → 10.0 %"]
    assert check.effect == pytest.approx(0.9) and check.drifted


def test_few_products_and_rare_classes_are_no_alarm() -> None:
    old = pd.DataFrame({"class": [f"rare {n}" for n in range(200)], "missing:title": [False] * 200})
    new = pd.DataFrame({"class": [f"new {n}" for n in range(3)], "missing:title": [True, False, False]})
    assert drifted(old, new) == set()


def test_columns_without_values_or_a_partner_are_left_out() -> None:
    old = pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, np.nan], "c": [1.0, 1.0]})
    assert [check.name for check in find_drift(old, old.drop(columns="a"))] == ["c"]


def test_nan_becomes_null_in_plain_data() -> None:
    assert DriftCheck("a", "chi-squared", np.nan, 1.0, 0.0, 1.0).to_dict()["reference"] is None


def test_holm_never_exceeds_1_and_keeps_the_order() -> None:
    found = holm([0.9, 0.001, 0.5, 0.02])
    assert found[1] == pytest.approx(0.004) and max(found) == 1.0
    assert np.argsort(found, kind="stable")[0] == 1 and holm([]) == []
