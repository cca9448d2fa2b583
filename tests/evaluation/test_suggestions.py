"""Which products to label next, and whether that helps more than chance."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from fusionclf.catalog import Catalog, make_split
from fusionclf.evaluation import softmax
from fusionclf.evaluation.suggestions import choose_varied, most_uncertain, uncertainty
from fusionclf.linear_svm import fit_linear_svm

START, COUNT, SEEDS = 40, 40, 6


def test_uncertainty_is_the_margin_of_the_first_two() -> None:
    rows = np.array([[0.4, 0.35, 0.25], [0.9, 0.05, 0.05], [np.nan] * 3])
    assert uncertainty(rows).round(3).tolist() == [0.95, 0.15, 0.0]
    assert uncertainty(np.ones((2, 1))).tolist() == [0.0, 0.0]


def test_copies_of_a_choice_come_last() -> None:
    vectors = np.array([[1.0, 0], [1, 0], [0, 1], [0.7, 0.7]])
    assert choose_varied(np.array([1.0, 0.9, 0.5, 0.6]), vectors, 4).tolist() == [0, 2, 3, 1]


@pytest.mark.parametrize("vectors", [np.zeros((5, 2)), np.ones((5, 3))])
def test_vectors_without_variety_leave_uncertainty_alone(vectors: np.ndarray) -> None:
    uncertain = np.array([0.1, 0.5, 0.0, 0.9, 0.3])
    assert choose_varied(uncertain, vectors, 9).tolist() == [3, 1, 4, 0, 2]


def test_suggestions_beat_chance_on_the_sample(sample: Catalog) -> None:
    split = make_split(sample)
    pool, tests = split.rows(sample, None, "train", "validation"), split.rows(sample, None, "test")
    labels = sample.table["label"].to_numpy(object)
    words = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    features = sparse.csr_matrix(words.fit_transform(sample.table["title"]))

    def scores(known: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        svm = fit_linear_svm(features[known], labels[known])
        return svm.classes, features[rows] @ svm.weights.T + svm.bias

    def accuracy(known: np.ndarray) -> float:
        classes, found = scores(known, tests)
        return float((classes[found.argmax(axis=1)] == labels[tests]).mean())

    gains = []
    for seed in range(SEEDS):
        generator = np.random.default_rng(seed)
        known = generator.choice(pool, START, replace=False)
        left = np.setdiff1d(pool, known)
        uncertain = uncertainty(softmax(scores(known, left)[1] / 0.25))
        candidates = most_uncertain(uncertain, COUNT)
        chosen = choose_varied(uncertain[candidates], features[left[candidates]].toarray(), COUNT)
        ours = np.concatenate([known, left[candidates[chosen]]])
        assert len(np.unique(ours)) == START + COUNT
        chance = [np.concatenate([known, generator.choice(left, COUNT, replace=False)]) for _ in range(2)]
        gains.append(accuracy(ours) - float(np.mean([accuracy(each) for each in chance])))
    assert np.mean(gains) > 0.02 and np.mean(np.array(gains) > 0) > 0.6, gains
