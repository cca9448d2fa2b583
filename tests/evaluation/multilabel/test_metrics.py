"""The metrics of several labels, against scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics as sk

from fusionclf.evaluation.multilabel import LabelSetPredictions, multilabel_metrics
from fusionclf.evaluation.multilabel.metrics import METRICS, average_precisions, intervals, scores


def predictions(rows: int = 300, labels: int = 12, seed: int = 0) -> LabelSetPredictions:
    """Noisy predictions with equal probabilities among them; no product has the last label."""
    generator = np.random.default_rng(seed)
    is_label = generator.random((rows, labels)) < 0.2
    is_label[~is_label.any(axis=1), 0] = True
    is_label[:, -1] = False
    probabilities = np.round(0.6 * generator.random(is_label.shape) + 0.3 * is_label, 2)
    names = tuple("abcdefghijklmnopqrst"[:labels])
    groups = np.arange(rows) // 2
    return LabelSetPredictions(
        names, is_label, probabilities >= 0.5, probabilities.astype(np.float32), groups
    )


def test_scores_are_those_of_scikit_learn() -> None:
    found = predictions()
    own, true, answer = scores(found), found.is_label, found.predicted
    there = true.any(axis=0)
    expected = {
        "micro_f1": sk.f1_score(true, answer, average="micro"),
        "macro_f1": sk.f1_score(true[:, there], answer[:, there], average="macro"),
        "mean_average_precision": sk.average_precision_score(true[:, there], found.probabilities[:, there]),
        "micro_precision": sk.precision_score(true, answer, average="micro"),
        "micro_recall": sk.recall_score(true, answer, average="micro"),
        "subset_accuracy": sk.accuracy_score(true, answer),
        "ranking_precision": sk.label_ranking_average_precision_score(true, found.probabilities),
    }
    assert {name: own[name] / 100 for name in METRICS} == pytest.approx(expected, abs=1e-6)
    assert own["n"] == 300 and own["labels"] == pytest.approx(true.sum() / 300)


def test_intervals_hold_the_scores() -> None:
    found = predictions()
    own = scores(found)
    for name, interval in intervals(found).items():
        assert interval is not None and interval[0] < own[name] < interval[1], name


def test_interval_is_wider_where_groups_are_larger() -> None:
    found = predictions()
    alone = LabelSetPredictions(
        found.names, found.is_label, found.predicted, found.probabilities, np.arange(300)
    )
    is_label, predicted, probabilities = (
        np.repeat(each, 4, axis=0) for each in (found.is_label, found.predicted, found.probabilities)
    )
    copied = LabelSetPredictions(
        found.names, is_label, predicted, probabilities, np.repeat(np.arange(300), 4)
    )
    for name in ("micro_f1", "mean_average_precision"):
        first, second = intervals(alone)[name], intervals(copied)[name]
        assert first == pytest.approx(second, abs=0.01), (
            "four copies in one group tell as much as one product"
        )


def test_label_of_no_product_has_no_average_precision() -> None:
    found = predictions()
    assert np.isnan(average_precisions(found.probabilities, found.is_label)).tolist() == [False] * 11 + [True]


def test_rows_of_labels_have_their_counts() -> None:
    found = predictions()
    rows = multilabel_metrics(found, {"a": 7}, np.full(12, 0.5))["per_label"]
    assert rows[0]["label"] == "a" and rows[0]["train_rows"] == 7
    assert rows[0]["test_rows"] == found.is_label[:, 0].sum()
    assert rows[0]["f1"] / 100 == pytest.approx(sk.f1_score(found.is_label[:, 0], found.predicted[:, 0]))
    assert rows[-1]["label"] == "l" and rows[-1]["recall"] is None


def test_no_product_has_no_score() -> None:
    found = predictions(rows=1)
    empty = LabelSetPredictions(
        found.names, found.is_label[:0], found.predicted[:0], found.probabilities[:0], np.zeros(0, np.int64)
    )
    own = scores(empty)
    assert own.pop("n") == 0 and set(own.values()) == {None}
    assert set(intervals(empty).values()) == {None}
