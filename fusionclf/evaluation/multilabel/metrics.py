"""The metrics of a model of several labels, from its predictions file. All values are percentages, unrounded."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fusionclf.evaluation.multilabel.predictions import LabelSetPredictions
from fusionclf.evaluation.significance import percentile_interval, resampled_sums, resampled_weights

if TYPE_CHECKING:
    from scipy import sparse

METRICS = (
    "micro_f1", "macro_f1", "mean_average_precision", "micro_precision", "micro_recall", "subset_accuracy",
    "ranking_precision",
)  # fmt: skip
AP_RESAMPLES = 200  # of the mean average precision: each one takes as long as the metric itself
MOST_WORK = (
    3 * 10**9
)  # products x labels x resamples, above which its interval is left out: it takes a minute


def multilabel_metrics(
    found: LabelSetPredictions, train_rows: Mapping[str, int], thresholds: np.ndarray
) -> dict[str, Any]:
    """What metrics.json holds below `multilabel`: scores, their intervals, and a row for each label.

    Args:
        found: of the test products.
        train_rows: label → products in train and validation.
        thresholds: (K,) from which a label is predicted.
    """
    precisions = average_precisions(found.probabilities, found.is_label)
    return {
        "scores": scores(found, precisions),
        "intervals": intervals(found),
        "per_label": _per_label(found, precisions, train_rows, thresholds),
    }


def scores(found: LabelSetPredictions, precisions: np.ndarray | None = None) -> dict[str, Any]:
    """n, METRICS, and the mean number of labels and of predicted labels a product; None where one is not defined.

    micro_f1, micro_precision and micro_recall count pairs of a product and a label. macro_f1 and
    mean_average_precision are means over the labels that occur among the products. subset_accuracy is the share of
    products whose labels are all predicted, and no others. ranking_precision is the label ranking average precision.

    Source: Tsoumakas et al., Mining Multi-label Data (2010); for the last one Schapire and Singer, BoosTexter (2000).
    """
    if precisions is None:
        precisions = average_precisions(found.probabilities, found.is_label)
    values = metrics_of_sums(np.asarray(columns(found).sum(axis=0)).reshape(1, -1))
    own = {name: _or_none(value[0]) for name, value in values.items()}
    own["mean_average_precision"] = _or_none(_mean(precisions))
    sizes = {"labels": found.is_label, "predicted": found.predicted}
    means = {name: float(own.sum(axis=1).mean()) if len(found) else None for name, own in sizes.items()}
    return {"n": len(found), **{name: own[name] for name in METRICS}, **means}


def intervals(found: LabelSetPredictions) -> dict[str, list[float] | None]:
    """95 % bootstrap intervals of METRICS; None where one would take too long."""
    if not len(found):
        return dict.fromkeys(METRICS)
    sums = resampled_sums(columns(found), found.groups)
    own = {name: percentile_interval(values) for name, values in metrics_of_sums(sums).items()}
    own["mean_average_precision"] = None
    if found.is_label.size * AP_RESAMPLES <= MOST_WORK:
        own["mean_average_precision"] = percentile_interval(_resampled_precision(found))
    return {name: own[name] for name in METRICS}


def columns(found: LabelSetPredictions) -> "sparse.csr_array":
    """(N, 3 + 3K) columns whose sums give the metrics.

    1, whether all labels are right, the ranking precision of the product; then for each label whether it is one of the
    product's, whether it is one and predicted, and whether it is predicted.
    """
    from scipy import sparse  # scipy takes long to import

    exact = (found.is_label == found.predicted).all(axis=1)
    plain = np.stack([np.ones(len(found)), exact, ranking_precisions(found)], axis=1)
    blocks = [found.is_label, found.is_label & found.predicted, found.predicted]
    return sparse.csr_array(
        sparse.hstack([plain, *(sparse.csr_array(block, dtype=float) for block in blocks)])
    )


def metrics_of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    """METRICS but mean_average_precision, of (R, 3 + 3K) column sums; NaN where one is not defined."""
    n, exact, ranking = sums[:, :3].T
    label, hit, predicted = np.split(sums[:, 3:], 3, axis=1)
    present = (label > 0).sum(axis=1)
    f1 = np.divide(2 * hit, label + predicted, out=np.zeros_like(hit), where=label > 0)
    labels, hits, all_predicted = (block.sum(axis=1) for block in (label, hit, predicted))
    return {
        "micro_f1": _share(2 * hits, labels + all_predicted),
        "macro_f1": _share(f1.sum(axis=1), present),
        "micro_precision": _share(hits, all_predicted),
        "micro_recall": _share(hits, labels),
        "subset_accuracy": _share(exact, n),
        "ranking_precision": _share(ranking, n),
    }


def ranking_precisions(found: LabelSetPredictions) -> np.ndarray:
    """(N,) of each product's labels the mean share of its labels among those that are as likely or more likely."""
    precisions = np.ones(len(found))
    for row in np.flatnonzero(found.is_label.any(axis=1)).tolist():
        own, ranked = found.probabilities[row, found.is_label[row]], np.sort(found.probabilities[row])
        above = len(ranked) - np.searchsorted(ranked, own, side="left")
        precisions[row] = np.mean((len(own) - np.searchsorted(np.sort(own), own, side="left")) / above)
    return precisions


