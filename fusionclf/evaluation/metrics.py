"""Every metric of a run, from its predictions files. All values are unrounded percentages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusionclf.evaluation.calibration import expected_calibration_error
from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.held_out import HeldOut
from fusionclf.evaluation.hierarchy import has_paths, hierarchy
from fusionclf.evaluation.predictions import LEAKED_PICTURE, group_numbers
from fusionclf.evaluation.ranks import has_probabilities, has_top5
from fusionclf.evaluation.significance import percentile_interval, resampled_sums
from fusionclf.evaluation.thresholds import TARGETS, decision_metrics
from fusionclf.run_schema import ALL_CLASSES

if TYPE_CHECKING:
    from scipy import sparse

HEAD, MIDDLE = 200, 20  # training rows from which a class counts as head, or as middle
TOP_COLUMNS = tuple(f"label_{rank}" for rank in range(1, 6))
METRICS = ("top1", "top5", "seen", "unseen", "harmonic", "macro_f1", "balanced_accuracy", "ece")


def score(frame: pd.DataFrame) -> dict[str, Any]:
    """The metrics of one predictions file.

    Returns:
        n; top1 and top5 over all rows; seen and unseen (top-1 over rows whose class has, or has no, training
        row); harmonic, their harmonic mean; macro_f1 and balanced_accuracy over the classes that occur among
        the rows; ece (15 bins). None where a metric is not defined: ece without probabilities, top5 where fewer
        than five classes are ranked.
    """
    sums = np.asarray(_columns(frame).sum(axis=0)).reshape(1, -1)
    found = {name: _or_none(values[0]) for name, values in _metrics_of_sums(sums).items()}
    if not has_top5(frame):
        found["top5"] = None
    ece = None
    if len(frame) and has_probabilities(frame):
        ece = 100 * expected_calibration_error(frame["prob_1"].to_numpy(), correct(frame))
    return {"n": len(frame), **found, "ece": ece}


def correct(frame: pd.DataFrame) -> np.ndarray:
    """(N,) whether the predicted class is the label."""
    return (frame["label_1"] == frame["label"]).to_numpy(bool)


def among_top5(frame: pd.DataFrame) -> np.ndarray:
    """(N,) whether one of the first five classes is the label; classes of probability 0 count, too."""
    hits = [(frame[column] == frame["label"]).fillna(False).to_numpy(bool) for column in TOP_COLUMNS]
    return np.logical_or.reduce(hits)


def run_metrics(
    variant: str,
    frames: Mapping[str, pd.DataFrame],
    graph: CategoryGraph | None = None,
    held_out: Mapping[str, HeldOut] | None = None,
) -> dict[str, Any]:
    """The content of metrics.json.

    Args:
        variant: name of the model.
        frames: predictions by part; the key ALL_CLASSES is the model over all classes.
        graph: of the catalog, for the parts whose predictions hold category paths.
        held_out: predictions of products that the model was not fitted on, by part, to fit thresholds on.
    """
    parts = {part: score(frame) for part, frame in frames.items() if part != ALL_CLASSES}
    return {
        "variant": variant,
        "parts": parts,
        ALL_CLASSES: score(frames[ALL_CLASSES]) if ALL_CLASSES in frames else {"top1": None},
        "intervals": {part: intervals(frame) for part, frame in frames.items()},
        "slices": {part: slices(frame) for part, frame in frames.items()},
        "per_class": {part: per_class(frame) for part, frame in frames.items()},
        "hierarchy": {
            part: hierarchy(frame, graph)
            for part, frame in frames.items()
            if graph is not None and has_paths(frame, graph)
        },
        "decisions": {
            part: [decision_metrics(frame, held, target, graph) for target in TARGETS]
            for part, frame in frames.items()
            if graph is not None
            and (held := (held_out or {}).get(part)) is not None
            and len(held)
            and has_probabilities(frame)
            and has_probabilities(held.frame)
            and has_paths(frame, graph)
            and has_paths(held.frame, graph)
        },
    }


def intervals(frame: pd.DataFrame) -> dict[str, list[float] | None]:
    """95 % bootstrap intervals of every metric except ece, whose resampled values are biased upwards."""
    if not len(frame):
        return dict.fromkeys(METRICS[:-1])
    sums = resampled_sums(_columns(frame), group_numbers(frame))
    found = {name: percentile_interval(values) for name, values in _metrics_of_sums(sums).items()}
    return found if has_top5(frame) else found | {"top5": None}


def slices(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Top-1 over rows of one kind: by title, by frequency of the class in training, by leaks.

    Head classes have 200 training rows or more, middle classes 20 to 199, tail classes 1 to 19, unseen
    classes none: fixed bounds, so that the kind of a class depends on the split only, not on the part. Only runs
    that read pictures know which pictures are in train.
    """
    right = correct(frame)
    counts = frame["label_train_count"].to_numpy()
    named, leaked = (frame[column].to_numpy(bool) for column in ("title_names_label", "leaked_title"))
    masks = {
        "title names the type": named,
        "title does not name it": ~named,
        "head classes": counts >= HEAD,
        "middle classes": (counts >= MIDDLE) & (counts < HEAD),
        "tail classes": (counts > 0) & (counts < MIDDLE),
        "unseen classes": counts == 0,
        "title in train": leaked,
        "title not in train": ~leaked,
    }
    if LEAKED_PICTURE in frame:
        leaked = frame[LEAKED_PICTURE].to_numpy(bool)
        masks |= {"picture in train": leaked, "picture not in train": ~leaked}
    return {name: {"n": int(mask.sum()), "top1": _percent(right[mask])} for name, mask in masks.items()}


