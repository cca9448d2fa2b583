"""What all title baselines do: fit on a part's train and validation titles, predict its test titles, keep the model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io

from fusionclf.catalog import Catalog, Split
from fusionclf.evaluation import make_predictions, product_context
from fusionclf.runfolder import replacing, write_json

JOINT = "joint"


@dataclass(frozen=True)
class Rows:
    """Catalog rows to fit on (train, validation) and to score (test)."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


class TitleModel:
    """A fitted title model: `estimator` is kept in the run folder, `predict` gives (n, classes_) probabilities."""

    def __init__(self, estimator: Any, predict: Callable[[Sequence[str]], np.ndarray], temperature: float = 1.0) -> None:
        self.estimator = estimator
        self.classes_: list[str] = [str(name) for name in estimator.classes_]
        self.predict = predict
        self.temperature = temperature


Fit = Callable[[list[str], np.ndarray, list[str], np.ndarray], TitleModel]


def run_on_titles(
    catalog: Catalog,
    split: Split,
    folder: Path,
    fit: Fit,
    *,
    keep: Callable[[np.ndarray], np.ndarray] = lambda rows: rows,
    joint: bool = True,
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Fit and score one model a part, and one over all classes.

    Args:
        catalog, split: the products.
        folder: the run folder; models go below model/.
        fit: (train titles, labels, validation titles, labels) → model.
        keep: which of some catalog rows take part.
        joint: also fit one model over all classes.

    Returns:
        Predictions by part, and the figures of cost.
    """
    titles = catalog.table["title"].to_numpy(object)
    labels = catalog.table["label"].to_numpy(object)
    frames: dict[str, pd.DataFrame] = {}
    train_s = predict_s = 0.0
    parameters = predicted = 0
    kept_labels: dict[str, Any] = {}
    for part in [*split.classes, *([None] if joint else [])]:
        rows = Rows(*(keep(split.rows(catalog, part, name)) for name in ("train", "validation", "test")))
        started = time.perf_counter()
        model = fit(
            titles[rows.train].tolist(), labels[rows.train], titles[rows.validation].tolist(), labels[rows.validation]
        )
        fitted = time.perf_counter()
        classes = split.class_names(part)
        probabilities = _over(classes, model.classes_, model.predict(titles[rows.test].tolist()))
        predict_s += time.perf_counter() - fitted
        train_s += fitted - started
        name = part or JOINT
        context = product_context(catalog, split, part)
        context = context[np.isin(split.rows(catalog, part, "test"), rows.test)]
        health = pd.DataFrame(
            {"picture_status": "ignored", "title_status": np.where(titles[rows.test] == "", "missing", "used")}
        )
        frames[name] = make_predictions(context.reset_index(drop=True), classes, probabilities, health)
        kept_labels[name] = {"classes": {"label": model.classes_}, "temperature": model.temperature}
        parameters, predicted = max(parameters, _size(model.estimator)), predicted + len(rows.test)
        with replacing(folder / "model" / f"{name}.skops") as aside:
            skops.io.dump(model.estimator, aside)
    write_json(folder / "model" / "labels.json", kept_labels)
    figures = {
        "device": "CPU",
        "train_seconds": train_s,
        "predict_seconds": predict_s,
        "products_per_second": predicted / max(predict_s, 1e-9),
        "pictures_per_second": None,
        "parameters": parameters,
    }
    return frames, figures


def _over(classes: Sequence[str], known: Sequence[str], probabilities: np.ndarray) -> np.ndarray:
    """The known classes' probabilities laid out over all candidates; a class without a training row gets 0."""
    spread = np.zeros((len(probabilities), len(classes)))
    place = {name: n for n, name in enumerate(classes)}
    spread[:, [place[name] for name in known]] = probabilities
    return spread


def _size(estimator: Any) -> int:
    """Learned numbers of an estimator or of a pipeline's last step."""
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    names = ("coef_", "intercept_", "feature_log_prob_", "class_log_prior_", "class_prior_")
    return sum(int(np.size(getattr(last, name))) for name in names if hasattr(last, name))
