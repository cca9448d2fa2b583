"""`linear`: character n-gram TF-IDF and a linear SVM; a temperature turns its scores into probabilities.

Further texts are read as words and word pairs, each with TF-IDF of its own; attributes as categories or bins.

Chosen on train and validation rows of the reference split (top-1 on validation, top20 / rest / all classes):
char_wb 2-5 99.19 / 97.84 / 97.94, char 2-5 99.25 / 97.67 / 97.96, char_wb 3-5 99.25 / 97.84 / 97.94, C=0.5
99.19 / 97.84 / 97.79. No difference is significant, so the usual setting, char_wb 2-5 with C=1, stays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from baselines.columns import features_of, first_step, model_input
from baselines.label_sets import LabelScorer, LabelSetRun, run_on_label_sets
from baselines.majority import fit_prior
from baselines.registry import Frames, register
from baselines.text_baseline import TitleModel, TitleRun, ValidationPredictions, run_on_titles
from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.fields import Fields
from fusionclf.config import BaselineConfig
from fusionclf.console import SILENT, Console
from fusionclf.evaluation import fit_temperature, softmax

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline
    from sklearn.svm import LinearSVC

    from fusionclf.linear_svm import LinearSVM

Labelled = tuple[pd.DataFrame, np.ndarray]  # fields of products, and their labels


class LinearTextConfig(BaselineConfig):
    """Settings of the linear baseline."""

    smallest: int = Field(default=2, ge=1, le=8, description="shortest character n-gram")
    largest: int = Field(default=5, ge=1, le=8, description="longest character n-gram")
    regularisation: float = Field(default=1.0, gt=0, description="C of the SVM")

    @model_validator(mode="after")
    def _ordered(self) -> "LinearTextConfig":
        if self.smallest > self.largest:
            raise ValueError(f"smallest={self.smallest} is above largest={self.largest}")
        return self


@register("linear", LinearTextConfig, several_labels=True)
def run(
    settings: LinearTextConfig, catalog: Catalog, split: Split, folder: Path, console: Console = SILENT
) -> tuple[Frames, dict[str, Any], Frames]:
    """Fit on train rows to find the temperature on validation rows, then on both with that temperature.

    The first model's predictions of the validation rows are the held-out ones. The temperature does not change the
    order of the classes. A class without a training row gets probability 0. Where a product can have several labels, a
    sigmoid and the labels' thresholds take the temperature's place.
    """
    further = Fields.of(catalog.columns)
    if catalog.label_sets is not None:
        total = 2 * len(split.class_names(None))
        with console.bar("linear: labels fitted", total) as step:
            fitter = _Fitter(settings, further, lambda done: step(done, total))
            return run_on_label_sets(LabelSetRun(catalog, split, fitter.fit_labels, further, console), folder)
    # Each part has a trial and a fit on all rows.
    total = 2 * sum(len(split.class_names(part)) for part in (*split.classes, None))
    with console.bar("linear: classes fitted", total) as step:
        fitter = _Fitter(settings, further, lambda done: step(done, total))
        return run_on_titles(TitleRun(catalog, split, fitter.fit, further, console=console), folder)


class _Fitter:
    """Fits the models of a run, one after the other.

    Args:
        settings: of the run.
        further: texts and attributes that are read beside the title.
        progress: called with the number of classes that are fitted.
    """

    def __init__(self, settings: LinearTextConfig, further: Fields, progress: Callable[[int], None]) -> None:
        self.settings, self.further, self.progress = settings, further, progress
        self.done = 0
        self.trials: list[Fitted] = []  # of the parts so far

    def fit(
        self,
        fields: pd.DataFrame,
        labels: np.ndarray,
        more_fields: pd.DataFrame,
        more_labels: np.ndarray,
    ) -> TitleModel:
        """The model of a part, by the fields and labels of its train rows and of its validation rows."""
        all_labels = np.concatenate([labels, more_labels])
        if len(set(all_labels)) == 1:  # an SVM needs two classes
            return fit_prior(all_labels)
        temperature, held_out = self._trial((fields, labels), (more_fields, more_labels))
        model = self._fitted(pd.concat([fields, more_fields]), all_labels, earlier=self.trials[-1:]).model
        return TitleModel(
            model, lambda products: softmax(_scores(model, products) / temperature), temperature, held_out
        )

    def fit_labels(self, fields: pd.DataFrame, is_label: np.ndarray, names: np.ndarray) -> LabelScorer:
        """The model of labels of which products can have several, one against the rest."""
        model = self._fitted(fields, is_label, names).model
        return LabelScorer(model, lambda products: _raw_scores(model, products))

    def _trial(self, train: Labelled, validation: Labelled) -> tuple[float, ValidationPredictions | None]:
        """The temperature, and predictions of the validation rows by a model of the train rows."""
        if not len(validation[1]) or len(set(train[1])) == 1:
            return 1.0, None
        # Never from a fit to all rows: its weights have seen validation rows.
        self.trials.append(self._fitted(*train, earlier=self.trials))
        trial = self.trials[-1].model
        number = {name: n for n, name in enumerate(trial.classes_)}
        targets = np.array([number.get(label, -1) for label in validation[1]], np.int64)
        scores = _scores(trial, validation[0])
        temperature = fit_temperature(scores, targets)
        return temperature, ValidationPredictions(list(number), softmax(scores / temperature))

    def _fitted(
        self,
        fields: pd.DataFrame,
        labels: np.ndarray,
        names: np.ndarray | None = None,
        earlier: Sequence["Fitted"] = (),
    ) -> "Fitted":
        """A model of some products; its weights start from those of models of some of them."""
        from scipy import sparse  # takes long to import, as scikit-learn does
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline

        from fusionclf.linear_svm import EarlierFit, SVMSettings, fit_linear_svm

        own = self.settings
        ngrams = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(own.smallest, own.largest), sublinear_tf=True, min_df=2
        )
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
        features = features_of(fields, self.further, ngrams, words)
        values = sparse.csr_matrix(features.fit_transform(model_input(features, fields)))
        feature_names = features.get_feature_names_out()
        svm = fit_linear_svm(
            values, labels, SVMSettings(own.regularisation, own.seed), every=names, on_fitted=self._on_fitted,
            earlier=[EarlierFit(fit.svm, fit.places(feature_names)) for fit in earlier],
        )  # fmt: skip
        return Fitted(make_pipeline(features, _estimator(svm, one_label=names is None)), svm, feature_names)

    def _on_fitted(self, classes: int) -> None:
        self.done += classes
        self.progress(self.done)


@dataclass(frozen=True)
class Fitted:
    """A fitted model.

    Attributes:
        model: its features, and its estimator.
        svm: the estimator's weights.
        feature_names: (D,)
    """

    model: "Pipeline"
    svm: "LinearSVM"
    feature_names: np.ndarray

    def places(self, names: np.ndarray) -> np.ndarray:
        """Places of some features among its own; -1 for one that it lacks."""
        own = {name: n for n, name in enumerate(self.feature_names)}
        return np.array([own.get(name, -1) for name in names])


def _estimator(svm: "LinearSVM", one_label: bool) -> "LinearSVC":
    """scikit-learn's estimator with these weights, which run folders hold.

    Args:
        svm: the weights.
        one_label: whether a product has one label.
    """
    from sklearn.svm import LinearSVC

    estimator = LinearSVC()
    estimator.classes_ = svm.classes
    estimator.n_features_in_ = svm.weights.shape[1]  # pyright: ignore[reportAttributeAccessIssue]
    # For two classes scikit-learn keeps the weights of the second alone.
    rows = slice(1, 2) if one_label and len(svm.classes) == 2 else slice(None)
    estimator.coef_, estimator.intercept_ = svm.weights[rows], svm.bias[rows]
    return estimator


def _scores(model: "Pipeline", products: pd.DataFrame) -> np.ndarray:
    """(n, K) decision values; for two classes scikit-learn returns one column, here it becomes two."""
    scores = _raw_scores(model, products)
    return np.concatenate([-scores, scores], axis=1) if scores.shape[1] == 1 else scores


def _raw_scores(model: "Pipeline", products: pd.DataFrame) -> np.ndarray:
    """(n, K) decision values, one column for each row of weights."""
    scores = model.decision_function(model_input(first_step(model), products))
    return scores[:, None] if scores.ndim == 1 else scores
