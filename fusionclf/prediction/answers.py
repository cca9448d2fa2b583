"""Probabilities → answers: the most likely classes, a category path, and a decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from fusionclf.catalog.label_paths import PATH_SEPARATOR, whole_path
from fusionclf.errors import SettingsError
from fusionclf.evaluation import Decisions, first_classes
from fusionclf.prediction.column_values import ColumnValues, join_columns, output_columns

ACCEPT, ABSTAIN, NONE = "accept", "abstain", "none"
LEAST_PROBABILITY = 0.05  # a less likely answer is wrong more than 19 times in 20
NAN_PROBABILITIES = "the model's probabilities are not numbers; its weights are damaged"


@dataclass(frozen=True)
class DecisionRule:
    """How probabilities become an answer.

    Attributes:
        top_k: number of classes to return.
        min_probability: smallest probability of the first class; below it the decision is "abstain". None:
            LEAST_PROBABILITY, unless there is a target precision.
        target_precision: guaranteed precision of accepted answers. Each decision is then "accept", "review" or
            "reject", and an uncertain class backs off to a category. None: no guarantee.

    Raises:
        SettingsError: a value is out of range.
    """

    top_k: int = 5
    min_probability: float | None = None
    target_precision: float | None = None

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise SettingsError(f"top_k={self.top_k}: give a whole number from 1 on")
        if self.min_probability is not None and not 0 <= self.min_probability <= 1:
            raise SettingsError(f"min_probability={self.min_probability}: give a number from 0 to 1")
        if self.target_precision is not None and not 0 < self.target_precision <= 1:
            raise SettingsError(
                f"target_precision={self.target_precision}: give a number above 0, up to 1, such as 0.98"
            )
        if self.target_precision is not None and self.min_probability:
            raise SettingsError(
                f"target_precision={self.target_precision}, min_probability={self.min_probability}: remove one of them"
            )

    @property
    def accepted_from(self) -> float:
        """The lowest probability at which the predicted class is accepted, without a target precision."""
        return LEAST_PROBABILITY if self.min_probability is None else self.min_probability


@dataclass(frozen=True)
class Answers:
    """The answers for n products, in the order of the input.

    Attributes:
        classes: K names.
        category_paths: K category paths, the coarsest first; () for an unknown one.
        order: (n, k) indices of each product's most likely classes, best first. k is `top_k`, or K if there are fewer
            classes. Meaningless without an answer.
        probabilities: (n, k) of those classes; NaN without an answer.
        decisions: "accept", "review" or "reject" at a target precision; "abstain" if the predicted class is less likely
            than `min_probability`; "none" without an answer.
        picture_status, title_status: "used", "missing", "unreadable" or "ignored" (the model does not read it).
        reasons: why there is no answer; "" if there is one.
        backed_off: path that reaches the target precision; None without a target precision.
        class_ids: K ids, "" for a class without one; None if no class has one.
        further: column → its predicted values, for each column of `model.auxiliary`.
    """

    lists: ClassVar[tuple[str, ...]] = ("decisions", "picture_status", "title_status", "reasons")

    classes: tuple[str, ...]
    category_paths: tuple[tuple[str, ...], ...]
    order: np.ndarray
    probabilities: np.ndarray
    decisions: list[str]
    picture_status: list[str]
    title_status: list[str]
    reasons: list[str]
    backed_off: list[tuple[str, ...]] | None = None
    class_ids: tuple[str, ...] | None = None
    further: Mapping[str, ColumnValues] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def labels(self) -> list[list[str]]:
        """For each product its k most likely classes, best first; [] where it has no answer."""
        named = np.array(self.classes, object)[self.order].tolist()
        return [names if there else [] for names, there in zip(named, self.answered_at_all, strict=True)]

    @cached_property
    def label_probabilities(self) -> list[list[float]]:
        """The probabilities of `labels`."""
        return self.probabilities.tolist()

    @cached_property
    def ids(self) -> list[list[str]] | None:
        """The ids of `labels`, "" for a class without one; None if no class has one."""
        if self.class_ids is None:
            return None
        found = np.array(self.class_ids, object)[self.order].tolist()
        return [ids if there else [] for ids, there in zip(found, self.answered_at_all, strict=True)]

    @cached_property
    def paths(self) -> list[tuple[str, ...]]:
        """Category path of the predicted class, top down; () for an unknown one."""
        return self._of_first(self.category_paths)

    @cached_property
    def answered(self) -> list[tuple[str, ...]]:
        """Path that reaches the target precision: the whole path where the class is accepted, categories where the
        answer backs off, () where even the top category is uncertain. Without a target precision the whole path."""
        return self._of_first(self._whole_paths()) if self.backed_off is None else self.backed_off

    @property
    def answered_at_all(self) -> list[bool]:
        """Whether each of the n products has an answer."""
        return [decision != NONE for decision in self.decisions]

    def _whole_paths(self) -> list[tuple[str, ...]]:
        return [whole_path(name, path) for path, name in zip(self.category_paths, self.classes, strict=True)]

    def _of_first(self, values: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        firsts = zip(self.order[:, 0].tolist(), self.answered_at_all, strict=True)
        return [values[first] if there else () for first, there in firsts]

    def to_frame(self) -> pd.DataFrame:
        """A row a product: label_1, prob_1, …, path, decision, picture_status, title_status, reason.

        Where classes have ids, class_id_1 is that of label_1, and so on.
        After title_status, each further column has its value and its probability, such as baseColour, baseColour_prob.
        """
        columns = self.columns() | {"reason": pa.array(self.reasons, pa.string())}
        texts = {name: "str" for name, column in columns.items() if not pa.types.is_floating(column.type)}
        return (
            pa.table({name: without_codes(column) for name, column in columns.items()})
            .to_pandas()
            .astype(texts)
        )

    def columns(self) -> dict[str, pa.Array]:
        """As `to_frame`, without the reasons: column name → n values. Frequent texts are dictionary-encoded."""
        none = np.isnan(self.probabilities[:, 0])  # (n,)
        columns: dict[str, pa.Array] = {}
        for rank in range(self.order.shape[1]):
            columns[f"label_{rank + 1}"] = _coded(self.order[:, rank], self.classes, none)
            if self.class_ids is not None:
                columns[f"class_id_{rank + 1}"] = _coded(self.order[:, rank], self.class_ids, none)
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
        return columns | output_columns(self.further, {"id", "reason", *columns})


def without_codes(column: pa.Array) -> pa.Array:
    """The column, with plain texts where it is dictionary-encoded."""
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _coded(codes: np.ndarray, texts: Sequence[str], missing: np.ndarray | None = None) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=missing), pa.array(texts, pa.string()))


def _few(texts: Sequence[str]) -> pa.DictionaryArray:
    return pa.array(texts, pa.string()).dictionary_encode()


def _joined(paths: Sequence[tuple[str, ...]]) -> list[str]:
    texts = {path: PATH_SEPARATOR.join(filter(None, path)) for path in set(paths)}  # few distinct ones
    return [texts[path] for path in paths]


@dataclass(frozen=True)
class InputStatus:
    """Which inputs of n products were used, as in Answers.

    Attributes:
        picture, title: n statuses each.
        reasons: why there is no answer; "" if there is one.
    """

    picture: Sequence[str]
    title: Sequence[str]
    reasons: Sequence[str]


def decide(
    probabilities: np.ndarray,
    classes: Sequence[str],
    paths: Mapping[str, Sequence[str]],
    rule: DecisionRule,
    status: InputStatus,
    graded: Decisions | None = None,
    ids: Mapping[str, str] | None = None,
) -> Answers:
    """The answers: most likely classes, category path, decision. Of equal probabilities the first class wins.

    Args:
        probabilities: (n, K); a row of NaN has no answer.
        classes: K names.
        paths: class name → category path; a class may be missing.
        rule: how many classes to return, and when to abstain.
        status: which inputs were used.
        graded: decisions by thresholds, where there is a target precision.
        ids: class name → its id, of classes that have one.
    """
    answered = ~np.isnan(probabilities[:, 0])  # (n,)
    order = first_classes(probabilities, rule.top_k)  # (n, k)
    best = np.take_along_axis(probabilities, order, axis=1)
    backed_off = None
    if graded is None:
        decisions = np.where(best[:, 0] >= rule.accepted_from, ACCEPT, ABSTAIN)
    else:
        decisions = graded.decisions
        backed_off = [path if there else () for path, there in zip(graded.paths, answered, strict=True)]
    return Answers(
        tuple(classes),
        tuple(tuple(paths.get(name, ())) for name in classes),
        order,
        best,
        np.where(answered, decisions, NONE).tolist(),
        list(status.picture),
        list(status.title),
        [
            why if there or why else NAN_PROBABILITIES
            for why, there in zip(status.reasons, answered, strict=True)
        ],
        backed_off,
        tuple(ids.get(name, "") for name in classes) if ids else None,
    )


def join_answers(chunks: Sequence[Answers]) -> Answers:
    """The answers of one model for several chunks of products, concatenated."""
    first = chunks[0]
    if len(chunks) == 1:
        return first
    joined: dict[str, Any] = {
        name: [value for chunk in chunks for value in getattr(chunk, name)] for name in first.lists
    }
    if first.backed_off is not None:
        joined["backed_off"] = [path for chunk in chunks for path in chunk.backed_off or ()]
    for name in ("order", "probabilities"):
        joined[name] = np.concatenate([getattr(chunk, name) for chunk in chunks])
    joined["further"] = join_columns([chunk.further for chunk in chunks])
    return replace(first, **joined)
