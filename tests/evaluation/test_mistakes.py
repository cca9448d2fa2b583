"""Confused classes, rare classes and disagreements, on predictions written by hand."""

import pandas as pd
import pytest

from fusionclf.evaluation import (
    by_training_rows,
    confident_errors,
    confused_pairs,
    disagreements,
    ranked_classes,
)


def frame(*rows: tuple) -> pd.DataFrame:
    """Rows of id, label, first answer, its probability, title group and training rows of the label."""
    columns = ["id", "label", "label_1", "prob_1", "title_group", "label_train_count"]
    table = pd.DataFrame(rows, columns=columns).astype({"id": "str", "label": "str", "label_1": "str"})
    return table.assign(label_2=None, prob_2=float("nan"), label_3="Ties", prob_3=0.01)


FIRST = frame(
    ("1", "Caps", "Caps", 0.9, 1, 0),
    ("2", "Caps", "Ties", 0.8, 2, 0),
    ("3", "Tops", "Tops", 0.7, 3, 4),
    ("4", "Tops", "Tops", 0.6, 4, 4),
    ("5", "Bags", "Ties", 0.5, 5, 1000),
    ("6", "Caps", "Ties", 0.4, 6, 0),
)


def test_training_rows_are_binned_and_empty_bins_left_out() -> None:
    assert by_training_rows(FIRST) == [
        {"first": 0, "last": 0, "classes": 1, "n": 3, "top1": pytest.approx(100 / 3)},
        {"first": 1, "last": 4, "classes": 1, "n": 2, "top1": 100.0},
        {"first": 1000, "last": None, "classes": 1, "n": 1, "top1": 0.0},
    ]


@pytest.mark.parametrize(
    ("rows", "first"), [(0, 0), (1, 1), (4, 1), (5, 5), (199, 50), (200, 200), (10**6, 1000)]
)
def test_every_number_of_training_rows_has_its_bin(rows: int, first: int) -> None:
    (row,) = by_training_rows(frame(("1", "Caps", "Caps", 0.9, 1, rows)))
    assert row["first"] == first


def test_pairs_are_counted_with_their_direction() -> None:
    pairs = confused_pairs(FIRST)
    assert list(pairs.items()) == [(("Caps", "Ties"), 2), (("Bags", "Ties"), 1)]
    assert confused_pairs(FIRST.iloc[:1]) == {}


def test_disagreements_go_one_way_and_put_the_surest_error_first() -> None:
    second = frame(
        ("4", "Tops", "Caps", 0.95, 4, 4),
        ("3", "Tops", "Bags", 0.99, 3, 4),
        ("2", "Caps", "Caps", 0.5, 2, 0),
        ("5", "Bags", "Bags", 0.5, 5, 1000),
        ("1", "Caps", "Caps", 0.99, 1, 0),  # both right
        ("6", "Caps", "Tops", 0.99, 6, 0),  # both wrong
    )
    assert disagreements(FIRST, second, 10) == (2, ["3", "4"])
    assert disagreements(FIRST, second, 1) == (2, ["3"])
    assert disagreements(second, FIRST, 10) == (2, ["2", "5"])
    assert disagreements(FIRST, second.iloc[1:], 10) == (1, ["3"])  # 4 was scored by one alone


def test_examples_show_a_title_once_and_a_class_twice() -> None:
    errors = frame(
        ("1", "Caps", "Ties", 0.90, 1, 0),
        ("2", "Caps", "Ties", 0.89, 1, 0),  # the title of 1
        ("3", "Caps", "Ties", 0.88, 2, 0),
        ("4", "Caps", "Ties", 0.87, 3, 0),  # the third of its class
        ("5", "Tops", "Ties", 0.10, 4, 0),
    )
    assert confident_errors(errors, 10) == (5, ["1", "3", "5"])
    assert confident_errors(FIRST.iloc[[0]], 10) == (0, [])


def test_answers_skip_ranks_that_do_not_exist() -> None:
    assert ranked_classes(FIRST, ["2", "9"]) == {"2": [("Ties", 0.8), ("Ties", 0.01)]}