def per_class(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each class among the products: its training rows, test rows, top-1 and top-5."""
    rows = {"train": frame["label_train_count"], "top1": correct(frame), "top5": among_top5(frame)}
    top5 = has_top5(frame)
    grouped = pd.DataFrame({"label": frame["label"], **rows}).groupby("label", sort=True)
    return [
        {
            "label": str(label),
            "train_rows": int(members["train"].iloc[0]),
            "test_rows": len(members),
            "top1": _percent(members["top1"].to_numpy()),
            "top5": _percent(members["top5"].to_numpy()) if top5 else None,
        }
        for label, members in grouped
    ]


def _columns(frame: pd.DataFrame) -> "sparse.csr_array":
    """(N, 5 + 3C) columns whose sums give the metrics; C classes occur among the labels.

    1, top-1 right, top-5 right, class seen in training, seen and right; then for each class whether it is the
    label, whether it is the label and predicted, whether it is predicted. A predicted class that is no label lowers
    the recall of the product's class, and does not count as a class.
    """
    from scipy import sparse  # scipy takes long to import

    right, seen = correct(frame), frame["label_train_count"].to_numpy() > 0
    plain = np.stack([np.ones(len(frame)), right, among_top5(frame), seen, seen & right], axis=1)
    names = np.unique(frame["label"].to_numpy(object))
    place = {name: n for n, name in enumerate(names)}
    label, predicted = (
        np.array([place.get(name, np.nan) for name in frame[column]]) for column in ("label", "label_1")
    )
    hit = np.where(right, label, np.nan)
    classes = [_one_hot(numbers, len(names)) for numbers in (label, hit, predicted)]
    return sparse.csr_array(sparse.hstack([sparse.csr_array(plain), *classes], format="csr"))


def _one_hot(numbers: np.ndarray, count: int) -> "sparse.csr_array":
    from scipy import sparse

    rows = np.flatnonzero(~np.isnan(numbers))
    places = (rows, numbers[rows].astype(int))
    return sparse.csr_array((np.ones(len(rows)), places), shape=(len(numbers), count))


def _metrics_of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of (R, 5 + 3C) column sums, (R,) each; NaN where one is not defined."""
    n, right, among, seen, right_seen = sums[:, :5].T
    label, hit, predicted = np.split(sums[:, 5:], 3, axis=1)
    top_seen, top_unseen = _share(right_seen, seen), _share(right - right_seen, n - seen)
    present = (label > 0).sum(axis=1)
    return {
        "top1": _share(right, n),
        "top5": _share(among, n),
        "seen": top_seen,
        "unseen": top_unseen,
        "harmonic": harmonic_mean(top_seen, top_unseen),
        "macro_f1": _share(
            np.nansum(_ratio(2 * hit, np.where(label > 0, label + predicted, 0)), axis=1), present
        ),
        "balanced_accuracy": _share(np.nansum(_ratio(hit, label), axis=1), present),
    }


def harmonic_mean(seen: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """2su / (s + u), as reported in generalised zero-shot learning; 0 where both are 0.

    Source: Xian et al., Zero-Shot Learning: A Comprehensive Evaluation (2018), equation 5.
    """
    total = np.where(seen + unseen == 0, 1.0, seen + unseen)
    return 2 * seen * unseen / total


def _ratio(count: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(count, whole, out=np.full(np.shape(count), np.nan), where=whole > 0)


def _share(count: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return 100 * _ratio(count, whole)


def _percent(values: np.ndarray) -> float | None:
    return 100 * float(values.mean()) if len(values) else None


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
