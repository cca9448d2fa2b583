"""From which probability an answer is accepted, reviewed or rejected, and to which category it backs off."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from fusionclf.errors import RunError, SettingsError, did_you_mean
from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.hierarchy import level_probs, right_to_level
from fusionclf.evaluation.read_predictions import read_predictions

ACCEPT, REVIEW, REJECT = "accept", "review", "reject"
TARGETS = (0.98, 0.95)  # precisions that metrics.json tells of
PSEUDO_ROWS = 10  # by which a class's precision is drawn towards that of all classes
ROUNDING = 1e-12
HELD_OUT = "held_out"


@dataclass(frozen=True)
class Thresholds:
    """Least probabilities, fitted on held-out answers. None: nothing is answered there.

    Attributes:
        target: precision asked for, in (0, 1].
        rows: held-out answers that they were fitted on.
        classes: class → from which probability its answer is accepted.
        others: the same for a class that was never answered.
        levels: for each of the L category levels, the coarsest first: from which probability the answer backs off
            to it, where no deeper level is answered.
        reject_below: answers that are less likely were wrong more often than right.

    Raises:
        SettingsError: the target is out of its range.
        ValueError: another value is.
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
            raise ValueError("a threshold is no probability")


@dataclass(frozen=True)
class Decisions:
    """What is done with each of n products' answers.

    Attributes:
        decisions: (n,) accept, review or reject: whether the class can be believed.
        levels: (n,) how many levels of the path are answered: 0 none, L + 1 the class, too (where it is accepted).
        paths: the answered path down to that level, the coarsest category first.
        probabilities: (n,) of what is answered; NaN where nothing is.
    """

    decisions: np.ndarray
    levels: np.ndarray
    paths: list[tuple[str, ...]]
    probabilities: np.ndarray


def fit_thresholds(frame: pd.DataFrame, target: float) -> Thresholds:
    """Thresholds that reach a precision on held-out answers.

    A class's threshold is the least probability from which the answers with it are right in the share `target`. That
    share counts PSEUDO_ROWS more answers, as often right as those of all classes at the threshold itself: few
    answers do not lower it to where others fail, nor to where answers are wrong more often than right. A category
    level's is found in the same way, on the products for which no deeper level is answered, and is never below
    `target`: validation rows have no class that is new, the products to come may, and of these the model's own
    doubt is all that tells.

    Args:
        frame: predictions of products that the model was not fitted on.
        target: share of the answered products that shall be right, in (0, 1].

    Raises:
        RunError: there are no answers.
        SettingsError: the target is out of its range.

    Source: Geifman and El-Yaniv, Selective Classification for Deep Neural Networks (2017), for the least threshold;
    Chow, On Optimum Recognition Error and Reject Tradeoff (1970), for the levels' floor; Zadrozny and Elkan,
    Transforming Classifier Scores into Accurate Multiclass Probability Estimates (2002), for the isotonic curve.
    """
    if not len(frame):
        raise RunError("no held-out answers to fit a threshold on; give the split more validation rows")
    right, probs = right_to_level(frame), level_probs(frame)
    label, prob = frame["label_1"].to_numpy(object), probs[:, -1]
    curve = _Curve(prob, right[:, -1])
    classes = {
        str(name): _least(prob[places], right[places, -1], curve, target)
        for name, places in pd.Series(range(len(frame))).groupby(label).indices.items()
    }
    others = curve.reaches(target)
    rest = ~_reached(label, prob, classes, others)
    levels: list[float | None] = []
    for level in reversed(range(probs.shape[1] - 1)):
        of_level = _Curve(probs[:, level], right[:, level])
        least = _least(probs[rest, level], right[rest, level], of_level, target, floor=target)
        levels.insert(0, least)
        if least is not None:
            rest &= probs[:, level] < least
    return Thresholds(target, len(frame), classes, others, tuple(levels), curve.reject_below())


class _Curve:
    """How often answers of a probability are right: the closest curve that does not fall."""

    def __init__(self, prob: np.ndarray, right: np.ndarray) -> None:
        self.values, member = np.unique(prob, return_inverse=True)
        count = np.bincount(member)
        mean = np.bincount(member, right.astype(np.float64)) / count
        self.shares = isotonic_regression(mean, weights=count).x

    def at(self, values: np.ndarray) -> np.ndarray:
        return np.interp(values, self.values, self.shares)

    def reaches(self, share: float) -> float | None:
        """The least probability from which the curve is at `share`; None where it never is."""
        fine = self.shares >= share - ROUNDING
        return float(self.values[fine.argmax()]) if fine.any() else None

    def reject_below(self) -> float:
        """Where the curve passes one half: 0 where it always lies above, 1 where it never does."""
        if self.shares[0] >= 0.5:
            return 0.0
        passed = self.reaches(0.5)
        return 1.0 if passed is None else passed


