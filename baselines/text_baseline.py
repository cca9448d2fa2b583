"""What title baselines share: fit on train and validation rows, predict the test rows, keep the model."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.usable import UnusedRows, unused_rows
from fusionclf.errors import CatalogError
from fusionclf.evaluation import CategoryGraph, make_predictions, product_context
from fusionclf.files import replacing, write_json
from fusionclf.run_schema import ALL_CLASSES

LEARNED = ("coef_", "intercept_", "feature_log_prob_", "class_log_prior_", "class_prior_")


@dataclass(frozen=True)
class HeldOut:
    """What a model that was fitted on train rows alone says of the validation rows.

    Attributes:
        classes: names of the classes that it knows.
        probabilities: (validation rows, classes).
    """

    classes: list[str]
    probabilities: np.ndarray


@dataclass(frozen=True)
class TitleModel:
    """A fitted title model.

    Attributes:
        estimator: what is kept in the run folder; its `classes_` are the classes with a training row.
        predict: n titles → (n, classes_) probabilities.
        temperature: what scores are divided by before they become probabilities.
        held_out: answers to the validation rows, where a trial fit gave some.
    """

    estimator: Any
    predict: Callable[[Sequence[str]], np.ndarray]
    temperature: float = 1.0
    held_out: HeldOut | None = None

    @property
    def classes_(self) -> list[str]:
        """Names of the classes in the order of `predict`."""
        return [str(name) for name in self.estimator.classes_]


Fit = Callable[[list[str], np.ndarray, list[str], np.ndarray], TitleModel]
Keep = Callable[[np.ndarray], np.ndarray]


@dataclass
class _Tally:
    """Cost and class names over all parts, and the catalog's category graph."""

    graph: CategoryGraph
    train_seconds: float = 0.0
    predict_seconds: float = 0.0
    predicted: int = 0
    parameters: int = 0
    labels: dict[str, Any] = field(default_factory=dict)
    unused: UnusedRows | None = None

    def figures(self) -> dict[str, Any]:
        """What environment.json says of cost."""
        return {
            "unused_train_rows": self.unused.model_dump(mode="json") if self.unused is not None else None,
            "device": "CPU",
            "train_seconds": self.train_seconds,
            "predict_seconds": self.predict_seconds,
            "products_per_second": self.predicted / max(self.predict_seconds, 1e-9),
            "pictures_per_second": None,
            "parameters": self.parameters,
        }


def run_on_titles(
    catalog: Catalog,
    split: Split,
    folder: Path,
    fit: Fit,
    *,
    keep: Keep = lambda rows: rows,
    all_classes: bool = True,
    reads_titles: bool = True,
) -> tuple[dict[str, pd.DataFrame], dict[str, Any], dict[str, pd.DataFrame]]:
    """Fit and score one model a part, and one over all classes.

    Args:
        catalog, split: the products.
        folder: the run folder; models go below model/, one file a part, beside labels.json.
        fit: (train titles, labels, validation titles, labels) → model.
        keep: which of some catalog rows take part.
        all_classes: also fit one model over all classes.
        reads_titles: whether the model looks at the titles at all.

    Returns:
        Predictions by part, the figures of cost, and predictions of the validation rows by part.

    Raises:
        CatalogError: a part has no row left to fit on or to score, or its titles hold nothing to learn from.
    """
    import skops.io  # takes seconds; what reads other runs needs none of it

    tally = _Tally(CategoryGraph.from_split(catalog, split))
    fitted = keep
    if reads_titles:
        everything = keep(split.rows(catalog, None, "train", "validation"))
        tally.unused = unused_rows(catalog, everything, None, catalog.has_title)
        fitted = _with_title(catalog, keep)
    frames: dict[str, pd.DataFrame] = {}
    held_out: dict[str, pd.DataFrame] = {}
    for part in [*split.classes, *([None] if all_classes else [])]:
        name = part or ALL_CLASSES
        model = _fit_part(catalog, split, part, fit, fitted, tally)
        with replacing(folder / "model" / f"{name}.skops") as aside:
            skops.io.dump(model.estimator, aside)
        frames[name] = _predict_part(catalog, split, part, model, keep, tally, reads_titles)
        if model.held_out is not None:
            rows = fitted(split.rows(catalog, part, "validation"))
            known = over_candidates(
                split.class_names(part), model.held_out.classes, model.held_out.probabilities
            )
            held_out[name] = _frame(catalog, split, part, "validation", rows, known, tally, reads_titles)
        tally.parameters = max(tally.parameters, _size(model.estimator))
        tally.labels[name] = {
            "candidates": list(split.class_names(part)),
            "classes": {"label": model.classes_},
            "temperature": model.temperature,
        }
    write_json(folder / "model" / "labels.json", tally.labels)
    return frames, tally.figures(), held_out


