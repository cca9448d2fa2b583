"""What a linear text model reads of products: n-gram counts, sentence embeddings and attributes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fusionclf.catalog.attributes import BUCKETS
from fusionclf.catalog.fields import TITLE

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True)
class LinearTextInputs:
    """What a linear text model reads of n products.

    Attributes:
        ngrams: field → (n, buckets) n-gram counts.
        embeddings: field → (n, D) sentence embeddings; D is 0 without a sentence encoder.
        ids: attribute → (n,) ids; 0 is missing.
    """

    ngrams: "Mapping[str, sparse.csr_matrix]"
    embeddings: Mapping[str, np.ndarray]
    ids: Mapping[str, np.ndarray]

    def pick(self, rows: np.ndarray) -> "LinearTextInputs":
        """Those of some products, by an (n,) mask or by their places."""
        return LinearTextInputs(
            {field: counts[rows] for field, counts in self.ngrams.items()},
            {field: values[rows] for field, values in self.embeddings.items()},
            {field: ids[rows] for field, ids in self.ids.items()},
        )

    def used_ngrams(self) -> dict[str, np.ndarray]:
        """Field → the n-grams that occur, in ascending order."""
        return {field: np.unique(counts.indices) for field, counts in self.ngrams.items()}

    def of_ngrams(self, used: Mapping[str, np.ndarray]) -> "LinearTextInputs":
        """Those with some n-grams alone, which get new numbers."""
        return replace(self, ngrams={field: own[:, used[field]] for field, own in self.ngrams.items()})

    def __len__(self) -> int:
        return len(self.embeddings[TITLE])

    def sparse_features(self) -> "dict[tuple[str, str], sparse.csr_matrix]":
        """(kind, field) → (n, width) features: TF-IDF, and one column for each id."""
        from scipy import sparse  # as scikit-learn, it takes long to import
        from sklearn.feature_extraction.text import TfidfTransformer

        found: dict[tuple[str, str], sparse.csr_matrix] = {}
        for field, counts in self.ngrams.items():
            found["ngrams", field] = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
        for field, ids in self.ids.items():
            there = np.flatnonzero(ids)
            ones = np.ones(len(there), np.float32)
            found["ids", field] = sparse.csr_matrix((ones, (there, ids[there])), shape=(len(ids), BUCKETS))
        return found