def _least(
    prob: np.ndarray, right: np.ndarray, everyone: _Curve, target: float, floor: float = 0.0
) -> float | None:
    """The least probability from which these answers, and the pseudo-rows, are right in the share `target`."""
    alone = everyone.reaches(target)  # where pseudo-rows do without any answer
    more = [alone] if alone is not None and len(prob) < PSEUDO_ROWS else []
    values = np.unique([*prob, *more, *([floor] if floor else [])])
    values = values[values >= floor]
    order = np.argsort(prob, kind="stable")
    place = np.searchsorted(prob[order], values, side="left")
    count, hits = len(prob) - place, np.append(right[order][::-1].cumsum()[::-1], 0)[place]
    prior = everyone.at(values)
    fine = hits + PSEUDO_ROWS * prior >= target * (count + PSEUDO_ROWS) - ROUNDING
    fine &= prior >= 0.5
    return float(values[fine.argmax()]) if fine.any() else None


def _reached(
    label: np.ndarray, prob: np.ndarray, classes: dict[str, float | None], others: float | None
) -> np.ndarray:
    """(N,) whether each answer reaches its class's threshold."""
    member, names = pd.factorize(label)
    least = [classes.get(name, others) for name in names]
    return prob >= np.array([np.inf if value is None else value for value in least], np.float64)[member]


def _decide(label: np.ndarray, probs: np.ndarray, thresholds: Thresholds) -> tuple[np.ndarray, np.ndarray]:
    """Decision and number of answered levels of (N,) answers with (N, L + 1) probabilities."""
    if len(thresholds.levels) != probs.shape[1] - 1:
        raise RunError(
            f"thresholds for {len(thresholds.levels)} category levels, the answers have {probs.shape[1] - 1}; "
            "fit them on this model's held-out answers"
        )
    prob = probs[:, -1]
    accepted = _reached(label, prob, thresholds.classes, thresholds.others)
    decision = np.where(accepted, ACCEPT, np.where(prob >= thresholds.reject_below, REVIEW, REJECT))
    answered = np.zeros(len(probs), np.int64)
    for level, least in enumerate(thresholds.levels, start=1):
        if least is not None:
            answered[probs[:, level - 1] >= least] = level
    answered[accepted] = probs.shape[1]
    return decision, answered


def decide(
    graph: CategoryGraph, thresholds: Thresholds, probabilities: np.ndarray, classes: Sequence[str]
) -> Decisions:
    """Accept, review or reject each product's most likely class, and answer as much of its path as is sure.

    Args:
        graph: of the run's catalog.
        thresholds: of the run's model.
        probabilities: (n, K); a row of NaN is rejected.
        classes: K names.
    """
    found = graph.answer(probabilities, classes)
    label = np.array(graph.classes, object)[found.classes]
    prob = np.asarray(probabilities, np.float64).max(axis=1, initial=-np.inf)
    probs = np.concatenate([found.category_probs, prob[:, None]], axis=1)
    decision, levels = _decide(label, probs, thresholds)
    paths = [
        graph.paths[path][:level] for path, level in zip(found.paths.tolist(), levels.tolist(), strict=True)
    ]
    shown = np.where(levels > 0, probs[np.arange(len(probs)), levels - 1], np.nan)
    return Decisions(decision, levels, paths, shown)


def decision_figures(frame: pd.DataFrame, thresholds: Thresholds, graph: CategoryGraph) -> dict[str, Any]:
    """What thresholds do to the predictions of a part, in percent.

    Returns:
        target; accepted, review and rejected (shares of all products); precision of the accepted answers; levels:
        column, answered (share of all products that are answered to that level and no deeper) and precision of
        these answers; unanswered (share without any level). None where a figure does not exist.
    """
    right = right_to_level(frame)
    label = frame["label_1"].to_numpy(object)
    decision, answered = _decide(label, level_probs(frame), thresholds)
    levels = [
        {
            "column": name,
            "answered": _percent(answered == level),
            "precision": _percent(right[answered == level, level - 1]),
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
        "unanswered": _percent(answered == 0),
    }


def thresholds_of_run(folder: Path, part: str, target: float) -> Thresholds:
    """Thresholds from the held-out answers that a run keeps.

    Raises:
        RunError: it keeps none, or none of that part.
        SettingsError: the target is out of its range.
    """
    kept = sorted(file.stem for file in (folder / HELD_OUT).glob("*.parquet"))
    if not kept:
        raise RunError(
            f"{folder}: keeps no held-out answers to fit a threshold on; train again with --overwrite "
            "(of the baselines, linear alone has them)"
        )
    if part not in kept:
        raise RunError(f"{folder}: keeps no held-out answers of {part!r}; {did_you_mean(part, kept)}")
    return fit_thresholds(read_predictions(folder / HELD_OUT / f"{part}.parquet"), target)


def _percent(values: np.ndarray) -> float | None:
    return 100 * float(values.mean()) if len(values) else None