def _with_title(catalog: Catalog, keep: Keep) -> Keep:
    """The rows of `keep` that have a title: a title model learns nothing from the others."""
    return lambda rows: (kept := keep(rows))[catalog.has_title[kept]]


def _no_row_remedy(catalog: Catalog) -> str:
    if catalog.has_title.any():
        return "set protocol=all_rows, or check which products have a title"
    return "no product has a title; set catalog.title"


def _fit_part(
    catalog: Catalog, split: Split, part: str | None, fit: Fit, keep: Keep, tally: _Tally
) -> TitleModel:
    texts: list[Any] = []
    for subset in ("train", "validation"):
        rows = keep(split.rows(catalog, part, subset))
        texts += [
            catalog.table["title"].iloc[rows].tolist(),
            catalog.table["label"].iloc[rows].to_numpy(object),
        ]
    if not texts[0]:
        raise CatalogError(
            f"part {part or ALL_CLASSES!r}: no train row can be used; {_no_row_remedy(catalog)}"
        )
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            # scikit-learn's, on few products of many classes: that the labels may be meant for numbers.
            warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
            model = fit(*texts)
    except ValueError as error:  # scikit-learn's word for titles without a single term
        if "vocabulary" not in str(error) and "no terms" not in str(error).lower():
            raise
        message = f"part {part or ALL_CLASSES!r}: its train titles hold no words; check catalog.title"
        raise CatalogError(message) from error
    tally.train_seconds += time.perf_counter() - started
    return model


def _predict_part(
    catalog: Catalog,
    split: Split,
    part: str | None,
    model: TitleModel,
    keep: Keep,
    tally: _Tally,
    reads_titles: bool,
) -> pd.DataFrame:
    rows = keep(split.rows(catalog, part, "test"))
    if not len(rows):
        raise CatalogError(
            f"part {part or ALL_CLASSES!r}: no test row without missing cells; set protocol=all_rows"
        )
    titles = catalog.table["title"].iloc[rows].tolist()
    classes = split.class_names(part)
    started = time.perf_counter()
    probabilities = over_candidates(classes, model.classes_, model.predict(titles))
    tally.predict_seconds += time.perf_counter() - started
    tally.predicted += len(rows)
    return _frame(catalog, split, part, "test", rows, probabilities, tally, reads_titles)


def _frame(
    catalog: Catalog,
    split: Split,
    part: str | None,
    subset: Literal["test", "validation"],
    rows: np.ndarray,
    probabilities: np.ndarray,
    tally: _Tally,
    reads_titles: bool,
) -> pd.DataFrame:
    """Predictions of some rows of a subset."""
    taken = np.isin(split.rows(catalog, part, subset), rows)
    context = product_context(catalog, split, part, subset).iloc[np.flatnonzero(taken)]
    status = np.where(catalog.has_title[rows], "used", "missing") if reads_titles else "ignored"
    health = pd.DataFrame({"picture_status": "ignored", "title_status": status}, index=range(len(rows)))
    return make_predictions(context, split.class_names(part), probabilities, health, tally.graph)


def over_candidates(classes: Sequence[str], known: Sequence[str], probabilities: np.ndarray) -> np.ndarray:
    """The known classes' probabilities laid out over all candidates; one without a training row gets 0."""
    spread = np.zeros((len(probabilities), len(classes)))
    place = {name: n for n, name in enumerate(classes)}
    spread[:, [place[name] for name in known]] = probabilities
    return spread


def _size(estimator: Any) -> int:
    """Learned numbers of an estimator or of a pipeline's last step."""
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    return sum(int(np.size(getattr(last, name))) for name in LEARNED if hasattr(last, name))
