"""The common part of title baselines that predict several labels per product: one model over all labels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from baselines.text_baseline import TitleModel, TitleRun, ValidationPredictions, run_parts
from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.fields import Fields
from fusionclf.console import SILENT, Console
from fusionclf.evaluation.multilabel import (
    SigmoidDecision,
    label_set_context,
    make_label_set_predictions,
)

Scores = Callable[[pd.DataFrame], np.ndarray]  # fields of n products → (n, k) scores


@dataclass(frozen=True)
class LabelScorer:
    """A fitted model of some labels.

    Attributes:
        estimator: what the run folder stores; its `classes_` are these labels.
        scores: fields of n products → (n, k) scores of these labels.
    """

    estimator: Any
    scores: Scores

    def of_all(self, fields: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
        """(n, K) scores of all labels; -inf for those that it does not know."""
        found = np.full((len(fields), len(names)), -np.inf)
        found[:, np.isin(names, self.estimator.classes_)] = self.scores(fields)
        return found


# (fields of n products, (n, k) which of k labels each has, names of these) → model
FitScorer = Callable[[pd.DataFrame, np.ndarray, np.ndarray], LabelScorer]


@dataclass(frozen=True)
class LabelSetModel(TitleModel):
    """A fitted model of several labels.

    Attributes:
        decision: how scores become probabilities and labels, for all labels of the catalog.
    """

    decision: SigmoidDecision = field(default_factory=lambda: SigmoidDecision.default(0))

    def to_labels(self) -> dict[str, Any]:
        return self.decision.to_labels()


class LabelSetRun(TitleRun):
    """One run of a title baseline on products with several labels.

    Args:
        catalog, split: the products.
        fit: fits the labels that some products have.
        fields: the texts and attributes that it reads beside the title.
        console: where it names the texts that the model does not read.
    """

    def __init__(
        self, catalog: Catalog, split: Split, fit: FitScorer, fields: Fields, console: Console = SILENT
    ) -> None:
        super().__init__(catalog, split, self._fit, fields, console=console)
        self.names, self._fit_scorer = split.class_names(None), fit
        self._decision = SigmoidDecision.default(len(self.names))

    def _targets(self, rows: np.ndarray) -> np.ndarray:
        assert self.catalog.label_sets is not None
        return self.catalog.label_sets.indicator(rows, self.names)

    def _fit(
        self,
        fields: pd.DataFrame,
        is_label: np.ndarray,
        more_fields: pd.DataFrame,
        more_is_label: np.ndarray,
    ) -> LabelSetModel:
        """Fit on train rows to find probabilities and thresholds on validation rows, then on both with these."""
        held_out = None
        if len(more_fields) and is_label.any():
            trial = self._scorer(fields, is_label)
            scores = trial.of_all(more_fields, self.names)
            self._decision = SigmoidDecision.fit(scores, more_is_label)
            held_out = ValidationPredictions(list(self.names), self._decision.probabilities(scores))
        model = self._scorer(pd.concat([fields, more_fields]), np.concatenate([is_label, more_is_label]))
        decision = self._decision
        return LabelSetModel(
            model.estimator,
            lambda products: decision.probabilities(model.scores(products)),
            held_out=held_out,
            decision=decision,
        )

    def _scorer(self, fields: pd.DataFrame, is_label: np.ndarray) -> LabelScorer:
        known = is_label.any(axis=0)
        return self._fit_scorer(fields, is_label[:, known], np.array(self.names, object)[known])

    def _frame(
        self,
        part: str | None,
        subset: Literal["test", "validation"],
        rows: np.ndarray,
        probabilities: np.ndarray,
    ) -> pd.DataFrame:
        context = label_set_context(self.catalog, self.split, subset, rows)
        predicted = self._decision.predicted(probabilities)
        return make_label_set_predictions(context, self.names, probabilities, predicted, self._status(rows))


def run_on_label_sets(
    run: LabelSetRun, folder: Path
) -> tuple[dict[str, pd.DataFrame], dict[str, Any], dict[str, pd.DataFrame]]:
    """Fit and score one model over all labels; predictions, cost and held-out predictions as of `run_on_titles`.

    Args:
        run: the baseline and the products.
        folder: the run folder; the model goes below model/, beside labels.json.

    Raises:
        CatalogError: there is no row to fit on or to score, or the texts hold no words.
    """
    return run_parts(run, folder, [None])
