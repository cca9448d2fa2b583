"""Every metric of a run, from its predictions files alone. All figures are percentages, unrounded."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.evaluation.calibration import expected_calibration_error
from fusionclf.evaluation.significance import bootstrap_intervals

JOINT = "joint"
HEAD, MIDDLE = 200, 20  # training rows from which a class counts as head, or as middle
TOP_COLUMNS = tuple(f"label_{rank}" for rank in range(1, 6))


def score(frame: pd.DataFrame) -> dict[str, Any]:
    """The metrics of one predictions file.

    Returns:
        n; top1 and top5 over all rows; seen and unseen (top-1 over rows whose class has, or has no, training
        row); harmonic, their harmonic mean; macro_f1 and balanced_accuracy over the classes that occur among
        the rows; ece (15 bins). None where a figure does not exist.
    """
    right, among = correct(frame), among_top5(frame)
    seen = frame["label_train_count"].to_numpy() > 0
    top_seen, top_unseen = _percent(right[seen]), _percent(right[~seen])
    recall, f1 = _recall_and_f1(frame)
    return {
        "n": len(frame),
        "top1": _percent(right),
        "top5": _percent(among),
        "seen": top_seen,
        "unseen": top_unseen,
        "harmonic": harmonic_mean(top_seen, top_unseen),
        "macro_f1": 100 * float(f1.mean()) if len(f1) else None,
        "balanced_accuracy": 100 * float(recall.mean()) if len(recall) else None,
        "ece": 100 * expected_calibration_error(frame["prob_1"].to_numpy(), right) if len(frame) else None,
    }


def correct(frame: pd.DataFrame) -> np.ndarray:
    """(N,) whether the first answer is the label."""
    return (frame["label_1"] == frame["label"]).to_numpy(bool)


def among_top5(frame: pd.DataFrame) -> np.ndarray:
    """(N,) whether one of the first five answers is the label."""
    return np.logical_or.reduce([(frame[c] == frame["label"]).fillna(False).to_numpy(bool) for c in TOP_COLUMNS])


def harmonic_mean(seen: float | None, unseen: float | None) -> float | None:
    """2su / (s + u), the balance that generalised zero-shot learning reports (Xian et al., 2018)."""
    if seen is None or unseen is None:
        return None
    return 2 * seen * unseen / (seen + unseen) if seen + unseen > 0 else 0.0


def run_metrics(variant: str, frames: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """What metrics.json holds.

    Args:
        variant: name of the model.
        frames: predictions by part; the key `joint` is the model over all classes.
    """
    parts = {part: score(frame) for part, frame in frames.items() if part != JOINT}
    joint = score(frames[JOINT]) if JOINT in frames else {"top1": None}
    return {
        "variant": variant,
        "parts": parts,
        "joint": joint,
        "intervals": {part: _intervals(frame) for part, frame in frames.items()},
        "slices": {part: slices(frame) for part, frame in frames.items()},
        "per_class": {part: per_class(frame) for part, frame in frames.items()},
    }


def _intervals(frame: pd.DataFrame) -> dict[str, list[float] | None]:
    right, among = correct(frame), among_top5(frame)
    seen = frame["label_train_count"].to_numpy() > 0
    groups = frame["title_group"].to_numpy()
    asked = {"top1": (right, None), "top5": (among, None), "seen": (right, seen), "unseen": (right, ~seen)}
    found: dict[str, list[float] | None] = {}
    for name, (values, mask) in asked.items():
        picked = slice(None) if mask is None else mask
        found[name] = bootstrap_intervals(values[picked], groups[picked]) if len(values[picked]) else None
    return found


def slices(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Top-1 over rows of one kind: what the title tells, how frequent the class is in training, leaked titles."""
    right = correct(frame)
    counts = frame["label_train_count"].to_numpy()
    masks = {
        "title names the type": frame["title_names_label"].to_numpy(bool),
        "title does not name it": ~frame["title_names_label"].to_numpy(bool),
        "head classes": counts >= HEAD,
        "middle classes": (counts >= MIDDLE) & (counts < HEAD),
        "tail classes": (counts > 0) & (counts < MIDDLE),
        "unseen classes": counts == 0,
        "title in train": frame["leaked_title"].to_numpy(bool),
        "title not in train": ~frame["leaked_title"].to_numpy(bool),
    }
    return {name: {"n": int(mask.sum()), "top1": _percent(right[mask])} for name, mask in masks.items()}


def per_class(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each class among the products: its training rows, test rows, top-1 and top-5."""
    table = pd.DataFrame(
        {"label": frame["label"], "train": frame["label_train_count"], "top1": correct(frame), "top5": among_top5(frame)}
    )
    grouped = table.groupby("label", sort=True)
    return [
        {
            "label": str(label),
            "train_rows": int(rows["train"].iloc[0]),
            "test_rows": len(rows),
            "top1": 100 * float(rows["top1"].mean()),
            "top5": 100 * float(rows["top5"].mean()),
        }
        for label, rows in grouped
    ]


def _recall_and_f1(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Recall and F1 of each class among the products; an answer outside of them costs recall alone."""
    counts = pd.crosstab(frame["label"], frame["label_1"])
    present = counts.index
    hits = np.array([counts.at[name, name] if name in counts.columns else 0 for name in present], float)
    actual = counts.sum(axis=1).to_numpy(float)
    answered = counts.sum(axis=0).reindex(present, fill_value=0).to_numpy(float)
    return hits / actual, 2 * hits / (actual + answered)


def _percent(values: np.ndarray) -> float | None:
    return 100 * float(values.mean()) if len(values) else None
