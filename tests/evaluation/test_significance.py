"""Intervals, McNemar's test and Holm's correction against values worked out by hand or by another route."""

import time
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom

from fusionclf.evaluation import bootstrap_interval, holm, mcnemar_exact, significance
from fusionclf.evaluation.significance import RESAMPLES, percentile_interval, resampled_sums


def test_resampled_sums_draw_whole_groups() -> None:
    # Group 7 holds two products and 5 of the figure, group 9 one product and 100 of it.
    columns = np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 100.0]])
    sums = resampled_sums(columns, np.array([7, 7, 9]))
    assert sums.shape == (RESAMPLES, 2)
    possible = {(4.0, 10.0), (3.0, 105.0), (2.0, 200.0)}  # 7 and 7, one of each, 9 and 9
    assert {tuple(row) for row in sums} == possible
    shares = [np.mean([tuple(row) == want for row in sums]) for want in sorted(possible)]
    assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.05)


def test_sums_do_not_depend_on_the_chunk_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    columns, groups = generator.random((300, 3)), generator.integers(0, 101, 300)
    at_once = resampled_sums(columns, groups)
    for weights in (1, 7 * 101):
        monkeypatch.setattr(significance, "WEIGHTS", weights)
        assert np.array_equal(resampled_sums(columns, groups), at_once)


def test_memory_is_bounded_for_any_number_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "RESAMPLES", 100)
    groups = np.arange(200_000)  # 100 resamples of them are 20 million weights, 160 MB
    tracemalloc.start()
    try:
        resampled_sums(np.ones((len(groups), 1)), groups)
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()


def test_interval_has_the_width_of_the_normal_approximation() -> None:
    values = np.random.default_rng(3).random(4000) < 0.8
    low, high = bootstrap_interval(values, np.arange(4000)) or (0, 0)
    share = values.mean()
    half = 196 * np.sqrt(share * (1 - share) / 4000)
    assert_allclose([low, high], [100 * share - half, 100 * share + half], atol=0.15)


def test_interval_is_wider_where_products_share_titles() -> None:
    one_each = np.random.default_rng(5).random(500) < 0.5
    values = np.repeat(one_each, 8)
    alone = bootstrap_interval(values, np.arange(4000)) or (0, 0)
    grouped = bootstrap_interval(values, np.repeat(np.arange(500), 8)) or (0, 0)
    assert grouped[1] - grouped[0] == pytest.approx(np.sqrt(8) * (alone[1] - alone[0]), rel=0.15)


def test_interval_of_a_difference_may_be_negative() -> None:
    low, high = bootstrap_interval(np.array([-1] * 60 + [1] * 20 + [0] * 20), np.arange(100)) or (0, 0)
    assert -60 < low < -40 < high < -20


def test_interval_depends_on_seed_but_not_on_group_numbers() -> None:
    values = np.random.default_rng(0).random(200) < 0.5
    groups = np.arange(200) // 3
    first = bootstrap_interval(values, groups, seed=1)
    assert first == bootstrap_interval(values, groups * 1000 - 7, seed=1)
    assert first != bootstrap_interval(values, groups, seed=2)


def test_no_products_have_no_interval() -> None:
    assert bootstrap_interval(np.zeros(0), np.zeros(0, int)) is None
    assert percentile_interval(np.full(5, np.nan)) is None


def test_percentile_interval_ignores_nan() -> None:
    assert percentile_interval(np.array([np.nan, *range(101)]), level=0.9) == pytest.approx([5, 95])


def test_intervals_of_a_whole_test_set_take_under_two_seconds() -> None:
    generator = np.random.default_rng(0)
    started = time.process_time()
    bootstrap_interval(generator.random(20_654) < 0.8, generator.integers(0, 16_489, 20_654))
    assert time.process_time() - started < 2


def test_mcnemar_counts_only_products_on_which_the_models_differ() -> None:
    # 1 product only the first gets, 8 only the second: 2 · P(X ≤ 1), X ~ Binomial(9, 1/2) = 2 · 10 / 512.
    first = np.array([True] + [False] * 8 + [True] * 30 + [False] * 5)
    second = np.array([False] + [True] * 8 + [True] * 30 + [False] * 5)
    assert mcnemar_exact(first, second) == pytest.approx(20 / 512)
    assert mcnemar_exact(second, first) == mcnemar_exact(first, second)


def test_mcnemar_of_many_products() -> None:
    first, second = np.zeros(5000, bool), np.zeros(5000, bool)
    first[:400], second[400:900] = True, True
    assert mcnemar_exact(first, second) == pytest.approx(2 * binom.cdf(400, 900, 0.5))


def test_mcnemar_of_equal_predictions_is_one() -> None:
    answers = np.array([True, False, True])
    assert mcnemar_exact(answers, answers) == 1.0


def test_mcnemar_refuses_other_products() -> None:
    with pytest.raises(ValueError, match="the same ones"):
        mcnemar_exact(np.ones(3, bool), np.ones(4, bool))


def test_holm_steps_down_and_never_falls() -> None:
    # Sorted: .01·4 = .04, .02·3 = .06, .03·2 = .06, .5·1 = .5
    assert_allclose(holm([0.03, 0.01, 0.5, 0.02]), [0.06, 0.04, 0.5, 0.06])
    assert_allclose(holm([0.04, 0.03]), [0.06, 0.06])  # the larger one must not fall below the smaller one


def test_holm_stops_at_one() -> None:
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
