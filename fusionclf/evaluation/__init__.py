"""Predictions file, metrics, significance and calibration; no torch."""

from fusionclf.evaluation.calibration import (
    coverage_accuracy,
    expected_calibration_error,
    fit_blend,
    fit_temperature,
    reliability,
    softmax,
)
from fusionclf.evaluation.category_graph import CategoryGraph, PredictedPaths
from fusionclf.evaluation.hierarchy import hierarchy
from fusionclf.evaluation.label_issues import find_label_issues
from fusionclf.evaluation.metrics import among_top5, correct, run_metrics, score
from fusionclf.evaluation.mistakes import (
    by_training_rows,
    confident_errors,
    confused_pairs,
    disagreements,
    ranked_classes,
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
from fusionclf.evaluation.write_run import RunResult, save_run

__all__ = [
    "CategoryGraph",
    "Decisions",
    "PredictedPaths",
    "RunResult",
    "Thresholds",
    "among_top5",
    "bootstrap_interval",
    "by_training_rows",
    "confident_errors",
    "confused_pairs",
    "correct",
    "coverage_accuracy",
    "decide",
    "disagreements",
    "expected_calibration_error",
    "find_label_issues",
    "first_classes",
    "fit_blend",
    "fit_temperature",
    "fit_thresholds",
    "hierarchy",
    "holm",
    "make_predictions",
    "mcnemar_exact",
    "product_context",
    "ranked_classes",
    "read_predictions",
    "reliability",
    "run_metrics",
    "save_run",
    "score",
    "softmax",
    "thresholds_of_run",
    "write_predictions",
]
