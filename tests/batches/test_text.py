"""Titles as tensors: hashed n-grams against scikit-learn's TF-IDF, and padding."""

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfTransformer

from fusionclf.batches import HashedNGrams
from fusionclf.models.encoders import HashedNGramEncoder

TITLES = ["Blue Denim Shirt", "Red Running Shoes for Men", "", "Blue Shoes", "Blue Blue Shirt"]


def test_a_batch_is_the_rows_of_the_table() -> None:
    table = HashedNGrams(2**12)(TITLES)
    whole, part = table.batch(np.arange(5)), table.batch(np.array([3, 1]))
    assert part["offsets"].tolist()[0] == 0 and len(part["offsets"]) == 2
    ends = [*whole["offsets"].tolist(), len(whole["ids"])]
    third = whole["ids"][ends[3] : ends[4]]
    assert torch.equal(part["ids"][: part["offsets"][1]], third)


def test_encoder_weighs_like_sublinear_tfidf() -> None:
    encoder = HashedNGramEncoder(buckets=2**14, dim=8)
    encoder.fit(TITLES)
    counts = encoder.hashed(TITLES).counts
    expected = (
        TfidfTransformer(sublinear_tf=True).fit_transform(counts) @ encoder.table.weight.detach().numpy()
    )
    found = encoder(encoder.prepare(TITLES).batch(np.arange(5)))
    assert torch.allclose(found, torch.from_numpy(np.asarray(expected)).float(), atol=1e-4)


def test_an_empty_title_and_unknown_words_give_zero() -> None:
    encoder = HashedNGramEncoder(buckets=2**18, dim=8)
    encoder.fit(TITLES)
    found = encoder(encoder.prepare(["", "ξψω"]).batch(np.arange(2)))
    assert torch.isfinite(found).all() and (found[0] == 0).all() and (found[1] == 0).all()


def test_word_pairs_depend_on_their_order() -> None:
    words = HashedNGrams(2**14, smallest=2, largest=2, words=2)(["red blue", "blue red"]).counts
    letters = HashedNGrams(2**14, smallest=2, largest=2, words=0)(["red blue", "blue red"]).counts
    assert (words[0] != words[1]).nnz > 0
    assert (letters[0] != letters[1]).nnz == 0
