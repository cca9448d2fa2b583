"""`majority`: the class frequencies of the train rows, the same for every product."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from baselines.registry import Frames, register
from baselines.text_baseline import TitleModel, TitleRun, run_on_titles
from fusionclf.catalog import Catalog, Split
from fusionclf.config import BaselineConfig
from fusionclf.console import SILENT, Console


@register("majority", BaselineConfig)
def run(
    settings: BaselineConfig, catalog: Catalog, split: Split, folder: Path, console: Console = SILENT
) -> tuple[Frames, dict[str, Any], Frames]:
    """Fit scikit-learn's DummyClassifier(strategy="prior") on train and validation labels."""
    return run_on_titles(TitleRun(catalog, split, _fit, fields=None), folder)


def _fit(
    fields: pd.DataFrame, labels: np.ndarray, more_fields: pd.DataFrame, more_labels: np.ndarray
) -> TitleModel:
    return fit_prior(np.concatenate([labels, more_labels]))


def fit_prior(labels: np.ndarray) -> TitleModel:
    """A model that predicts the frequencies of `labels`."""
    from sklearn.dummy import DummyClassifier  # takes long to import

    model = DummyClassifier(strategy="prior").fit(np.zeros((len(labels), 1)), labels)
    return TitleModel(model, lambda fields: np.tile(model.class_prior_, (len(fields), 1)))
