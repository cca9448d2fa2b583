"""Probabilities → what is said of a product: the first classes, a category path, whether to trust it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.errors import SettingsError
from fusionclf.evaluation import Decisions

ACCEPT, ABSTAIN, NONE = "accept", "abstain", "none"
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
        columns["path"] = [PATH_SEPARATOR.join(filter(None, path)) for path in self.paths]
        columns["answer"] = [PATH_SEPARATOR.join(filter(None, path)) for path in self.answered]
        columns["decision"] = self.decisions
        columns["picture_status"] = self.picture_status
        columns["title_status"] = self.title_status
        return columns


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
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, : rule.top_k]  # (n, k)
    names = np.array(classes, object)[order]
    best = np.take_along_axis(probabilities, order, axis=1)
    labels = [row if there else [] for row, there in zip(names.tolist(), answered, strict=True)]
    found = [tuple(paths.get(row[0], ())) if row else () for row in labels]
    if graded is None:
        decisions = np.where(best[:, 0] >= rule.min_probability, ACCEPT, ABSTAIN)
        sure = [(*path, row[0]) if row else () for path, row in zip(found, labels, strict=True)]
    else:
        decisions = graded.decisions
        sure = [path if row else () for path, row in zip(graded.paths, labels, strict=True)]
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
