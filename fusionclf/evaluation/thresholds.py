"""Thresholds: when a prediction is accepted, reviewed or rejected, and to which category it backs off."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from fusionclf.errors import RunError, SettingsError, did_you_mean
from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.hierarchy import level_probs, right_to_level
from fusionclf.evaluation.predictions import GROUP
from fusionclf.evaluation.read_predictions import read_predictions

ACCEPT, REVIEW, REJECT = "accept", "review", "reject"
TARGETS = (0.98, 0.95)  # target precisions in metrics.json
PSEUDO_ROWS = 10  # that pull the precision of a class towards that of all classes
ROUNDING = 1e-12
HELD_OUT = "held_out"


@dataclass(frozen=True)
class Thresholds:
    """Minimum probabilities, fitted on held-out predictions. None: never accepted.

    Attributes:
        target: target precision, in (0, 1].
        rows: number of held-out predictions that they were fitted on.
        classes: class → minimum probability at which it is accepted.
        others: the same for a class that was never predicted.
        levels: for each of the L category levels, the coarsest first: minimum probability at which a prediction
            backs off to it, where no deeper level is accepted.
        reject_below: predictions below this probability were wrong more often than right.

    Raises:
        SettingsError: the target is out of its range.
        ValueError: another value is not a probability.
    """

    target: float
    rows: int
    classes: dict[str, float | None]
    others: float | None
    levels: tuple[float | None, ...]
    reject_below: float

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            raise SettingsError(
                f"target precision {self.target}: give a number above 0, up to 1, such as 0.98"
            )
        given = [*self.classes.values(), self.others, *self.levels, self.reject_below]
        if any(value is not None and not 0 <= value <= 1 for value in given):
            raise ValueError("a threshold is not a probability")

    def without(self, names: Sequence[str]) -> "Thresholds":
        """These, but some classes are never accepted."""
        return replace(self, classes={**self.classes, **dict.fromkeys(names)}) if names else self


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


def fit_thresholds(frame: pd.DataFrame, target: float) -> Thresholds:
    """Thresholds that reach a precision on held-out predictions.

    The threshold of a class is the minimum probability at which its predictions reach the precision `target`. The
    precision counts PSEUDO_ROWS further predictions with the precision of all classes at that threshold. So a few
    predictions cannot lower the threshold to where other classes fail, nor to where predictions are wrong more
    often than right. The threshold of a category level is found in the same way, on the products without a deeper
    accepted level. It is never below `target`: validation rows have no new classes, but later products may, and
    there a low probability is the only warning. Where the split keeps groups of products together, the predictions
    of a group count as one.

    Args:
        frame: predictions of products that the model was not fitted on.
        target: target precision, in (0, 1].

    Raises:
        RunError: there are no predictions.
        SettingsError: the target is out of its range.

    Source: Geifman and El-Yaniv, Selective Classification for Deep Neural Networks (2017), for the least threshold;
    Chow, On Optimum Recognition Error and Reject Tradeoff (1970), for the levels' floor; Zadrozny and Elkan,
    Transforming Classifier Scores into Accurate Multiclass Probability Estimates (2002), for the isotonic curve.
    """
    if not len(frame):
        raise RunError("no held-out predictions to fit thresholds on; give the split more validation rows")
    right, probs = right_to_level(frame), level_probs(frame)
    label, prob, weights = frame["label_1"].to_numpy(object), probs[:, -1], _weights(frame)
    curve = _Curve(prob, right[:, -1], weights)
    classes = {
        str(name): _least(_Rows(prob[places], right[places, -1], weights[places]), curve, target)
        for name, places in pd.Series(range(len(frame))).groupby(label).indices.items()
    }
    others = curve.reaches(target)
    rest = ~_reached(label, prob, classes, others)
    levels: list[float | None] = []
    for level in reversed(range(probs.shape[1] - 1)):
        of_level = _Curve(probs[:, level], right[:, level], weights)
        own = _Rows(probs[rest, level], right[rest, level], weights[rest])
        least = _least(own, of_level, target, floor=target)
        levels.insert(0, least)
        if least is not None:
            rest &= probs[:, level] < least
    return Thresholds(target, len(frame), classes, others, tuple(levels), curve.reject_below())


def _weights(frame: pd.DataFrame) -> np.ndarray:
    """(N,) weight of each prediction: 1, or where products have groups 1 / the group's size."""
    if GROUP not in frame:
        return np.ones(len(frame))
    _, member, sizes = np.unique(frame[GROUP].to_numpy(), return_inverse=True, return_counts=True)
    return 1 / sizes[member]


