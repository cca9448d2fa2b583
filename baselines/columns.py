"""Features of a baseline: the title, and where the catalog has them further texts and attributes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusionclf.catalog.attributes import BINS, bin_edges, number
from fusionclf.catalog.fields import TITLE, Fields

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import CountVectorizer

    Features = CountVectorizer | ColumnTransformer  # TfidfVectorizer is a CountVectorizer


def features_of(
    train: pd.DataFrame, fields: Fields, title: "CountVectorizer", text: "CountVectorizer"
) -> "Features":
    """An unfitted transformer of products: that of the title alone, or one block for each field.

    Args:
        train: fields of the training products, which tell numbers from categories.
        fields: further texts and attributes.
        title: reads the titles.
        text: reads a further text; each one gets a copy of its own.
    """
    if not fields:
        return title
    from sklearn.base import clone  # takes long to import
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder

    blocks: list[tuple[str, Any, Any]] = [("title", title, TITLE)]
    blocks += [(f"text_{n}", clone(text), name) for n, name in enumerate(fields.text)]
    for n, name in enumerate(fields.attributes):
        if len(bin_edges(train[name].tolist())):
            bins = KBinsDiscretizer(BINS, encode="onehot", strategy="quantile", quantile_method="linear")
            blocks.append((f"number_{n}", make_pipeline(SimpleImputer(strategy="median"), bins), [name]))
        else:
            blocks.append((f"category_{n}", OneHotEncoder(handle_unknown="ignore", min_frequency=2), [name]))
    return ColumnTransformer(blocks, sparse_threshold=1.0)


def model_input(features: "Features", products: pd.DataFrame) -> Sequence[str] | pd.DataFrame:
    """What a pipeline that begins with these features takes: titles, or a table whose numbers are numbers.

    Args:
        features: of `features_of`.
        products: their fields.
    """
    from sklearn.compose import ColumnTransformer

    if not isinstance(features, ColumnTransformer):
        return products[TITLE].tolist()
    table = products.astype(object)
    for kind, _, columns in features.transformers:
        if kind.startswith("number_"):
            for name in columns:
                table[name] = np.array([number(cell) for cell in products[name]], np.float64)
    return table


def first_step(estimator: Any) -> Any:
    """The features of a pipeline; of another estimator, itself."""
    from sklearn.pipeline import Pipeline

    return estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
