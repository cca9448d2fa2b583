"""What a stored baseline computes of products, as scikit-learn's transformers do: counts, TF-IDF, categories, bins."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from baselines.stored_estimator import StoredEstimator
from fusionclf.catalog.attributes import number
from fusionclf.catalog.fields import TITLE
from fusionclf.catalog.ngrams import character_ngrams

if TYPE_CHECKING:
    from scipy import sparse

WORD = re.compile(r"(?u)\b\w\w+\b")  # scikit-learn's default
Rows = list[tuple[np.ndarray, np.ndarray]]  # columns and values of each product


def stored_features(features: StoredEstimator, products: pd.DataFrame) -> "sparse.csr_matrix":
    """(n, width) features of n products.

    Args:
        features: a vectorizer of titles, or a ColumnTransformer.
        products: their fields.
    """
    if features.kind != "ColumnTransformer":
        return _matrix(*_of_texts(features, products[TITLE].tolist()))
    from scipy import sparse  # takes long to import

    found = [
        _matrix(*_block(block, products[columns if isinstance(columns, str) else columns[0]].tolist()))
        for _, block, columns in features["transformers_"]
    ]
    return sparse.csr_matrix(sparse.hstack(found))


def _block(block: StoredEstimator, cells: list[str]) -> tuple[Rows, int]:
    if block.kind == "Pipeline":
        (_, imputer), (_, bins) = block["steps"]
        return _of_numbers(imputer, bins, cells)
    return _of_categories(block, cells) if block.kind == "OneHotEncoder" else _of_texts(block, cells)


def _of_texts(vectorizer: StoredEstimator, texts: Sequence[str]) -> tuple[Rows, int]:
    """Counts of the terms of a CountVectorizer, or weights of a TfidfVectorizer."""
    vocabulary: dict[str, int] = vectorizer["vocabulary_"]
    terms = _analyser(vectorizer)
    frequencies = vectorizer["_tfidf"]["idf_"] if vectorizer.kind == "TfidfVectorizer" else None
    rows: Rows = []
    for text in texts:
        found = Counter(vocabulary[term] for term in terms(text) if term in vocabulary)
        columns = np.array(list(found), np.int64)
        values = np.array(list(found.values()), np.float64)
        if frequencies is not None:
            values = (np.log(values) + 1 if vectorizer["sublinear_tf"] else values) * frequencies[columns]
            values /= np.linalg.norm(values) or 1.0
        rows.append((columns, values))
    return rows, len(vocabulary)


def _analyser(vectorizer: StoredEstimator) -> Callable[[str], Iterator[str]]:
    """The function from a text to its terms."""
    smallest, largest = vectorizer["ngram_range"]
    if vectorizer["analyzer"] == "char_wb":
        return lambda text: character_ngrams(text, smallest, largest)
    return lambda text: _word_ngrams(text, smallest, largest)


def _word_ngrams(text: str, smallest: int, largest: int) -> Iterator[str]:
    words = WORD.findall(text.lower())
    for n in range(smallest, largest + 1):
        yield from (" ".join(words[i : i + n]) for i in range(len(words) - n + 1))


def _of_categories(encoder: StoredEstimator, cells: Sequence[str]) -> tuple[Rows, int]:
    """A column for each frequent category, and one for all others that the training rows had."""
    places = {str(name): n for n, name in enumerate(encoder["categories_"][0])}
    columns = [places.get(cell, -1) for cell in cells]
    grouped = (encoder.values.get("_default_to_infrequent_mappings") or [None])[0]
    if grouped is not None:
        columns = [int(grouped[column]) if column >= 0 else -1 for column in columns]
    return _one_hot(columns), int(encoder["_n_features_outs"][0])


def _of_numbers(imputer: StoredEstimator, bins: StoredEstimator, cells: Sequence[str]) -> tuple[Rows, int]:
    """A column for each bin; a cell without a number has the median."""
    values = np.array([number(cell) for cell in cells], np.float64)
    values[np.isnan(values)] = imputer["statistics_"][0]
    columns = np.searchsorted(bins["bin_edges_"][0][1:-1], values, side="right")
    return _one_hot(columns.tolist()), int(bins["n_bins_"][0])


def _one_hot(columns: Sequence[int]) -> Rows:
    """Rows with one column each; -1 for none."""
    return [
        (np.array([column] if column >= 0 else [], np.int64), np.ones(int(column >= 0))) for column in columns
    ]


def _matrix(rows: Rows, width: int) -> "sparse.csr_matrix":
    from scipy import sparse  # takes long to import

    columns = np.concatenate([np.zeros(0, np.int64), *(own for own, _ in rows)])
    values: Any = np.concatenate([np.zeros(0), *(own for _, own in rows)])
    starts = np.cumsum([0, *(len(own) for own, _ in rows)])
    return sparse.csr_matrix((values, columns, starts), shape=(len(rows), width))
