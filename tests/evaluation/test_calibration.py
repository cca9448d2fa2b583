"""Calibration against values worked out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fusionclf.evaluation import coverage_accuracy, fit_blend, fit_temperature, reliability, softmax
from fusionclf.evaluation.calibration import expected_calibration_error


def test_ece_by_hand() -> None:
    # Bins of a tenth: [.12, .18] right once (gap .35), [.95] right (gap .05), [1.0] falls into the same bin.
    confidence = np.array([0.12, 0.18, 0.95, 1.0])
    right = np.array([True, False, True, True])
    expected = 2 / 4 * abs(0.15 - 0.5) + 2 / 4 * abs(0.975 - 1.0)
    assert expected_calibration_error(confidence, right, bins=10) == pytest.approx(expected)


def test_ece_has_fifteen_bins() -> None:
    # 0.10 and 0.15 lie in bins 1 and 2 of 15, in one bin of 10.
    confidence, right = np.array([0.10, 0.15]), np.array([False, True])
    assert expected_calibration_error(confidence, right) == pytest.approx((0.10 + 0.85) / 2)


def test_reliability_lists_the_bins_that_hold_products() -> None:
    rows = reliability(np.array([0.05, 0.06, 0.55]), np.array([True, False, True]), bins=10)
    assert [n for n, _, _ in rows] == [2, 1]
    assert_allclose([row[1:] for row in rows], [(0.055, 0.5), (0.55, 1.0)])


def test_no_products_have_no_error() -> None:
    assert expected_calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0


def test_softmax_of_large_logits() -> None:
    assert_allclose(softmax(np.array([[1000.0, 1000.0 + np.log(3)]])), [[0.25, 0.75]])


@pytest.mark.parametrize("wanted", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(wanted: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 4)) * 2
    draws = generator.random(20_000)[:, None]
    targets = (softmax(logits).cumsum(axis=1) < draws).sum(axis=1)
    assert fit_temperature(logits * wanted, targets) == pytest.approx(wanted, rel=0.05)


def test_temperature_ignores_unknown_classes() -> None:
    logits = np.random.default_rng(1).normal(size=(400, 3))
    targets = logits.argmax(axis=1)
    targets[:100] = (targets[:100] + 1) % 3
    more = np.concatenate([logits, logits]), np.concatenate([targets, np.full(400, -1)])
    assert fit_temperature(*more) == pytest.approx(fit_temperature(logits, targets))


def test_temperature_without_held_out_rows_changes_nothing() -> None:
    assert fit_temperature(np.ones((2, 3)), np.array([-1, -1])) == 1.0


def test_blend_finds_both_factors_again() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 20_000, 4))
    draws = generator.random(20_000)[:, None]
    targets = (softmax(2.0 * first + 0.5 * second).cumsum(axis=1) < draws).sum(axis=1)
    targets[:100] = -1  # unknown classes are left out
    assert fit_blend(first, second, targets) == pytest.approx((2.0, 0.5), rel=0.1)


def test_blend_without_held_out_rows_is_the_sum() -> None:
    assert fit_blend(np.ones((2, 3)), np.ones((2, 3)), np.array([-1, -1])) == (1.0, 1.0)


def test_coverage_accuracy_by_hand() -> None:
    confidence, right = np.array([0.2, 0.9, 0.5, 0.7]), np.array([False, True, False, True])
    found = coverage_accuracy(confidence, right, np.array([0.25, 0.5, 0.75, 1.0]))
    assert_allclose(found, [1, 1, 2 / 3, 1 / 2])


def test_coverage_accuracy_ignores_the_order_of_ties() -> None:
    # The three of 0.5 hold one right answer: a half of all is the surest and a third of that one.
    confidence = np.array([0.9, 0.5, 0.5, 0.5])
    for place in (1, 2, 3):
        right = np.arange(4) == place
        assert_allclose(coverage_accuracy(confidence, right, np.array([0.5, 1.0])), [1 / 6, 1 / 4])


def test_coverage_has_at_least_one_product() -> None:
    assert coverage_accuracy(np.array([0.4, 0.6]), np.array([False, True]), np.array([0.01])) == [1.0]
    assert np.isnan(coverage_accuracy(np.zeros(0), np.zeros(0, bool), np.array([0.5]))).all()
