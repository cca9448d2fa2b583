"""Predictions file, metrics, significance and calibration; no torch."""

from fusionclf.evaluation.calibration import (
    coverage_accuracy,
    fit_blend,
    fit_temperature,
    reliability,
    softmax,
)
from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.column_answers import ColumnPredictions, column_answers
from fusionclf.evaluation.label_issues import find_label_issues
from fusionclf.evaluation.metrics import correct
from fusionclf.evaluation.mistakes import (
    by_training_rows,
    confident_errors,
    confused_pairs,
    disagreements,
    ranked_classes,
)
from fusionclf.evaluation.predictions import group_numbers, make_predictions, product_context
from fusionclf.evaluation.read_predictions import read_predictions
from fusionclf.evaluation.significance import bootstrap_interval, holm, mcnemar_exact
from fusionclf.evaluation.thresholds import Decisions, Thresholds, decide, thresholds_of_run
from fusionclf.evaluation.topk import first_classes
from fusionclf.evaluation.write_run import RunResult, save_run

__all__ = [
    "CategoryGraph",
    "ColumnPredictions",
    "Decisions",
    "RunResult",
    "Thresholds",
    "bootstrap_interval",
    "by_training_rows",
    "column_answers",
    "confident_errors",
    "confused_pairs",
    "correct",
    "coverage_accuracy",
    "decide",
    "disagreements",
    "find_label_issues",
    "first_classes",
    "fit_blend",
    "fit_temperature",
    "group_numbers",
    "holm",
    "make_predictions",
    "mcnemar_exact",
    "product_context",
    "ranked_classes",
    "read_predictions",
    "reliability",
    "save_run",
    "softmax",
    "thresholds_of_run",
]