def average_precisions(probabilities: np.ndarray, is_label: np.ndarray) -> np.ndarray:
    """(K,) the average precision of each label over the products, in [0, 1]; NaN for a label that none has.

    Args:
        probabilities: (N, K).
        is_label: (N, K) whether each product has each label.
    """
    whole = np.ones((1, len(is_label)), np.float32)
    found = [
        _average_precision(probabilities[:, k], is_label[:, k], whole)[0] for k in range(is_label.shape[1])
    ]
    return np.array(found, np.float64)


def _average_precision(probabilities: np.ndarray, is_label: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R,) for (R, N) weights of the products; equal probabilities count as one threshold."""
    order = np.argsort(-probabilities, kind="stable")
    ranked, places = probabilities[order], np.flatnonzero(is_label[order])
    if not len(places):
        return np.full(len(weights), np.nan)
    last = np.searchsorted(-ranked, -ranked[places], side="right") - 1  # of the products that are as likely
    all_above = np.cumsum(weights[:, order], axis=1, dtype=np.float64)[:, last]
    own = weights[:, order[places]].astype(np.float64)
    hits = np.cumsum(own, axis=1)[:, np.searchsorted(places, last, side="right") - 1]
    precision = np.divide(hits, all_above, out=np.zeros_like(hits), where=all_above > 0)
    total = own.sum(axis=1)
    return np.divide((own * precision).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)


def _resampled_precision(found: LabelSetPredictions) -> np.ndarray:
    """(AP_RESAMPLES,) the mean average precision, in percent, over resamples of whole groups."""
    totals, counts = np.zeros(AP_RESAMPLES), np.zeros(AP_RESAMPLES)
    start = 0
    for weights in resampled_weights(found.groups, AP_RESAMPLES):
        for k in np.flatnonzero(found.is_label.any(axis=0)):
            own = _average_precision(found.probabilities[:, k], found.is_label[:, k], weights)
            there = ~np.isnan(own)
            totals[start : start + len(own)][there] += own[there]
            counts[start : start + len(own)] += there
        start += len(weights)
    return _share(totals, counts)


def _per_label(
    found: LabelSetPredictions, precisions: np.ndarray, train_rows: Mapping[str, int], thresholds: np.ndarray
) -> list[dict[str, Any]]:
    """A row for each label that a test product has, or is predicted to have."""
    label, predicted = found.is_label.sum(axis=0), found.predicted.sum(axis=0)
    hit = (found.is_label & found.predicted).sum(axis=0)
    return [
        {
            "label": name,
            "train_rows": int(train_rows.get(name, 0)),
            "test_rows": int(label[k]),
            "predicted_rows": int(predicted[k]),
            "precision": _or_none(_share(hit[[k]], predicted[[k]])[0]),
            "recall": _or_none(_share(hit[[k]], label[[k]])[0]),
            "f1": _or_none(_share(2 * hit[[k]], (label + predicted)[[k]])[0]),
            "average_precision": _or_none(100 * precisions[k]),
            "threshold": float(thresholds[k]),
        }
        for k, name in enumerate(found.names)
        if label[k] or predicted[k]
    ]


def _mean(precisions: np.ndarray) -> float:
    there = precisions[~np.isnan(precisions)]
    return 100 * float(there.mean()) if len(there) else np.nan


def _share(count: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """In percent; NaN where there is nothing to divide by."""
    return 100 * np.divide(count, whole, out=np.full(np.shape(count), np.nan), where=np.asarray(whole) > 0)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
