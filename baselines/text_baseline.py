"""The common part of title baselines: fit on train and validation rows, predict test rows, save the model."""

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from baselines.columns import NoWordsError, texts_left_out
from baselines.saved_estimator import save_estimator
from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.fields import TITLE, Fields
from fusionclf.catalog.usable import UnusedRows, unused_rows
from fusionclf.console import SILENT, Console
from fusionclf.errors import CatalogError
from fusionclf.evaluation import CategoryGraph, make_predictions, product_context
from fusionclf.files import write_json
from fusionclf.run_schema import ALL_CLASSES

LEARNED = ("coef_", "intercept_", "feature_log_prob_", "class_log_prior_", "class_prior_")


@dataclass(frozen=True)
class ValidationPredictions:
    """Predictions of the validation rows, by a model that was fitted on train rows only.

    Attributes:
        classes: names of the classes of that model.
        probabilities: (validation rows, classes).
    """

    classes: list[str]
    probabilities: np.ndarray


@dataclass(frozen=True)
class TitleModel:
    """A fitted title model.

    Attributes:
        estimator: what the run folder stores; its `classes_` are the classes with a training row.
        predict: fields of n products → (n, classes_) probabilities.
        temperature: what scores are divided by before they become probabilities.
        held_out: predictions of the validation rows, where a trial model was fitted.
    """

    estimator: Any
    predict: Callable[[pd.DataFrame], np.ndarray]
    temperature: float = 1.0
    held_out: ValidationPredictions | None = None

    @property
    def classes_(self) -> list[str]:
        """Names of the classes in the order of `predict`."""
        return [str(name) for name in self.estimator.classes_]

    def to_labels(self) -> dict[str, Any]:
        """What labels.json holds besides the names of the classes."""
        return {"temperature": self.temperature}


Fit = Callable[[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray], TitleModel]
Keep = Callable[[np.ndarray], np.ndarray]


def run_on_titles(
    run: "TitleRun", folder: Path, *, all_classes: bool = True
) -> tuple[dict[str, pd.DataFrame], dict[str, Any], dict[str, pd.DataFrame]]:
    """Fit and score one model per part, and one over all classes.

    Args:
        run: the baseline and the products.
        folder: the run folder; models go below model/, one file per part, beside labels.json.
        all_classes: also fit one model over all classes.

    Returns:
        Predictions by part, the cost, and predictions of the validation rows by part.

    Raises:
        CatalogError: a part has no row to fit on or to score, or its texts hold no words.
    """
    return run_parts(run, folder, [*run.split.classes, *([None] if all_classes else [])])


def run_parts(
    run: "TitleRun", folder: Path, parts: Sequence[str | None]
) -> tuple[dict[str, pd.DataFrame], dict[str, Any], dict[str, pd.DataFrame]]:
    """As `run_on_titles`, for some parts of a split; None means all classes."""
    frames: dict[str, pd.DataFrame] = {}
    held_out: dict[str, pd.DataFrame] = {}
    for part in parts:
        name = part or ALL_CLASSES
        model = run.fit_part(part)
        save_estimator(model.estimator, folder / "model" / f"{name}.skops")
        frames[name] = run.predict_test(part, model)
        if model.held_out is not None:
            held_out[name] = run.lay_out_held_out(part, model.held_out)
    write_json(folder / "model" / "labels.json", run.labels)
    return frames, run.cost(), held_out


