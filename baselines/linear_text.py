"""`linear`: character n-gram TF-IDF and a linear SVM, its scores made probabilities by one temperature."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from baselines.registry import Frames, register
from baselines.titles import TitleModel, run_on_titles
from fusionclf.catalog import Catalog, Split
from fusionclf.config import BaselineConfig
from fusionclf.evaluation import fit_temperature, softmax


class LinearTextConfig(BaselineConfig):
    """Settings of the linear baseline."""

    smallest: int = Field(2, ge=1, le=8, description="shortest character n-gram")
    largest: int = Field(5, ge=1, le=8, description="longest character n-gram")
    regularisation: float = Field(1.0, gt=0, description="C of the SVM")


@register("linear", LinearTextConfig)
def run(settings: LinearTextConfig, catalog: Catalog, split: Split, folder: Path) -> tuple[Frames, dict[str, Any]]:
    """Fit on train for the temperature, which validation rows tell, then on train and validation.

    The temperature never changes which class comes first. A class without a training row gets probability 0.
    """

    def fit(titles: list[str], labels: np.ndarray, more_titles: list[str], more_labels: np.ndarray) -> TitleModel:
        temperature = 1.0
        if more_titles:
            trial = _pipeline(settings).fit(titles, labels)
            number = {name: n for n, name in enumerate(trial.classes_)}
            targets = np.array([number.get(label, -1) for label in more_labels], np.int64)
            temperature = fit_temperature(_scores(trial, more_titles), targets)
        model = _pipeline(settings).fit([*titles, *more_titles], np.concatenate([labels, more_labels]))
        return TitleModel(model, lambda asked: softmax(_scores(model, asked) / temperature), temperature)

    return run_on_titles(catalog, split, folder, fit)


def _pipeline(settings: LinearTextConfig) -> Pipeline:
    ngrams = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(settings.smallest, settings.largest),
        sublinear_tf=True,
        min_df=2,
        dtype=np.float32,
    )
    return make_pipeline(ngrams, LinearSVC(C=settings.regularisation, random_state=settings.seed))


def _scores(model: Pipeline, titles: Sequence[str]) -> np.ndarray:
    """(n, K) decision values; of two classes scikit-learn gives one column, here it becomes two."""
    scores = model.decision_function(titles)
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