class _Curve:
    """Precision as a function of probability: the isotonic (never falling) fit."""

    def __init__(self, prob: np.ndarray, right: np.ndarray, weights: np.ndarray) -> None:
        self.values, member = np.unique(prob, return_inverse=True)
        count = np.bincount(member, weights)
        mean = np.bincount(member, weights * right) / count
        self.shares = isotonic_regression(mean, weights=count).x

    def at(self, values: np.ndarray) -> np.ndarray:
        return np.interp(values, self.values, self.shares)

    def reaches(self, share: float) -> float | None:
        """The minimum probability at which the curve reaches `share`; None where it never does."""
        fine = self.shares >= share - ROUNDING
        return float(self.values[fine.argmax()]) if fine.any() else None

    def reject_below(self) -> float:
        """Where the curve crosses one half: 0 where it is always above, 1 where it never is."""
        if self.shares[0] >= 0.5:
            return 0.0
        crossing = self.reaches(0.5)
        return 1.0 if crossing is None else crossing


class _Rows(NamedTuple):
    """(n,) probabilities, whether each prediction is right, and weights."""

    prob: np.ndarray
    right: np.ndarray
    weights: np.ndarray


def _least(rows: _Rows, everyone: _Curve, target: float, floor: float = 0.0) -> float | None:
    """The minimum probability at which these predictions and the pseudo-rows reach the precision `target`."""
    prob = rows.prob
    prior_only = everyone.reaches(target)  # where the pseudo-rows reach it without any prediction
    more = [prior_only] if prior_only is not None and rows.weights.sum() < PSEUDO_ROWS else []
    values = np.unique([*prob, *more, *([floor] if floor else [])])
    values = values[values >= floor]
    order = np.argsort(prob, kind="stable")
    place = np.searchsorted(prob[order], values, side="left")
    count, hits = (
        np.append(values[order][::-1].cumsum()[::-1], 0)[place]
        for values in (rows.weights, rows.weights * rows.right)
    )
    prior = everyone.at(values)
    fine = hits + PSEUDO_ROWS * prior >= target * (count + PSEUDO_ROWS) - ROUNDING
    fine &= prior >= 0.5
    return float(values[fine.argmax()]) if fine.any() else None


def _reached(
    label: np.ndarray, prob: np.ndarray, classes: dict[str, float | None], others: float | None
) -> np.ndarray:
    """(N,) whether each prediction reaches its class's threshold."""
    member, names = pd.factorize(label)
    least = [classes.get(name, others) for name in names]
    return prob >= np.array([np.inf if value is None else value for value in least], np.float64)[member]


def _decide(label: np.ndarray, probs: np.ndarray, thresholds: Thresholds) -> tuple[np.ndarray, np.ndarray]:
    """Decision and number of accepted levels of (N,) predictions with (N, L + 1) probabilities."""
    if len(thresholds.levels) != probs.shape[1] - 1:
        raise RunError(
            f"thresholds for {len(thresholds.levels)} category levels, the predictions have {probs.shape[1] - 1}; "
            "fit them on this model's held-out predictions"
        )
    prob = probs[:, -1]
    accepted = _reached(label, prob, thresholds.classes, thresholds.others)
    decision = np.where(accepted, ACCEPT, np.where(prob >= thresholds.reject_below, REVIEW, REJECT))
    accepted_levels = np.zeros(len(probs), np.int64)
    for level, least in enumerate(thresholds.levels, start=1):
        if least is not None:
            accepted_levels[probs[:, level - 1] >= least] = level
    accepted_levels[accepted] = probs.shape[1]
    return decision, accepted_levels


def decide(
    graph: CategoryGraph, thresholds: Thresholds, probabilities: np.ndarray, classes: Sequence[str]
) -> Decisions:
    """Accept, review or reject each product's most likely class, and accept its path as deep as is reliable.

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


def decision_metrics(frame: pd.DataFrame, thresholds: Thresholds, graph: CategoryGraph) -> dict[str, Any]:
    """Metrics of the decisions on the predictions of a part, in percent.

    Returns:
        target; accepted, review and rejected (shares of all products); precision of the accepted predictions;
        levels: column, answered (share of all products accepted to that level and no deeper) and precision of
        these; unanswered (share without any level). None where a metric is not defined.
    """
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
        SettingsError: the target is out of its range.
    """
    parts = sorted(file.stem for file in (folder / HELD_OUT).glob("*.parquet"))
    if not parts:
        raise RunError(
            f"{folder}: has no held-out predictions to fit thresholds on; train again with --overwrite "
            "(of the baselines, only linear has them)"
        )
    if part not in parts:
        raise RunError(f"{folder}: has no held-out predictions of {part!r}; {did_you_mean(part, parts)}")
    return fit_thresholds(read_predictions(folder / HELD_OUT / f"{part}.parquet"), target)


def _percent(values: np.ndarray) -> float | None:
    return 100 * float(values.mean()) if len(values) else None
