"""Products with several labels: probabilities and thresholds, the predictions file, and metrics; no torch."""

from fusionclf.evaluation.multilabel.decision import SigmoidDecision
from fusionclf.evaluation.multilabel.metrics import multilabel_metrics
from fusionclf.evaluation.multilabel.predictions import (
    LabelSetPredictions,
    label_set_context,
    make_label_set_predictions,
    ranked_labels,
    read_label_set_predictions,
)

__all__ = [
    "LabelSetPredictions",
    "SigmoidDecision",
    "label_set_context",
    "make_label_set_predictions",
    "multilabel_metrics",
    "ranked_labels",
    "read_label_set_predictions",
]
