"""Probabilities → what is said of a product: the first classes, a category path, whether to trust it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.errors import SettingsError
from fusionclf.evaluation import Decisions

ACCEPT, ABSTAIN, NONE = "accept", "abstain", "none"
FEW = 16  # classes up to which finding them one by one is faster than sorting all
BLOCK = 512  # rows that stay in a processor's cache meanwhile
NO_NUMBERS = "the model's probabilities are no numbers; its weights are damaged"
PATH_SEPARATOR = " > "


@dataclass(frozen=True)
class Rule:
    """How probabilities become an answer.

    Attributes:
        top_k: how many classes are named.
        min_probability: of the first class; below it the answer is "abstain".
        target_precision: share of the accepted answers that shall be right; each answer then is to accept, to review or
            to reject, and backs off to a category where the class is not sure. None: nothing is reviewed.

    Raises:
        SettingsError: a value is out of its range.
    """

    top_k: int = 5
    min_probability: float = 0.0
    target_precision: float | None = None

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise SettingsError(f"top_k={self.top_k}: give a whole number from 1 on")
        if not 0 <= self.min_probability <= 1:
            raise SettingsError(f"min_probability={self.min_probability}: give a number from 0 to 1")
        if self.target_precision is not None and not 0 < self.target_precision <= 1:
            raise SettingsError(
                f"target_precision={self.target_precision}: give a number above 0, up to 1, such as 0.98"
            )
        if self.target_precision is not None and self.min_probability > 0:
            raise SettingsError("give either target_precision or min_probability, not both")


@dataclass(frozen=True)
class Answers:
    """What a model says of n products, in the order in which they were given.

    Attributes:
        labels: for each product its k most likely classes, best first; none where it has no answer. k is `top_k`, or
            the number of classes where there are fewer.
        probabilities: (n, k) of those classes; NaN where there is no answer.
        paths: category path of the first class, top down; () where it is not known.
        answered: what is sure at the target precision: the path with the class where it is accepted, its categories
            where the answer backs off, () where nothing is. Without a target precision the whole path.
        decisions: "accept", "review" or "reject" at a target precision; "abstain" where the first class is less likely
            than asked for; "none" where there is no answer.
        picture_status, title_status: "used", "missing", "unreadable" or "ignored" (this model does not read it).
        reasons: why there is no answer; "" where there is one.
    """

    labels: list[list[str]]
    probabilities: np.ndarray
    paths: list[tuple[str, ...]]
    answered: list[tuple[str, ...]]
    decisions: list[str]
    picture_status: list[str]
    title_status: list[str]
    reasons: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def to_frame(self) -> pd.DataFrame:
        """A row a product: label_1, prob_1, …, path, decision, picture_status, title_status, reason."""
        columns = self.columns() | {"reason": self.reasons}
        texts = {name: "str" for name in columns if not name.startswith("prob_")}
        return pd.DataFrame(columns).astype(texts)

    def columns(self) -> dict[str, list[Any] | np.ndarray]:
        """As `to_frame`, without the reasons: column name → n values."""
        columns: dict[str, list[Any] | np.ndarray] = {}
        for rank in range(self.probabilities.shape[1]):
            columns[f"label_{rank + 1}"] = [names[rank] if names else None for names in self.labels]
            columns[f"prob_{rank + 1}"] = self.probabilities[:, rank]
        columns["path"] = _joined(self.paths)
        columns["answer"] = _joined(self.answered)
        columns["decision"] = self.decisions
        columns["picture_status"] = self.picture_status
        columns["title_status"] = self.title_status
        return columns


def _joined(paths: Sequence[tuple[str, ...]]) -> list[str]:
    texts = {path: PATH_SEPARATOR.join(filter(None, path)) for path in set(paths)}  # a few, over and over
    return [texts[path] for path in paths]


def decide(
    probabilities: np.ndarray,
    classes: Sequence[str],
    paths: Mapping[str, Sequence[str]],
    rule: Rule,
    picture_status: Sequence[str],
    title_status: Sequence[str],
    reasons: Sequence[str],
    graded: Decisions | None = None,
) -> Answers:
    """Name the first classes, look up the path, decide. Of equal probabilities the first class wins.

    Args:
        probabilities: (n, K); a row of NaN has no answer.
        classes: K names.
        paths: class name → category path; a class may be missing.
        rule: how many classes to name, and when to abstain.
        picture_status, title_status, reasons: as in Answers.
        graded: what thresholds say, where there is a target precision.
    """
    answered = ~np.isnan(probabilities[:, 0])  # (n,)
    order = first_classes(probabilities, rule.top_k)  # (n, k)
    best = np.take_along_axis(probabilities, order, axis=1)
    labels = np.array(classes, object)[order].tolist()
    path_of = [tuple(paths.get(name, ())) for name in classes]
    first = order[:, 0].tolist()
    found = [path_of[number] for number in first]
    if graded is None:
        decisions = np.where(best[:, 0] >= rule.min_probability, ACCEPT, ABSTAIN)
        whole = [(*path, name) for path, name in zip(path_of, classes, strict=True)]
        sure = [whole[number] for number in first]
    else:
        decisions, sure = graded.decisions, list(graded.paths)
    for row in np.flatnonzero(~answered).tolist():
        labels[row], found[row], sure[row] = [], (), ()
    return Answers(
        labels,
        best,
        found,
        sure,
        np.where(answered, decisions, NONE).tolist(),
        list(picture_status),
        list(title_status),
        [why if there or why else NO_NUMBERS for why, there in zip(reasons, answered, strict=True)],
    )


def first_classes(probabilities: np.ndarray, count: int) -> np.ndarray:
    """(n, k) numbers of the most likely classes, best first: those of a stable sort of all.

    Args:
        probabilities: (n, K), finite or NaN.
        count: how many; k is K where there are fewer.
    """
    if min(count, probabilities.shape[1]) > FEW:
        return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    order = np.empty((len(probabilities), min(count, probabilities.shape[1])), np.int64)
    for start in range(0, len(probabilities), BLOCK):
        block = probabilities[start : start + BLOCK]
        left = np.where(np.isnan(block), np.finfo(np.float64).min, block)  # as a sort does, NaN comes last
        rows = np.arange(len(left))
        for rank in range(order.shape[1]):
            first = left.argmax(axis=1)
            order[start : start + BLOCK, rank] = first
            left[rows, first] = -np.inf
    return order


def join_answers(parts: Sequence[Answers]) -> Answers:
    """The answers of several lots of products, one after the other."""
    joined = {}
    for field in fields(Answers):
        values = [getattr(part, field.name) for part in parts]
        if field.name == "probabilities":
            joined[field.name] = np.concatenate(values)
        else:
            joined[field.name] = [value for some in values for value in some]
    return Answers(**joined)
