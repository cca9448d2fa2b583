"""Answers for further columns: the rows that a run stores, and metrics that can be computed by hand."""

import numpy as np
import pandas as pd
import pytest

from fusionclf.evaluation import ColumnPredictions, column_answers
from fusionclf.evaluation.column_answers import score_columns
from fusionclf.metrics_schema import METRICS

PRODUCTS = pd.DataFrame({"id": list("abcde"), "title_group": [1, 1, 2, 3, 4]})
NONE = [np.nan, np.nan, np.nan]
# Product e has no input that the head reads, product d an empty cell; grey has no training row.
COLOUR = ColumnPredictions(
    "colour", ("blue", "grey", "red"), np.array([0, 2, 1, -1, 2]),
    np.array([[0.7, 0.1, 0.2], [0.6, 0.0, 0.4], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], NONE]), np.array([3, 0, 9]),
)  # fmt: skip


def test_each_product_and_column_has_a_row() -> None:
    size = ColumnPredictions("size", ("S",), np.full(5, -1), np.ones((5, 1)), np.array([0]))
    found = column_answers(PRODUCTS, "test", [COLOUR, size])
    assert found["column"].tolist() == ["colour"] * 5 + ["size"] * 5
    colour = found.iloc[:5]
    assert colour["value"].tolist() == ["blue", "red", "grey", "", "red"]
    assert colour["value_1"].tolist() == ["blue", "blue", "blue", "red", ""]
    assert colour["value_train_count"].tolist() == [3, 9, 0, 0, 9]
    assert colour["group"].tolist() == [1, 1, 2, 3, 4]
    np.testing.assert_array_equal(colour["prob_1"], [0.7, 0.6, 0.5, 0.6, np.nan])
    np.testing.assert_array_equal(colour["prob_value"], [0.7, 0.4, 0.3, np.nan, np.nan])
    assert set(colour["majority"]) == {"red"}
    assert set(found.iloc[5:]["majority"]) == {""}, "no training row has a size"


def test_metrics_leave_out_empty_cells_and_count_them() -> None:
    found = score_columns(column_answers(PRODUCTS, "test", [COLOUR]))["colour"]
    assert (found["n"], found["empty"], found["unanswered"]) == (4, 1, 1)
    assert found["top1"] == 25.0  # a of a, b, c and e
    assert found["majority"] == 50.0  # b and e are red
    assert found["balanced_accuracy"] == pytest.approx(100 / 3)  # blue 1, grey 0, red 0
    assert found["macro_f1"] == pytest.approx(100 * (2 / 4) / 3)  # blue: 1 right, 3 predicted, 1 there
    assert found["ece"] == pytest.approx(100 * (0.3 + 0.6 + 0.5) / 3)  # a, b and c, each in a bin of its own
    assert found["intervals"]["top1"][0] == 0.0


def test_products_of_one_group_are_drawn_together() -> None:
    hits = [[0.9, 0.1]] * 50 + [[0.1, 0.9]] * 50
    column = ColumnPredictions("c", ("a", "b"), np.zeros(100, int), np.array(hits), np.array([1, 1]))
    ids = [str(n) for n in range(100)]
    edges = []
    for groups in (range(100), np.repeat([0, 1], 50)):
        products = pd.DataFrame({"id": ids, "title_group": groups})
        edges.append(score_columns(column_answers(products, "test", [column]))["c"]["intervals"]["top1"])
    assert 35 < edges[0][0] < 45 and edges[1] == [0.0, 100.0]


def test_only_test_products_are_scored() -> None:
    frames = [column_answers(PRODUCTS, subset, [COLOUR]) for subset in ("test", "validation")]
    assert score_columns(pd.concat(frames)) == score_columns(frames[0])


def test_a_column_without_a_cell_has_no_metrics() -> None:
    empty = ColumnPredictions("c", ("a",), np.full(5, -1), np.ones((5, 1)), np.array([4]))
    found = score_columns(column_answers(PRODUCTS, "test", [empty]))["c"]
    assert (found["n"], found["empty"], found["top1"], found["ece"]) == (0, 5, None, None)
    metrics = {"variant": "x", "parts": {}, "joint": {"top1": None}, "intervals": {}, "slices": {},
               "per_class": {}, "hierarchy": {}, "decisions": {}, "answers": {"rest": {"c": found}}}  # fmt: skip
    assert METRICS.validate_python(metrics, strict=True).get("answers") == {"rest": {"c": found}}
