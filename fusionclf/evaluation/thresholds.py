"""Thresholds: when a prediction is accepted, reviewed or rejected, and to which category it backs off."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.guarantees import LEAST, Stratum, guarantees
from fusionclf.evaluation.held_out import AnswersByLevel, HeldOut, read_held_out
from fusionclf.evaluation.hierarchy import level_probs, right_to_level

ACCEPT, REVIEW, REJECT = "accept", "review", "reject"
TARGETS = (0.98, 0.95)  # target precisions in metrics.json
ROUNDING = 1e-12
MORE_ROWS = (
    "train on more products, or with a larger split.validation_fraction (no help if the vocabulary is open or "
    "named)"
)


@dataclass(frozen=True)
class Thresholds:
    """Minimum probabilities, fitted on held-out predictions.

    Attributes:
        target: target precision, in (0, 1].
        groups: number of independent held-out predictions that they were fitted on.
        accept_from: minimum probability at which a class is accepted; None: never.
        levels: for each of the L category levels, the coarsest first: minimum probability at which a prediction
            backs off to it if no deeper level is accepted; None: never.
        reject_below: predictions below this probability were wrong more often than right.
        never: classes that are not accepted at any probability.
        unseen_share: share of products of classes without a training row that the thresholds allow for; 0: none.

    Raises:
        SettingsError: the target is out of range.
        ValueError: another value is not a probability.
    """

    target: float
    groups: int
    accept_from: float | None
    levels: tuple[float | None, ...]
    reject_below: float
    never: frozenset[str] = frozenset()
    unseen_share: float = 0.0

    def __post_init__(self) -> None:
        _check_target(self.target)
        given = [self.accept_from, *self.levels, self.reject_below]
        if any(value is not None and not 0 <= value <= 1 for value in given):
            raise ValueError("a threshold is not a probability")

    def without(self, names: Sequence[str]) -> "Thresholds":
        """These thresholds, but with classes that are never accepted."""
        return replace(self, never=self.never | set(names)) if names else self


def _check_target(target: float) -> None:
    if not 0 < target <= 1:
        raise SettingsError(f"target precision {target}: give a number above 0, up to 1, such as 0.98")


@dataclass(frozen=True)
class Decisions:
    """Decisions about the predictions of n products.

    Attributes:
        decisions: (n,) accept, review or reject, for the class.
        levels: (n,) number of accepted levels of the path: 0 for none, L + 1 with the class.
        paths: the accepted levels of the path, the coarsest category first.
        probabilities: (n,) of the deepest accepted level; NaN without one.
    """

    decisions: np.ndarray
    levels: np.ndarray
    paths: list[tuple[str, ...]]
    probabilities: np.ndarray


class CannotGuaranteeError(SettingsError):
    """A precision cannot be guaranteed from the held-out predictions.

    Attributes:
        largest: the largest precision that can be guaranteed; None if there is none.
    """

    def __init__(self, message: str, largest: float | None) -> None:
        super().__init__(message)
        self.largest = largest


def fit_thresholds(held_out: HeldOut, target: float) -> Thresholds:
    """Thresholds that guarantee a precision, by lower confidence bounds on held-out predictions.

    One threshold for all classes is the lowest one for which the precision `target` can be guaranteed for the accepted
    classes. (A threshold for each class would be fitted on few predictions, too few for a bound.) The threshold of a
    category level is found in the same way on the products without a deeper accepted level, so that certain classes do
    not hide errors of uncertain categories. It is never below `target`: later products may differ from the held-out
    ones, and then only a low probability shows it. A level for which the target cannot be guaranteed is never accepted.
    `Guarantees` explains the bounds.

    Predictions for one group of the split count as one; without groups, those for equal titles. Products whose title is
    also in train do not count, because a model may remember titles. If the run can predict classes without training
    rows, the guarantee allows for up to `held_out.share` of the products to be of such classes.

    Args:
        held_out: predictions of products that the model was not fitted on.
        target: target precision, in (0, 1].

    Raises:
        RunError: there are no predictions.
        CannotGuaranteeError: the target cannot be guaranteed; the message names the largest one that can.
        SettingsError: the target is out of its range.

    Source: Geifman and El-Yaniv, Selective Classification for Deep Neural Networks (2017), for the least threshold;
    Chow, On Optimum Recognition Error and Reject Tradeoff (1970), for the levels' floor; Zadrozny and Elkan,
    Transforming Classifier Scores into Accurate Multiclass Probability Estimates (2002), for the isotonic curve.
    """
    _check_target(target)
    if not len(held_out):
        raise RunError(f"no held-out predictions to fit thresholds on; {MORE_ROWS}")
    kinds = held_out.kinds
    found = guarantees([kind.level(-1) for kind in kinds])
    least = found.threshold(target)
    if least is None:
        largest = found.largest(target)
        raise CannotGuaranteeError(_cannot(target, largest, held_out), largest)
    rest = [kind.below(-1, least) for kind in kinds]
    levels: list[float | None] = []
    for level in reversed(range(kinds[0].probs.shape[1] - 1)):
        own = guarantees([kind.level(level) for kind in rest], floor=target)
        levels.insert(0, deeper := own.threshold(target))
        if deeper is not None:
            rest = [kind.below(level, deeper) for kind in rest]
    groups = len(np.unique(kinds[0].groups))
    share = held_out.share if len(kinds) > 1 else 0.0
    return Thresholds(target, groups, least, tuple(levels), _reject_below(kinds), unseen_share=share)


def _cannot(target: float, largest: float | None, held_out: HeldOut) -> str:
    """The message for a target that cannot be guaranteed from the held-out predictions."""
    kinds = held_out.kinds
    used, count = len(kinds[0].groups), len(np.unique(kinds[0].groups))
    products, more = f"{used:,} held-out products", MORE_ROWS
    if count < used:
        products += f" in {count:,} groups"
    if leaked := len(held_out) - used:
        products += f" ({leaked:,} more do not count: their titles are in train)"
    if len(kinds) > 1:
        products += (
            f", with {100 * held_out.share:g} % of the products of classes without a training product,"
        )
        more += f", or with the share of such products that you expect (model.unseen_share; {held_out.share:g} now)"
    name = f"target_precision={target:g}"
    if largest is None:
        return f"{name}: no precision can be guaranteed from the {products}; {more}"
    less = f"give --target-precision {largest:g} or less"
    return f"{name}: at most {largest:g} can be guaranteed from the {products}; {less}, or {more}"


def _reject_below(kinds: Sequence[AnswersByLevel]) -> float:
    """The probability at which the share of right predictions reaches one half: 0 if it is always above, 1 if never.

    The share is an isotonic (non-decreasing) function of the probability; groups of one kind have equal weights.
    """
    answers = [kind.level(-1) for kind in kinds]
    weights = np.concatenate([_weights(each) for each in answers])
    prob, right = (np.concatenate([getattr(each, name) for each in answers]) for name in ("prob", "right"))
    values, member = np.unique(prob, return_inverse=True)
    count = np.bincount(member, weights)
    from scipy.optimize import isotonic_regression  # scipy takes long to import

    shares = isotonic_regression(np.bincount(member, weights * right) / count, weights=count).x
    fine = shares >= LEAST - ROUNDING
    if fine[0]:
        return 0.0
    return float(values[fine.argmax()]) if fine.any() else 1.0


def _weights(answers: Stratum) -> np.ndarray:
    """(n,) weights that add up to the share of these answers."""
    _, group, sizes = np.unique(answers.groups, return_inverse=True, return_counts=True)
    return answers.share / len(sizes) / sizes[group]


def _decide(label: np.ndarray, probs: np.ndarray, thresholds: Thresholds) -> tuple[np.ndarray, np.ndarray]:
    """The decision and the number of accepted levels of (N,) predictions with (N, L + 1) probabilities."""
    if len(thresholds.levels) != probs.shape[1] - 1:
        raise RunError(
            f"thresholds are for {len(thresholds.levels)} category levels, predictions have {probs.shape[1] - 1}; "
            "fit them on this model's held-out predictions"
        )
    prob = probs[:, -1]
    least = np.inf if thresholds.accept_from is None else thresholds.accept_from
    accepted = (prob >= least) & ~np.isin(label.astype(str), sorted(thresholds.never))
    decision = np.where(accepted, ACCEPT, np.where(prob >= thresholds.reject_below, REVIEW, REJECT))
    accepted_levels = np.zeros(len(probs), np.int64)
    for level, lowest in enumerate(thresholds.levels, start=1):
        if lowest is not None:
            accepted_levels[probs[:, level - 1] >= lowest] = level
    accepted_levels[accepted] = probs.shape[1]
    return decision, accepted_levels


def decide(
    graph: CategoryGraph, thresholds: Thresholds, probabilities: np.ndarray, classes: Sequence[str]
) -> Decisions:
    """The decision for each product's most likely class, and its path down to the deepest accepted level.

    Args:
        graph: of the run's catalog.
        thresholds: of the run's model.
        probabilities: (n, K); a row of NaN is rejected.
        classes: K names.
    """
    found = graph.predict_paths(probabilities, classes)
    label = np.array(graph.classes, object)[found.classes]
    prob = np.asarray(probabilities, np.float64).max(axis=1, initial=-np.inf)
    probs = np.concatenate([found.category_probs, prob[:, None]], axis=1)
    decision, levels = _decide(label, probs, thresholds)
    paths = [
        graph.paths[path][:level] for path, level in zip(found.paths.tolist(), levels.tolist(), strict=True)
    ]
    deepest = np.where(levels > 0, probs[np.arange(len(probs)), levels - 1], np.nan)
    return Decisions(decision, levels, paths, deepest)


def decision_metrics(
    frame: pd.DataFrame, held_out: HeldOut, target: float, graph: CategoryGraph
) -> dict[str, Any]:
    """Metrics, in percent, of the decisions on the predictions of a part at a target precision.

    Args:
        frame: predictions of the part.
        held_out: of the same model, not empty.
        target: target precision, in (0, 1].
        graph: of the catalog.

    Returns:
        target; largest, the largest precision that can be guaranteed if the target cannot (0: none), else None;
        accepted,
        review and rejected (shares of all products); precision of the accepted predictions; levels: column, answered
        (share of all products accepted to that level and no deeper) and precision of these; unanswered (share without
        any level). A metric that is not defined is None; if the target cannot be guaranteed, all are.
    """
    try:
        return {"largest": None, **_decision_metrics(frame, fit_thresholds(held_out, target), graph)}
    except CannotGuaranteeError as refused:
        names = ("accepted", "precision", "review", "rejected", "unanswered")
        found = {"target": 100 * target, "largest": 100 * (refused.largest or 0), "levels": []}
        return found | dict.fromkeys(names)


def _decision_metrics(frame: pd.DataFrame, thresholds: Thresholds, graph: CategoryGraph) -> dict[str, Any]:
    right = right_to_level(frame)
    label = frame["label_1"].to_numpy(object)
    decision, accepted_levels = _decide(label, level_probs(frame), thresholds)
    levels = [
        {
            "column": name,
            "answered": _percent(accepted_levels == level),
            "precision": _percent(right[accepted_levels == level, level - 1]),
        }
        for level, name in enumerate(graph.levels, start=1)
    ]
    return {
        "target": 100 * thresholds.target,
        "accepted": _percent(decision == ACCEPT),
        "precision": _percent(right[decision == ACCEPT, -1]),
        "review": _percent(decision == REVIEW),
        "rejected": _percent(decision == REJECT),
        "levels": levels,
        "unanswered": _percent(accepted_levels == 0),
    }


def thresholds_of_run(folder: Path, part: str, target: float) -> Thresholds:
    """Thresholds from the held-out predictions of a run.

    Raises:
        RunError: it has none, or none of that part.
        CannotGuaranteeError: the target cannot be guaranteed.
        SettingsError: the target is out of its range.
    """
    return fit_thresholds(read_held_out(folder, part), target)


def _percent(values: np.ndarray) -> float | None:
    return 100 * float(values.mean()) if len(values) else None
