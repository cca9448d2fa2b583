"""Probabilities → what is said of a product: the first classes, a category path, whether to trust it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fusionclf.errors import SettingsError
from fusionclf.evaluation import Decisions, first_classes

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
        classes: K names.
        category_paths: K category paths, top down; () where it is not known.
        order: (n, k) numbers of each product's most likely classes, best first. k is `top_k`, or K where there are
            fewer classes. Without a meaning where there is no answer.
        probabilities: (n, k) of those classes; NaN where there is no answer.
        decisions: "accept", "review" or "reject" at a target precision; "abstain" where the first class is less likely
            than asked for; "none" where there is no answer.
        picture_status, title_status: "used", "missing", "unreadable" or "ignored" (this model does not read it).
        reasons: why there is no answer; "" where there is one.
        backed_off: what is sure at a target precision; None without one.
    """

    classes: tuple[str, ...]
    category_paths: tuple[tuple[str, ...], ...]
    order: np.ndarray
    probabilities: np.ndarray
    decisions: list[str]
    picture_status: list[str]
    title_status: list[str]
    reasons: list[str]
    backed_off: list[tuple[str, ...]] | None = None

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def labels(self) -> list[list[str]]:
        """For each product its k most likely classes, best first; none where it has no answer."""
        named = np.array(self.classes, object)[self.order].tolist()
        return [names if there else [] for names, there in zip(named, self.answered_at_all, strict=True)]

    @cached_property
    def paths(self) -> list[tuple[str, ...]]:
        """Category path of the first class, top down; () where it is not known."""
        return self._of_first(self.category_paths)

    @cached_property
    def answered(self) -> list[tuple[str, ...]]:
        """What is sure at the target precision: the path with the class where it is accepted, its categories where the
        answer backs off, () where nothing is. Without a target precision the whole path."""
        return self._of_first(self._whole_paths()) if self.backed_off is None else self.backed_off

    @property
    def answered_at_all(self) -> list[bool]:
        """(n,) whether there is an answer."""
        return [decision != NONE for decision in self.decisions]

    def _whole_paths(self) -> list[tuple[str, ...]]:
        return [(*path, name) for path, name in zip(self.category_paths, self.classes, strict=True)]

    def _of_first(self, values: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        firsts = zip(self.order[:, 0].tolist(), self.answered_at_all, strict=True)
        return [values[first] if there else () for first, there in firsts]

    def to_frame(self) -> pd.DataFrame:
        """A row a product: label_1, prob_1, …, path, decision, picture_status, title_status, reason."""
        columns = self.columns() | {"reason": pa.array(self.reasons, pa.string())}
        texts = {name: "str" for name in columns if not name.startswith("prob_")}
        return (
            pa.table({name: without_codes(column) for name, column in columns.items()})
            .to_pandas()
            .astype(texts)
        )

    def columns(self) -> dict[str, pa.Array]:
        """As `to_frame`, without the reasons: column name → n values. Texts that occur often are dictionaries."""
        none = np.isnan(self.probabilities[:, 0])  # (n,)
        columns: dict[str, pa.Array] = {}
        for rank in range(self.order.shape[1]):
            columns[f"label_{rank + 1}"] = _coded(self.order[:, rank], self.classes, none)
            columns[f"prob_{rank + 1}"] = pa.array(self.probabilities[:, rank], pa.float64())
        first = np.where(none, len(self.classes), self.order[:, 0])
        columns["path"] = _coded(first, [*_joined(self.category_paths), ""])
        if self.backed_off is None:
            columns["answer"] = _coded(first, [*_joined(self._whole_paths()), ""])
        else:
            columns["answer"] = _few(_joined(self.backed_off))
        columns["decision"] = _few(self.decisions)
        columns["picture_status"] = _few(self.picture_status)
        columns["title_status"] = _few(self.title_status)
        return columns


def without_codes(column: pa.Array) -> pa.Array:
    """A column of texts, where it is a dictionary."""
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _coded(codes: np.ndarray, texts: Sequence[str], missing: np.ndarray | None = None) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=missing), pa.array(texts, pa.string()))


def _few(texts: Sequence[str]) -> pa.DictionaryArray:
    return pa.array(texts, pa.string()).dictionary_encode()


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
    backed_off = None
    if graded is None:
        decisions = np.where(best[:, 0] >= rule.min_probability, ACCEPT, ABSTAIN)
    else:
        decisions = graded.decisions
        backed_off = [path if there else () for path, there in zip(graded.paths, answered, strict=True)]
    return Answers(
        tuple(classes),
        tuple(tuple(paths.get(name, ())) for name in classes),
        order,
        best,
        np.where(answered, decisions, NONE).tolist(),
        list(picture_status),
        list(title_status),
        [why if there or why else NO_NUMBERS for why, there in zip(reasons, answered, strict=True)],
        backed_off,
    )


def join_answers(parts: Sequence[Answers]) -> Answers:
    """The answers of one model to several lots of products, one after the other."""
    first = parts[0]
    if len(parts) == 1:
        return first
    lists = ("decisions", "picture_status", "title_status", "reasons")
    joined: dict[str, Any] = {
        name: [value for part in parts for value in getattr(part, name)] for name in lists
    }
    if first.backed_off is not None:
        joined["backed_off"] = [path for part in parts for path in part.backed_off or ()]
    for name in ("order", "probabilities"):
        joined[name] = np.concatenate([getattr(part, name) for part in parts])
    return Answers(first.classes, first.category_paths, **joined)