class TitleRun:
    """One run of a title baseline: its models, and their cost over all parts.

    Args:
        catalog, split: the products.
        fit: (fields of train products, labels, fields of validation products, labels) → model.
        fields: the texts and attributes that it reads beside the title; None where it reads none at all.
        keep: catalog rows → those of them that are used.
        console: where it names the texts that a model does not read.
    """

    def __init__(
        self,
        catalog: Catalog,
        split: Split,
        fit: Fit,
        fields: Fields | None,
        *,
        keep: Keep = lambda rows: rows,
        console: Console = SILENT,
    ) -> None:
        self.catalog, self.split, self.fit = catalog, split, fit
        self.keep, self.reads_titles, self.console = keep, fields is not None, console
        titles = {TITLE: catalog.columns.title} if catalog.columns.title else {}
        # Name of a text → its column.
        self.texts = {**titles, **{name: name for name in fields.text}} if fields is not None else {}
        self.has_text = catalog.has_text if fields else catalog.has_title
        self.columns = [TITLE, *(fields.names if fields else ())]
        self.graph = CategoryGraph.from_split(catalog, split)
        self.train_seconds = self.predict_seconds = 0.0
        self.predicted = self.parameters = 0
        self.labels: dict[str, Any] = {}

    def cost(self) -> dict[str, Any]:
        """The cost for environment.json."""
        unused = self._unused_rows()
        return {
            "unused_train_rows": unused.model_dump(mode="json") if unused is not None else None,
            "device": "CPU",
            "train_seconds": self.train_seconds,
            "predict_seconds": self.predict_seconds,
            "products_per_second": self.predicted / max(self.predict_seconds, 1e-9),
            "pictures_per_second": None,
            "parameters": self.parameters,
        }

    def fit_part(self, part: str | None) -> TitleModel:
        """The model of a part; None means all classes."""
        texts: list[Any] = []
        for subset in ("train", "validation"):
            rows = self._fitted(self.split.rows(self.catalog, part, subset))
            texts += [self._fields(rows), self._targets(rows)]
        name = part or ALL_CLASSES
        if not len(texts[0]):
            raise CatalogError(f"part {name!r}: no train row can be used; {self._no_row_remedy()}")
        started = time.perf_counter()
        try:
            with warnings.catch_warnings():
                # scikit-learn warns on few products of many classes that the labels may be numbers.
                warnings.filterwarnings(
                    "ignore", "The number of unique classes is greater than 50%", UserWarning
                )
                # And on attributes with few distinct numbers that some bins are empty.
                warnings.filterwarnings("ignore", "Bins whose width are too small", UserWarning)
                model = self.fit(*texts)
        except NoWordsError as error:
            message = f"{self._no_words(name, self.texts)}; check catalog.title and catalog.text"
            raise CatalogError(message) from error
        if lost := texts_left_out(model.estimator, self.texts):
            self.console.warn(f"{self._no_words(name, lost)}; left out of its model")
        self.train_seconds += time.perf_counter() - started
        self.parameters = max(self.parameters, _count_parameters(model.estimator))
        self.labels[name] = {
            "candidates": list(self.split.class_names(part)),
            "classes": {"label": model.classes_},
            **model.to_labels(),
        }
        return model

    def _no_words(self, name: str, texts: Iterable[str]) -> str:
        columns = ", ".join(repr(self.texts[text]) for text in texts)
        return f"part {name!r}: the train products hold no word to learn in {columns}"

    def _targets(self, rows: np.ndarray) -> np.ndarray:
        """The labels of some rows."""
        return self.catalog.table["label"].iloc[rows].to_numpy(object)

    def predict_test(self, part: str | None, model: TitleModel) -> pd.DataFrame:
        """Predictions of the test rows of a part."""
        every = self.split.rows(self.catalog, part, "test")
        rows = self.keep(every)
        if len(every) and not len(rows):
            raise CatalogError(
                f"part {part or ALL_CLASSES!r}: no test row without missing cells; set protocol=all_rows"
            )
        fields = self._fields(rows)
        classes = self.split.class_names(part)
        started = time.perf_counter()
        found = model.predict(fields) if len(rows) else np.empty((0, len(model.classes_)))
        probabilities = over_candidates(classes, model.classes_, found)
        self.predict_seconds += time.perf_counter() - started
        self.predicted += len(rows)
        return self._frame(part, "test", rows, probabilities)

    def lay_out_held_out(self, part: str | None, found: ValidationPredictions) -> pd.DataFrame:
        """Predictions of the validation rows of a part."""
        rows = self._fitted(self.split.rows(self.catalog, part, "validation"))
        probabilities = over_candidates(self.split.class_names(part), found.classes, found.probabilities)
        return self._frame(part, "validation", rows, probabilities)

    def _frame(
        self,
        part: str | None,
        subset: Literal["test", "validation"],
        rows: np.ndarray,
        probabilities: np.ndarray,
    ) -> pd.DataFrame:
        """Predictions of some rows of a subset."""
        taken = np.isin(self.split.rows(self.catalog, part, subset), rows)
        context = product_context(self.catalog, self.split, part, subset).iloc[np.flatnonzero(taken)]
        names = self.split.class_names(part)
        return make_predictions(context, names, probabilities, self._status(rows), self.graph)

    def _status(self, rows: np.ndarray) -> pd.DataFrame:
        """The modality status of some rows."""
        titles = np.where(self.has_text[rows], "used", "missing") if self.reads_titles else "ignored"
        return pd.DataFrame({"picture_status": "ignored", "title_status": titles}, index=range(len(rows)))

    def _fields(self, rows: np.ndarray) -> pd.DataFrame:
        return self.catalog.fields[self.columns].iloc[rows]

    def _fitted(self, rows: np.ndarray) -> np.ndarray:
        """Those of some rows that a model is fitted on: a title model only uses rows with a title."""
        rows = self.keep(rows)
        return rows[self.has_text[rows]] if self.reads_titles else rows

    def _unused_rows(self) -> UnusedRows | None:
        if not self.reads_titles:
            return None
        rows = self.keep(self.split.rows(self.catalog, None, "train", "validation"))
        return unused_rows(self.catalog, rows, None, self.has_text)

    def _no_row_remedy(self) -> str:
        if self.has_text.any():
            return "set protocol=all_rows, or check which products have a title"
        return "no product has a title; set catalog.title"


def over_candidates(classes: Sequence[str], known: Sequence[str], probabilities: np.ndarray) -> np.ndarray:
    """(n, K) probabilities of all candidates from those of the known classes; the others get 0."""
    spread = np.zeros((len(probabilities), len(classes)))
    place = {name: n for n, name in enumerate(classes)}
    spread[:, [place[name] for name in known]] = probabilities
    return spread


def _count_parameters(estimator: Any) -> int:
    """Learned numbers of an estimator or of a pipeline's last step."""
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    return sum(int(np.size(getattr(last, name))) for name in LEARNED if hasattr(last, name))
