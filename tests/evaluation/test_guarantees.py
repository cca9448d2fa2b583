"""Guarantees from held-out answers, and how often they fail."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from fusionclf.evaluation.guarantees import DELTA, NAMED, Guarantees, Stratum, guarantees, lower_bound

REPETITIONS = 400
MOST_BROKEN = DELTA * REPETITIONS
CALIBRATED: Callable[[np.ndarray], np.ndarray] = lambda prob: prob  # noqa: E731
TOO_SURE: Callable[[np.ndarray], np.ndarray] = lambda prob: 0.55 + 0.42 * prob**4  # noqa: E731
FLAT: Callable[[np.ndarray], np.ndarray] = lambda prob: np.full_like(prob, 0.949)  # noqa: E731


def of_answers(prob: np.ndarray, right: np.ndarray, groups: np.ndarray) -> Guarantees:
    return guarantees([Stratum(prob, right, groups)])


def answers(
    rng: np.random.Generator, count: int, precision: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of some answers, most of them high, and whether each is right."""
    prob = rng.beta(4, 0.6, count)
    return prob, rng.random(count) < precision(prob)


def broken(
    target: float, count: int, precision: Callable[[np.ndarray], np.ndarray], copies: int = 1
) -> tuple[int, int]:
    """In how many repetitions a target is guaranteed, and in how many of these the guarantee does not hold."""
    rng = np.random.default_rng(int(1000 * target) + count)
    prob, _ = answers(rng, 200_000, precision)
    guaranteed = wrong = 0
    for _ in range(REPETITIONS):
        own, right = answers(rng, count, precision)
        group = np.repeat(np.arange(count), copies)
        least = of_answers(own[group], right[group], group).threshold(target)
        if least is not None:
            guaranteed += 1
            wrong += precision(prob[prob >= least]).mean() < target
    return guaranteed, wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    "precision", [CALIBRATED, TOO_SURE, FLAT], ids=["calibrated", "too_sure", "uninformative"]
)
@pytest.mark.parametrize(("target", "count"), [(0.9, 60), (0.95, 170), (0.95, 600), (0.98, 1500)])
def test_guarantee_fails_in_at_most_delta_of_the_catalogs(
    precision: Callable[[np.ndarray], np.ndarray], target: float, count: int
) -> None:
    guaranteed, wrong = broken(target, count, precision)
    assert wrong <= MOST_BROKEN
    if precision is CALIBRATED:
        assert guaranteed > REPETITIONS / 4


@pytest.mark.slow
@pytest.mark.parametrize("classes", [20, 100])
def test_guarantee_holds_with_the_expected_unseen_share(classes: int) -> None:
    """A fifth of the products are of unseen classes: some of these are always answered right, others never."""
    rng, share, guaranteed, wrong = np.random.default_rng(classes), 0.2, 0, 0
    prob, _ = answers(rng, 200_000, CALIBRATED)
    of_unseen = rng.beta(3, 2, 200_000)
    for _ in range(REPETITIONS):
        seen = Stratum(*answers(rng, 600, CALIBRATED), np.arange(600), 1 - share)
        group, low = np.arange(40 * classes) % classes, rng.beta(3, 2, 40 * classes)
        unseen = Stratum(low, (rng.random(classes) < 0.7)[group], group, share)
        least = guarantees([seen, unseen]).threshold(0.9)
        if least is not None:
            guaranteed += 1
            accepted = (1 - share) * (prob >= least).mean(), share * (of_unseen >= least).mean()
            right = accepted[0] * prob[prob >= least].mean() + accepted[1] * 0.7
            wrong += right / sum(accepted) < 0.9
    assert guaranteed > REPETITIONS / 4
    assert wrong <= MOST_BROKEN


@pytest.mark.slow
def test_guarantee_holds_for_groups_of_ten_copies() -> None:
    guaranteed, wrong = broken(0.95, 100, TOO_SURE, copies=10)
    assert wrong <= MOST_BROKEN
    assert guaranteed < REPETITIONS / 2  # one hundred answers are too few, copied as they may be


