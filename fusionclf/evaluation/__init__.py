"""Predictions file, metrics, significance and calibration; no torch."""

from fusionclf.evaluation.calibration import (
    coverage_accuracy,
    expected_calibration_error,
    fit_blend,
    fit_temperature,
    reliability,
    softmax,
)
from fusionclf.evaluation.category_graph import CategoryGraph, PathAnswers
from fusionclf.evaluation.hierarchy import hierarchy
from fusionclf.evaluation.label_issues import disputed_labels
from fusionclf.evaluation.metrics import among_top5, correct, run_metrics, score
from fusionclf.evaluation.mistakes import (
    answers,
    by_training_rows,
    confident_errors,
    confused_pairs,
    disagreements,
)
from fusionclf.evaluation.predictions import (
    make_predictions,
    product_context,
    write_predictions,
)
from fusionclf.evaluation.read_predictions import read_predictions
from fusionclf.evaluation.significance import bootstrap_interval, holm, mcnemar_exact
from fusionclf.evaluation.thresholds import Decisions, Thresholds, decide, fit_thresholds, thresholds_of_run
from fusionclf.evaluation.topk import first_classes
from fusionclf.evaluation.write_run import finish_run

__all__ = [
    "CategoryGraph",
    "Decisions",
    "PathAnswers",
    "Thresholds",
    "among_top5",
    "answers",
    "bootstrap_interval",
    "by_training_rows",
    "confident_errors",
    "confused_pairs",
    "correct",
    "coverage_accuracy",
    "decide",
    "disagreements",
    "disputed_labels",
    "expected_calibration_error",
    "finish_run",
    "first_classes",
    "fit_blend",
    "fit_temperature",
    "fit_thresholds",
    "hierarchy",
    "holm",
    "make_predictions",
    "mcnemar_exact",
    "product_context",
    "read_predictions",
    "reliability",
    "run_metrics",
    "score",
    "softmax",
    "thresholds_of_run",
    "write_predictions",
]
