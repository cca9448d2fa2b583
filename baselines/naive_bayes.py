"""`nb`: multinomial Naive Bayes on title words, the reference's text baseline."""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from baselines.columns import features_of, model_input
from baselines.registry import Frames, register
from baselines.text_baseline import TitleModel, TitleRun, run_on_titles
from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.fields import Fields
from fusionclf.catalog.location import open_catalog_table
from fusionclf.config import BaselineConfig, CatalogConfig
from fusionclf.console import SILENT, Console
from fusionclf.errors import CatalogError


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
        return run_on_titles(TitleRun(catalog, split, partial(_fit, fields), fields, console=console), folder)
    complete = _complete_rows(catalog)
    own = TitleRun(catalog, split, partial(_fit, Fields()), Fields(), keep=lambda rows: rows[complete[rows]])
    return run_on_titles(own, folder, all_classes=False)  # the reference has no model over all classes


def has_reference_layout(catalog: Catalog) -> bool:
    """Whether a catalog's table is laid out as the reference's: comma-separated UTF-8, the Kaggle columns alone."""
    kaggle = CatalogConfig()
    names = {kaggle.id, kaggle.title, kaggle.label, kaggle.year, *kaggle.categories, *kaggle.metadata}
    try:
        table = open_catalog_table(catalog.root, catalog.columns, [name for name in names if name])
    except CatalogError:  # without the catalog's own columns, its separator is unclear
        return False
    return (table.delimiter, table.encoding) == ("comma", "utf-8") and {*table.columns} == names


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

    Raises:
        CatalogError: pandas cannot read the file by its defaults, as the reference does.
    """
    name = catalog.columns.id
    file = catalog.root / catalog.columns.file
    try:
        raw = pd.read_csv(file, dtype={name: str}, on_bad_lines="skip", low_memory=False)
        ids = raw.dropna()[name].str.strip()
    except (ValueError, KeyError) as error:  # another format, encoding or separator
        raise CatalogError(
            f"{file}: protocol=reference reads comma-separated UTF-8 alone; set protocol=all_rows"
        ) from error
    complete = set(ids) - set(catalog.read_report.repaired)
    return np.array([product in complete for product in catalog.table["id"]], bool)