@pytest.mark.slow
def test_the_largest_guarantee_seldom_fails() -> None:
    rng, wrong = np.random.default_rng(5), 0
    prob, _ = answers(rng, 200_000, TOO_SURE)
    for _ in range(REPETITIONS):
        found = of_answers(*answers(rng, 150, TOO_SURE), np.arange(150))
        largest = found.largest()
        assert largest is not None
        least = found.threshold(largest)
        wrong += TOO_SURE(prob[prob >= least]).mean() < largest
    assert wrong <= MOST_BROKEN


def test_copies_of_a_row_count_once() -> None:
    rng = np.random.default_rng(0)
    prob, right = answers(rng, 150, CALIBRATED)
    once = of_answers(prob, right, np.arange(150))
    group = np.repeat(np.arange(150), 7)
    copied = of_answers(prob[group], right[group], group)
    assert np.array_equal(copied.bounds, once.bounds) and np.array_equal(copied.groups, once.groups)
    # One right answer, repeated, does not make room for wrong ones.
    further = np.append(np.arange(150), np.full(500, 150))
    padded = of_answers(np.append(prob, np.ones(500)), np.append(right, np.ones(500, bool)), further)
    assert padded.groups.max() <= 151
    assert np.all(padded.bounds[once.groups > 0] <= lower_bound(np.zeros(1), np.array([151])))


def test_a_large_group_of_errors_counts_by_its_products() -> None:
    group = np.append(np.arange(99), np.full(100, 99))
    found = of_answers(np.full(199, 0.9), group < 99, group)
    assert found.threshold(0.6) is None  # half of the products are wrong, one group of a hundred
    assert found.largest() is None


def test_bound_is_that_of_clopper_and_pearson() -> None:
    for errors, count in ((0, 30), (3, 60), (60, 60)):
        bound = float(lower_bound(np.array([errors]), np.array([count]))[0])
        # At the bound, so few errors are seen with the probability DELTA.
        assert binom.cdf(errors, count, 1 - bound) == pytest.approx(DELTA if errors < count else 1.0)


def test_sequence_ends_at_the_first_failure() -> None:
    thresholds, groups = np.array([0.9, 0.8, 0.7, 0.6]), np.array([40, 100, 150, 200])
    found = Guarantees(thresholds, groups, np.array([0.94, 0.96, 0.94, 0.97]))
    assert found.threshold(0.95) == 0.8  # 40 answers are too few to start with; the last pass comes too late
    assert found.threshold(0.97) is None
    assert found.threshold(1.0) is None
    assert found.largest() == 0.96 and found.largest(0.96) == 0.95


def test_largest_guarantee_also_covers_every_smaller_one() -> None:
    # For 0.95 the sequence starts at 60 answers, which cannot guarantee it; for 0.98 at 120, which could.
    found = Guarantees(np.array([0.9, 0.8]), np.array([60, 120]), np.array([0.93, 0.985]))
    assert found.threshold(0.98) == 0.8 and found.threshold(0.95) is None
    assert found.largest(0.99) == 0.93


def test_one_wrong_label_among_the_most_confident_is_no_refusal() -> None:
    right = np.ones(400, bool)
    right[0] = False
    found = of_answers(np.linspace(0.9999, 0.6, 400), right, np.arange(400))
    assert found.threshold(0.97) is not None


def test_answers_below_one_half_are_never_accepted() -> None:
    found = of_answers(np.linspace(0.9, 0.1, 300), np.ones(300, bool), np.arange(300))
    assert found.threshold(0.9) == 0.5


@pytest.mark.parametrize("count", [0, 1])
def test_no_answer_or_one_guarantees_nothing(count: int) -> None:
    found = of_answers(np.ones(count), np.ones(count, bool), np.arange(count))
    assert found.largest() is None and NAMED[0] == 0.5
