"""Guarantees: lower confidence bounds of the precision above a threshold, and the threshold that meets a target."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

# A guarantee may fail in one of ten catalogs, the usual level of learn-then-test. At 0.05, a guarantee of 0.98 would
# need 149 right answers without a wrong one instead of 114, and many shops have only a few hundred held-out rows.
DELTA = 0.1
LEAST = 0.5  # below it, an answer is more likely wrong than right
START = 1 / 3  # share of the groups that the first candidate accepts at least
ONE_ERROR = 1.7  # times as many groups are needed with one error as without
LOG_ODDS = np.arange(14.0, 0.0, -0.25)
# Precisions that a message may name.
NAMED = (*(round(0.5 + step / 100, 2) for step in range(50)), 0.995, 0.998, 0.999)
ROUNDING = 1e-9


@dataclass(frozen=True)
class Guarantees:
    """Guarantees for the precision of future answers, from held-out answers.

    A threshold that is chosen for its high held-out precision looks better than it is, because some of many candidates
    are lucky. Therefore the candidates form a fixed sequence that does not depend on the held-out labels, the strictest
    first. A candidate passes if the lower confidence bound of its precision (Clopper–Pearson, one-sided, level
    1 - DELTA) reaches the target. The sequence ends at the first candidate that fails, and the last one that passed is
    chosen. The choice is wrong only if the first candidate with a too low precision passes, and only this candidate
    is tested at DELTA. So no union bound over the candidates is needed, which would cost most of the few held-out
    answers.

    A candidate with too few groups cannot pass, even without an error. So the sequence starts at the first candidate
    with enough groups to guarantee the target without an error, and with at least a third of all groups. If half of all
    groups suffice for the target even with one error, the sequence starts at the first candidate with enough groups for
    that: then one wrong label among the most confident answers does not end it.

    Answers of one group are not independent, so groups are counted, not answers. The share of errors is the mean over
    groups or over answers, whichever is larger, and the number of errors is rounded up. The bound is exact if each
    group's answers are all right or all wrong. It holds for products like the held-out ones, not for those of a
    later season.

    Predictions for classes without training rows are less accurate. A run that can predict such classes therefore also
    holds classes out, and these answers form a second stratum, whose groups are the classes. The error is then the mean
    over both strata, weighted by their expected shares of future products. If fewer products of such classes arrive,
    the precision is higher.

    Attributes:
        thresholds: (T,) candidates, in descending order.
        groups: (T,) number of groups with an answer at or above each candidate.
        bounds: (T,) lower confidence bound of the precision of these answers.

    Source: Clopper and Pearson, The Use of Confidence or Fiducial Limits (1934); Angelopoulos et al., Learn then Test:
    Calibrating Predictive Algorithms to Achieve Risk Control (2021), section 2.3 (fixed sequence testing).

    >>> found = guarantees([Stratum(np.full(152, 0.9), np.arange(152) > 4, np.arange(152))])
    >>> found.threshold(0.95), found.threshold(0.9), found.largest()
    (None, 0.5, 0.93)
    """

    thresholds: np.ndarray
    groups: np.ndarray
    bounds: np.ndarray

    def threshold(self, target: float) -> float | None:
        """The lowest threshold for which the precision `target` can be guaranteed; None if there is none."""
        needed = math.log(DELTA) / math.log(target) if target < 1 else math.inf
        total = self.groups.max(initial=0)
        if 2 * ONE_ERROR * needed <= total:
            needed *= ONE_ERROR
        first = np.flatnonzero(self.groups >= max(needed, START * total, 1))
        if not len(first):
            return None
        passes = self.bounds[first[0] :] >= target
        count = len(passes) if passes.all() else int(passes.argmin())
        return float(self.thresholds[first[0] + count - 1]) if count else None

    def largest(self, below: float = 1.0) -> float | None:
        """The largest precision of NAMED up to which all can be guaranteed; None if the smallest cannot."""
        kept = list(takewhile(lambda p: p < below and self.threshold(p) is not None, NAMED))
        return kept[-1] if kept else None


@dataclass(frozen=True)
class Stratum:
    """Held-out answers of one kind.

    Attributes:
        prob: (n,) probability of each answer.
        right: (n,) whether it is right.
        groups: (n,) equal numbers for answers that are not independent.
        share: expected share of this kind among future products.
    """

    prob: np.ndarray
    right: np.ndarray
    groups: np.ndarray
    share: float = 1.0

    def at(self, mask: np.ndarray) -> "Stratum":
        """Some of the answers, by an (n,) mask, and their share."""
        share = self.share * float(mask.mean()) if len(mask) else 0.0
        return Stratum(self.prob[mask], self.right[mask], self.groups[mask], share)


def guarantees(strata: Sequence[Stratum], floor: float = LEAST) -> Guarantees:
    """Guarantees from held-out answers of several kinds together.

    Args:
        strata: the answers of each kind; an empty kind is ignored.
        floor: the lowest candidate.
    """
    candidates = 1 / (1 + np.exp(-LOG_ODDS))
    candidates = np.append(candidates[candidates > floor], floor)
    found = [_together([each.at(each.prob >= least) for each in strata]) for least in candidates]
    counts, errors = np.array(found, np.int64).T
    return Guarantees(candidates, counts, lower_bound(errors, counts))


def _together(strata: Sequence[Stratum]) -> tuple[int, int]:
    """Number of groups of some answers, and how many of them count as wrong.

    For several kinds it is the effective number: that of groups whose mean has the variance of the mean over the kinds.
    """
    there = [each for each in strata if len(each.prob) and each.share > 0]
    if not there:
        return 0, 0
    errors, groups = np.array([_errors(each) for each in there]).T
    weights = np.array([each.share for each in there])
    weights /= weights.sum()
    count = math.floor(1 / (weights**2 / groups).sum() + ROUNDING)
    return count, math.ceil(float(weights @ errors) * count - ROUNDING)


def _errors(answers: Stratum) -> tuple[float, int]:
    """The share of wrong answers, over groups or over answers, whichever is larger, and the number of groups."""
    _, group = np.unique(answers.groups, return_inverse=True)
    sizes, wrong = np.bincount(group), np.bincount(group, ~answers.right)
    return float(max((wrong / sizes).mean(), wrong.sum() / sizes.sum())), len(sizes)


def lower_bound(errors: np.ndarray, counts: np.ndarray, delta: float = DELTA) -> np.ndarray:
    """Clopper–Pearson lower bound of the share of right answers, one-sided at the level 1 - delta.

    Args:
        errors: (T,) number of wrong answers.
        counts: (T,) number of answers.

    >>> lower_bound(np.array([0, 1]), np.array([114, 114])).round(3).tolist()
    [0.98, 0.966]
    """
    from scipy.special import betaincinv  # scipy takes long to import

    right = counts - errors
    return np.where(right > 0, betaincinv(np.maximum(right, 1), errors + 1.0, delta), 0.0)
