"""`majority`: the class frequencies of the train rows, whatever the product."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

from baselines.registry import Frames, register
from baselines.titles import TitleModel, run_on_titles
from fusionclf.catalog import Catalog, Split
from fusionclf.config import BaselineConfig


@register("majority", BaselineConfig)
def run(settings: BaselineConfig, catalog: Catalog, split: Split, folder: Path) -> tuple[Frames, dict[str, Any]]:
    """Fit scikit-learn's DummyClassifier(strategy="prior")."""
    return run_on_titles(catalog, split, folder, _fit)


def _fit(titles: list[str], labels: np.ndarray, more_titles: list[str], more_labels: np.ndarray) -> TitleModel:
    everything = np.concatenate([labels, more_labels])
    model = DummyClassifier(strategy="prior").fit(np.zeros((len(everything), 1)), everything)
    return TitleModel(model, lambda asked: np.tile(model.class_prior_, (len(asked), 1)))
