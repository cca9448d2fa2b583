"""Answers with several labels per product: all labels that reach their thresholds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import pyarrow as pa

from fusionclf.errors import SettingsError
from fusionclf.evaluation import first_classes
from fusionclf.evaluation.multilabel import SigmoidDecision, ranked_labels
from fusionclf.prediction.answers import (
    ABSTAIN,
    ACCEPT,
    NAN_PROBABILITIES,
    NONE,
    Answers,
    DecisionRule,
    InputStatus,
)

DIGITS = 6  # of probabilities in texts


@dataclass(frozen=True)
class LabelSetAnswers(Answers):
    """The answers for n products that can have several labels.

    `order` and `probabilities` are those of the most likely labels, whether predicted or not. The decision is "accept"
    where a product has a label, and "abstain" where no label reaches its threshold.

    Attributes:
        predicted: the labels of each product, the most likely first.
        of_predicted: their probabilities.
    """

    lists: ClassVar[tuple[str, ...]] = (*Answers.lists, "predicted", "of_predicted")

    predicted: list[list[str]] = field(default_factory=list)
    of_predicted: list[list[float]] = field(default_factory=list)

    @cached_property
    def labels(self) -> list[list[str]]:
        """The labels of each product, the most likely first."""
        return self.predicted

    @cached_property
    def label_probabilities(self) -> list[list[float]]:
        return self.of_predicted

    @cached_property
    def answered(self) -> list[tuple[str, ...]]:
        """(): several labels have no one path."""
        return [()] * len(self)

    def columns(self) -> dict[str, pa.Array]:
        """Column name → n values: `labels` and their `probabilities` as JSON lists, then the most likely labels."""
        texts = [json.dumps(labels, ensure_ascii=False) for labels in self.predicted]
        numbers = [json.dumps([round(p, DIGITS) for p in own]) for own in self.of_predicted]
        own = {"labels": pa.array(texts, pa.string()), "probabilities": pa.array(numbers, pa.string())}
        return own | {
            name: column for name, column in super().columns().items() if name not in ("path", "answer")
        }


def decide_label_sets(
    probabilities: np.ndarray,
    classes: Sequence[str],
    decision: SigmoidDecision,
    rule: DecisionRule,
    status: InputStatus,
) -> LabelSetAnswers:
    """The answers: all labels that reach their thresholds.

    Args:
        probabilities: (n, K); a row of NaN has no answer.
        classes: K names.
        decision: their thresholds.
        rule: how many of the most likely labels to list beside; `min_probability` takes the thresholds' place.
        status: which inputs were used.

    Raises:
        SettingsError: there is a target precision.
    """
    if rule.target_precision is not None:
        raise SettingsError(
            "a target precision needs one label per product; give min_probability, a threshold for all labels"
        )
    names = tuple(classes)
    answered = ~np.isnan(probabilities[:, 0])  # (n,)
    chosen = decision.predicted(probabilities)
    if rule.min_probability is not None:
        chosen = probabilities >= rule.min_probability
    order = first_classes(probabilities, rule.top_k)
    found = [np.sort(own[mask])[::-1].tolist() for own, mask in zip(probabilities, chosen, strict=True)]
    decisions = np.where(answered, np.where(chosen.any(axis=1), ACCEPT, ABSTAIN), NONE)
    reasons = [
        why if there or why else NAN_PROBABILITIES
        for why, there in zip(status.reasons, answered, strict=True)
    ]
    return LabelSetAnswers(
        names, ((),) * len(names), order, np.take_along_axis(probabilities, order, axis=1), decisions.tolist(),
        list(status.picture), list(status.title), reasons,
        predicted=ranked_labels(names, probabilities, chosen), of_predicted=found,
    )  # fmt: skip
