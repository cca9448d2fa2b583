"""Predictions of a stage whose products can have several labels: thresholds, then test and held-out rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fusionclf.batches import ProductSource
from fusionclf.evaluation.multilabel import (
    SigmoidDecision,
    label_set_context,
    make_label_set_predictions,
)
from fusionclf.models import Model
from fusionclf.stacking.out_of_fold import OutOfFoldPredictions
from fusionclf.stacking.run_inputs import RunInputs
from fusionclf.stacking.stages import StageRows


def fit_label_decision(
    logits: np.ndarray, source: ProductSource, rows: StageRows
) -> tuple[SigmoidDecision, OutOfFoldPredictions]:
    """Probabilities and thresholds by the validation rows, and the model's logits for these.

    Args:
        logits: (n, K) of the labels, of the validation rows.
        source: all products.
        rows: those that the model was trained on and validated with.
    """
    targets = source.targets["label"]
    known = targets[rows.train].any(axis=0)
    predictions = OutOfFoldPredictions(rows.validation, logits, np.broadcast_to(known, logits.shape))
    return SigmoidDecision.fit(logits, targets[rows.validation]), predictions


@dataclass(frozen=True)
class LabelSetFrames:
    """What predictions files of several labels are made of.

    Attributes:
        inputs: of the run.
        model: the trained model.
        names: all labels.
        decision: of the model.
    """

    inputs: RunInputs
    model: Model
    names: tuple[str, ...]
    decision: SigmoidDecision

    def test(self, rows: np.ndarray, logits: np.ndarray) -> pd.DataFrame:
        """Predictions of the test rows.

        Args:
            rows: (n,) catalog rows.
            logits: (n, K).
        """
        digests = None if self.inputs.cache is None else self.inputs.cache.digests
        context = label_set_context(self.inputs.catalog, self.inputs.split, "test", rows, digests)
        return self._frame(context, rows, logits)

    def held_out(self, found: OutOfFoldPredictions) -> pd.DataFrame:
        """Predictions of the validation rows."""
        digests = None if self.inputs.cache is None else self.inputs.cache.digests
        context = label_set_context(self.inputs.catalog, self.inputs.split, "validation", found.rows, digests)
        return self._frame(context, found.rows, found.logits)

    def _frame(self, context: pd.DataFrame, rows: np.ndarray, logits: np.ndarray) -> pd.DataFrame:
        probabilities = self.decision.probabilities(logits)
        predicted = self.decision.predicted(probabilities)
        status = self.inputs.modality_status(self.model, rows)
        return make_label_set_predictions(context, self.names, probabilities, predicted, status)
