"""Features of a baseline: the title, and where the catalog has them further texts and attributes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusionclf.catalog.attributes import BINS, bin_edges, number
from fusionclf.catalog.fields import TITLE, Fields

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import CountVectorizer

    Features = CountVectorizer | ColumnTransformer  # TfidfVectorizer is a CountVectorizer


class NoWordsError(ValueError):
    """No text of the training products holds a term, and the model reads no attributes."""


def features_of(
    train: pd.DataFrame, fields: Fields, title: "CountVectorizer", text: "CountVectorizer"
) -> "Features":
    """An unfitted transformer of products: that of the title alone, or one block for each field.

    A text gets no block if its vectorizer finds no term in the training products.

    Args:
        train: fields of the training products, which tell numbers from categories.
        fields: further texts and attributes.
        title: reads the titles.
        text: reads a further text; each one gets a copy of its own.

    Raises:
        NoWordsError: no block is left.
    """
    from sklearn.base import clone  # takes long to import

    texts: list[tuple[str, Any, Any]] = [("title", title, TITLE)]
    texts += [(f"text_{n}", clone(text), name) for n, name in enumerate(fields.text)]
    blocks = [block for block in texts if _has_term(block[1], train[block[2]])]
    if not blocks and not fields.attributes:
        raise NoWordsError
    if not fields:
        return title
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder

    for n, name in enumerate(fields.attributes):
        if len(bin_edges(train[name].tolist())):
            # By default scikit-learn takes a random sample of more than 200,000 rows.
            bins = KBinsDiscretizer(
                BINS,
                encode="onehot",
                strategy="quantile",
                quantile_method="linear",
                subsample=None,  # pyright: ignore[reportArgumentType]  its documentation allows None
            )
            blocks.append((f"number_{n}", make_pipeline(SimpleImputer(strategy="median"), bins), [name]))
        else:
            blocks.append((f"category_{n}", OneHotEncoder(handle_unknown="ignore", min_frequency=2), [name]))
    return ColumnTransformer(blocks, sparse_threshold=1.0)


def _has_term(vectorizer: "CountVectorizer", texts: Iterable[str]) -> bool:
    """Whether a vectorizer that is fitted on these texts keeps a term: one that `min_df` of them hold."""
    terms_of, counts = vectorizer.build_analyzer(), Counter[str]()
    for text in texts:
        terms = set(terms_of(text))
        counts.update(terms)
        if any(counts[term] >= vectorizer.min_df for term in terms):
            return True
    return False


def model_input(features: "Features", products: pd.DataFrame) -> Sequence[str] | pd.DataFrame:
    """What a pipeline that begins with these features takes: titles, or a table whose numbers are numbers.

    Args:
        features: of `features_of`.
        products: their fields.
    """
    from sklearn.compose import ColumnTransformer

    if not isinstance(features, ColumnTransformer):
        return products[TITLE].tolist()
    table = products.loc[:, _columns_read(features)].astype(object)
    for kind, _, columns in features.transformers:
        if kind.startswith("number_"):
            for name in columns:
                table[name] = np.array([number(cell) for cell in products[name]], np.float64)
    return table


def texts_left_out(estimator: Any, texts: Iterable[str]) -> list[str]:
    """Those of some texts that a model of several fields does not read."""
    from sklearn.compose import ColumnTransformer

    features = first_step(estimator)
    if not isinstance(features, ColumnTransformer):
        return []
    read = _columns_read(features)
    return [name for name in texts if name not in read]


def _columns_read(features: "ColumnTransformer") -> list[str]:
    """The fields that it reads, in the order of its blocks."""
    return np.hstack([columns for *_, columns in features.transformers]).tolist()


def first_step(estimator: Any) -> Any:
    """The features of a pipeline; of another estimator, itself."""
    from sklearn.pipeline import Pipeline

    return estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
