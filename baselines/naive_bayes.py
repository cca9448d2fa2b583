"""`nb`: multinomial Naive Bayes on title words, the reference's text baseline."""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from baselines.columns import features_of, model_input
from baselines.registry import Frames, register
from baselines.text_baseline import TitleModel, run_on_titles
from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.fields import Fields
from fusionclf.config import BaselineConfig
from fusionclf.console import SILENT, Console


class NaiveBayesConfig(BaselineConfig):
    """Settings of the Naive Bayes baseline."""

    protocol: Literal["all_rows", "reference"] = Field(
        default="all_rows",
        description="reference: drop the rows that the reference's notebook drops",
    )


@register("nb", NaiveBayesConfig)
def run(
    settings: NaiveBayesConfig, catalog: Catalog, split: Split, folder: Path, console: Console = SILENT
) -> tuple[Frames, dict[str, Any], Frames]:
    """Fit CountVectorizer and MultinomialNB with their defaults on train and validation titles.

    Further texts have words of their own, attributes a column for each category or bin of numbers.

    Source: the reference's text notebook (uditarora/fashion-product-classification).
    """
    if settings.protocol == "all_rows":
        fields = Fields.of(catalog.columns)
        return run_on_titles(catalog, split, folder, partial(_fit, fields), fields=fields)
    complete = _complete_rows(catalog)
    # The reference has no model over all classes.
    return run_on_titles(
        catalog,
        split,
        folder,
        partial(_fit, Fields()),
        keep=lambda rows: rows[complete[rows]],
        all_classes=False,
    )


def _fit(
    further: Fields,
    fields: pd.DataFrame,
    labels: np.ndarray,
    more_fields: pd.DataFrame,
    more_labels: np.ndarray,
) -> TitleModel:
    from sklearn.feature_extraction.text import CountVectorizer  # takes long to import
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    everything = pd.concat([fields, more_fields])
    features = features_of(everything, further, CountVectorizer(), CountVectorizer())
    model = make_pipeline(features, MultinomialNB())
    model.fit(model_input(features, everything), np.concatenate([labels, more_labels]))
    return TitleModel(model, lambda products: model.predict_proba(model_input(features, products)))


def _complete_rows(catalog: Catalog) -> np.ndarray:
    """(N,) rows without a cell that pandas reads as missing by default (NA, empty, …) and without repair.

    The reference loses the title of a row with unquoted commas, so such a row is incomplete.
    """
    name = catalog.columns.id
    file = catalog.root / catalog.columns.file
    raw = pd.read_csv(file, dtype={name: str}, on_bad_lines="skip", low_memory=False)
    complete = set(raw.dropna()[name].str.strip()) - set(catalog.read_report.repaired)
    return np.array([product in complete for product in catalog.table["id"]], bool)
