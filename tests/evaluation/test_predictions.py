"""What is known of each test product, and the predictions file."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog import Catalog, Split
from fusionclf.config import SplitConfig
from fusionclf.errors import RunError
from fusionclf.evaluation import group_numbers, make_predictions, product_context, read_predictions
from fusionclf.evaluation.predictions import COLUMNS, CONTEXT, write_predictions


def test_context_of_the_whole_test_set(catalog: Catalog, split: Split) -> None:
    context = product_context(catalog, split, None)
    assert tuple(context) == CONTEXT
    assert context["id"].tolist() == ["07", "08", "09", "10", "11", "12", "13", "14"]
    assert context["label_train_count"].tolist() == [2, 2, 2, 2, 2, 2, 0, 0]
    # DRESS is the singular of Dresses, "Dressing" is another word; parentheses are no pattern.
    assert context["title_names_label"].tolist() == [True, False, True, True, True, False, False, True]
    # "Steel Watch" is a train title; an empty title leaks nothing, though a train product has none either.
    assert context["leaked_title"].tolist() == [False, False, True, True, False, False, False, False]


def test_leaked_pictures_are_marked_where_digests_are_known(catalog: Catalog, split: Split) -> None:
    digests = [1, 2, 3, 0, 5, 6, *(2, 7, 0, 7, 6, 9, 1, 8)]  # train rows, then test rows; 0 is no picture
    context = product_context(catalog, split, None, pictures=np.array(digests, np.uint64))
    assert context["leaked_picture"].tolist() == [True, False, False, False, True, False, True, False]
    frame = make_predictions(context, catalog.classes, np.full((8, 4), 0.25))
    assert frame["leaked_picture"].tolist() == context["leaked_picture"].tolist()
    assert "leaked_picture" not in product_context(catalog, split, None)
    own = product_context(catalog, split, None, "validation", pictures=np.ones(14, np.uint64))
    assert own["leaked_picture"].tolist() == [True] * len(own) != []


def test_equal_titles_are_one_group_and_missing_ones_none(catalog: Catalog, split: Split) -> None:
    context = product_context(catalog, split, None)
    group = dict(zip(context["id"], context["title_group"], strict=True))
    assert group["09"] == group["10"]
    assert len(set(group.values())) == len(group) - 1
    assert context["title_group"].dtype == np.int64


def test_groups_join_titles_and_the_splits_columns(catalog: Catalog, split: Split) -> None:
    styles = ["x", "x", *"abcdefgh", "x", "i", "", ""]  # products 01, 02 and 11; the last two have none
    grouped = replace(catalog, table=catalog.table.assign(style=styles))
    context = product_context(grouped, replace(split, spec=SplitConfig(group_by=("style",))), None)
    of = dict(zip(context["id"], context["group"], strict=True))
    assert of["09"] == of["10"]  # one title
    assert len(set(of.values())) == 7 and context["group"].dtype == np.int64
    train = product_context(
        grouped, replace(split, spec=SplitConfig(group_by=("style",))), None, rows=np.arange(3)
    )
    assert train["group"].tolist()[:2] == [of["11"]] * 2
    frame = make_predictions(context, catalog.classes, np.full((8, 4), 0.25))
    assert frame["group"].tolist() == context["group"].tolist() == group_numbers(frame).tolist()
    assert "group" not in product_context(catalog, split, None)


def test_titles_of_white_space_are_none(catalog: Catalog, split: Split) -> None:
    blank = replace(catalog, table=catalog.table.assign(title=catalog.table["title"].replace("", "  ")))
    context, expected = (product_context(of, split, None) for of in (blank, catalog))
    pd.testing.assert_frame_equal(context, expected)


def test_title_group_is_the_same_in_every_part(catalog: Catalog, split: Split) -> None:
    whole = product_context(catalog, split, None).set_index("id")
    for part in split.classes:
        own = product_context(catalog, split, part).set_index("id")
        pd.testing.assert_frame_equal(own, whole.loc[own.index])


def test_context_has_the_order_of_the_splits_rows(catalog: Catalog, split: Split) -> None:
    context = product_context(catalog, split, "rest")
    assert context["id"].tolist() == catalog.table["id"].iloc[split.rows(catalog, "rest", "test")].tolist()


def test_held_out_products_only_leak_from_train_rows(catalog: Catalog, split: Split) -> None:
    context = product_context(catalog, split, None, "validation").set_index("id")
    validation = split.rows(catalog, None, "validation")
    assert context.index.tolist() == catalog.table["id"].iloc[validation].tolist()
    train = catalog.table.iloc[split.rows(catalog, None, "train")]
    counts, titles = Counter(train["label"]), set(train["title"])
    assert context["label_train_count"].tolist() == [counts[label] for label in context["label"]]
    own = catalog.table["title"].iloc[validation]
    assert context["leaked_title"].tolist() == [title != "" and title in titles for title in own]


def test_a_train_row_that_was_held_out_does_not_leak_itself(catalog: Catalog, split: Split) -> None:
    rows = split.rows(catalog, None, "train")
    digests = np.zeros(len(catalog), np.uint64)
    digests[rows] = np.arange(len(rows)) + 1
    own = product_context(catalog, split, None, "validation", rows, digests)
    assert len(own) > 3 and not any([*own["leaked_title"], *own["leaked_picture"]])
    titles = catalog.table["title"].to_numpy(object).copy()
    titles[rows[:2]], digests[rows[1:3]] = "One title", 99
    shared = replace(catalog, table=catalog.table.assign(title=titles))
    own = product_context(shared, split, None, "validation", rows, digests)
    assert own["leaked_title"].tolist() == [True, True, *[False] * (len(rows) - 2)]
    assert own["leaked_picture"].tolist() == [False, True, True, *[False] * (len(rows) - 3)]


@pytest.fixture
def context() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["a", "b"],
            "label": ["B", "unknown"],
            "label_train_count": [3, 0],
            "title_group": [1, 2],
            "title_names_label": [True, False],
            "leaked_title": [False, False],
        }
    )


def test_predictions_are_sorted_by_probability(context: pd.DataFrame) -> None:
    classes = ["A", "B", "C", "D", "E", "F"]
    probabilities = np.array([[0.1, 0.4, 0.2, 0.05, 0.22, 0.03], [0.5, 0, 0, 0, 0, 0.5]])
    frame = make_predictions(context, classes, probabilities)
    assert tuple(frame) == COLUMNS
    assert frame.loc[0, [f"label_{n}" for n in range(1, 6)]].tolist() == ["B", "E", "C", "A", "D"]
    assert frame.loc[0, [f"prob_{n}" for n in range(1, 6)]].tolist() == [0.4, 0.22, 0.2, 0.1, 0.05]
    assert frame["prob_label"].tolist() == [0.4, 0.0]
    assert set(frame["picture_status"]) == set(frame["title_status"]) == {"ignored"}


def test_of_equal_probabilities_the_first_class_wins(context: pd.DataFrame) -> None:
    frame = make_predictions(context, ["Z", "B", "A"], np.array([[0.4, 0.2, 0.4], [0.0, 0.0, 0.0]]))
    assert frame["label_1"].tolist() == ["Z", "Z"]
    assert frame["label_2"].tolist() == ["A", "B"]


def test_many_candidates_are_not_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.integers(0, 4, (700, 40)) / 160  # many are equal, many are 0
    names = np.array([f"class {n}" for n in range(40)])
    known = {"label": "class 3", "label_train_count": 1, "title_group": 1, "title_names_label": False}
    context = pd.DataFrame({"id": [f"{n}" for n in range(700)], **known, "leaked_title": False})
    expected = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    monkeypatch.delattr(np, "argsort")
    frame = make_predictions(context, names.tolist(), probabilities)
    for rank in range(5):
        assert frame[f"label_{rank + 1}"].tolist() == names[expected[:, rank]].tolist()
        assert np.array_equal(frame[f"prob_{rank + 1}"], probabilities[range(700), expected[:, rank]])


def test_fewer_than_five_candidates_leave_gaps(context: pd.DataFrame, tmp_path: Path) -> None:
    frame = make_predictions(context, ["A", "B"], np.array([[0.25, 0.75], [1.0, 0.0]]))
    assert frame[["label_3", "label_4", "label_5"]].isna().to_numpy().all()
    assert frame[["prob_3", "prob_4", "prob_5"]].isna().to_numpy().all()
    write_predictions(tmp_path / "p.parquet", frame)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "p.parquet"), frame)


def test_status_is_saved(context: pd.DataFrame) -> None:
    status = pd.DataFrame({"picture_status": ["used", "unreadable"], "title_status": ["used", "missing"]})
    frame = make_predictions(context, ["B"], np.ones((2, 1)), status)
    assert frame["picture_status"].tolist() == ["used", "unreadable"]
    assert frame["title_status"].tolist() == ["used", "missing"]


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.array([[0.5, 0.5]]), "expected"),
        (np.array([[0.5, 0.5, 0.0], [1, 0, 0]]), "expected"),
        (np.array([[0.5, np.nan], [1, 0]]), "finite"),
        (np.array([[0.5, np.inf], [1, 0]]), "finite"),
        (np.array([[1.1, -0.1], [1, 0]]), "negative"),
        (np.array([[3.0, 2.0], [1, 0]]), "more than 1"),
    ],
)
def test_values_that_are_not_probabilities_are_refused(
    context: pd.DataFrame, probabilities: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_predictions(context, ["A", "B"], probabilities)


def test_a_class_named_twice_is_refused(context: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="named once"):
        make_predictions(context, ["A", "A"], np.full((2, 2), 0.5))


@pytest.mark.parametrize(
    ("health", "message"),
    [
        ({"picture_status": ["used", "lost"], "title_status": ["used", "used"]}, "'lost'; allowed: used"),
        ({"picture_status": ["used"], "title_status": ["used"]}, "1 rows, expected 2"),
    ],
)
def test_odd_status_is_refused(context: pd.DataFrame, health: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_predictions(context, ["A"], np.ones((2, 1)), pd.DataFrame(health))


def test_damaged_predictions_are_named(context: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "top20.parquet"
    with pytest.raises(RunError, match=r"top20\.parquet"):
        read_predictions(file)
    file.write_bytes(b"PAR1 and then nothing of the kind")
    with pytest.raises(RunError, match=r"top20\.parquet: cannot be used"):
        read_predictions(file)
    frame = make_predictions(context, ["A", "B"], np.full((2, 2), 0.5))
    frame.drop(columns="prob_label").to_parquet(file)
    with pytest.raises(RunError, match="no column 'prob_label'"):
        read_predictions(file)
    pd.concat([frame, frame]).to_parquet(file)
    with pytest.raises(RunError, match="twice"):
        read_predictions(file)
