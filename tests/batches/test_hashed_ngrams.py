"""Hashed n-grams: the counts of scikit-learn's HashingVectorizer, and their batches."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

from fusionclf.batches import HashedNGrams, HashedTitles

TITLES = ["Women Red Dress", "", "a", "É ß  x\u00a0y", "red red dress", "日本 語"]
BUCKETS = 2**10


def expected(titles: list[str], smallest: int, largest: int) -> np.ndarray:
    options: dict[str, Any] = {"alternate_sign": False, "norm": None, "n_features": BUCKETS}
    vectorizer: Any = HashingVectorizer(analyzer="char_wb", ngram_range=(smallest, largest), **options)
    return vectorizer.transform(titles).toarray()


@pytest.mark.parametrize("lengths", [(2, 5), (1, 1), (4, 8)])
def test_counts_are_those_of_scikit_learn(lengths: tuple[int, int]) -> None:
    found = HashedNGrams(BUCKETS, *lengths, words=0)(TITLES).counts.toarray()
    assert np.array_equal(found, expected(TITLES, *lengths))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=12), max_size=4))
def test_any_text_has_the_counts_of_scikit_learn(titles: list[str]) -> None:
    found = HashedNGrams(BUCKETS, 2, 4, words=0)(titles)
    assert found.counts.shape == (len(titles), BUCKETS)
    if titles:
        assert np.array_equal(found.counts.toarray(), expected(titles, 2, 4))


def test_rows_are_picked_in_the_order_that_is_asked_for() -> None:
    table = HashedNGrams(BUCKETS)(TITLES)
    rows = np.array([4, 1, 0, 0])
    batch, padded, picked = table.batch(rows), table.padded(rows), table.counts[rows]
    assert batch["ids"].tolist() == picked.indices.tolist()
    assert batch["counts"].tolist() == picked.data.tolist()
    assert batch["offsets"].tolist() == picked.indptr[:-1].tolist()
    assert padded["counts"].sum(dim=1).tolist() == picked.sum(axis=1).ravel().tolist()[0]


def test_counts_of_a_sparse_matrix_are_kept() -> None:
    table = HashedNGrams(BUCKETS)(TITLES)
    kept = HashedTitles.of(table.counts).counts
    assert np.array_equal(kept.toarray(), table.counts.toarray())
