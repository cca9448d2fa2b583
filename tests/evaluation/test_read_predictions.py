"""Predictions files that no run writes are refused by column."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusionclf.errors import RunError
from fusionclf.evaluation import make_predictions, read_predictions
from fusionclf.evaluation.predictions import write_predictions

SIZE = 3
Change = Callable[[pa.Table], pa.Table]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    context = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "label": ["A", "B", "A"],
            "label_train_count": [3, 0, 3],
            "title_group": [1, 2, 3],
            "title_names_label": [True, False, True],
            "leaked_title": [False, False, True],
            "true_category_1": ["X", "Y", "X"],
        }
    ).astype({"true_category_1": "str"})
    frame = make_predictions(context, ["A", "B", "C"], np.full((SIZE, 3), 1 / 3))
    write_predictions(tmp_path / "top20.parquet", frame)
    return tmp_path / "top20.parquet"


def set_column(name: str, values: object, of: pa.DataType | None = None) -> Change:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values, of))


def test_unknown_columns_are_dropped(file: Path) -> None:
    expected = read_predictions(file)
    table = pq.read_table(file)
    pq.write_table(table.append_column("more", pa.array([[1]] * SIZE)), file)
    pd.testing.assert_frame_equal(read_predictions(file), expected)


def test_groups_are_read_where_a_file_has_them(file: Path) -> None:
    assert "group" not in read_predictions(file)
    pq.write_table(pq.read_table(file).append_column("group", pa.array([7, 7, 9])), file)
    assert read_predictions(file)["group"].tolist() == [7, 7, 9]
    pq.write_table(set_column("group", ["a"] * SIZE)(pq.read_table(file)), file)
    with pytest.raises(RunError, match="'group' holds string, not whole numbers"):
        read_predictions(file)


ODD: list[tuple[Change, str]] = [
    (set_column("prob_1", [[0.5]] * SIZE), "'prob_1' holds list"),
    (set_column("prob_1", ["0.5"] * SIZE), "'prob_1' holds string, not probabilities"),
    (set_column("prob_label", [None] * SIZE, pa.float64()), "'prob_label' lacks a value in row 1"),
    (set_column("prob_1", [0.5, np.nan, 0.5]), "'prob_1' lacks a value in row 2"),
    (set_column("prob_1", [0.5, np.inf, 0.5]), "'prob_1' holds inf"),
    (set_column("prob_1", [0.5, -0.1, 0.5]), "'prob_1' holds -0.1"),
    (set_column("prob_label", [0.5, 2.0, 0.5]), "'prob_label' holds 2.0"),
    (set_column("prob_2", [0.5, 0.5, 0.5]), "do not fall"),
    (set_column("prob_2", [None, 0.3, 0.3], pa.float64()), "a class without a probability"),
    (set_column("label_1", [{"a": 1}] * SIZE), "'label_1' holds struct"),
    (set_column("label_1", pa.nulls(SIZE)), "'label_1' holds null"),
    (set_column("label_1", [None, "A", "A"]), "'label_1' lacks a value in row 1"),
    (set_column("label_1", [1, 2, 3]), "'label_1' holds int64, not texts"),
    (set_column("label_1", [b"\xff"] * SIZE), "'label_1' holds binary"),
    (set_column("label", pa.array(["A"] * SIZE).dictionary_encode()), "'label' holds dictionary"),
    (set_column("label", ["A" * 10**6] * SIZE), "'label' holds a text of 1000000 bytes"),
    (set_column("label_train_count", [1.5] * SIZE), "'label_train_count' holds double"),
    (set_column("label_train_count", [None, 1, 1]), "'label_train_count' lacks a value"),
    (set_column("label_train_count", [-1, 1, 1]), "'label_train_count' holds a negative"),
    (set_column("leaked_title", [1, 0, 1]), "'leaked_title' holds int64, not true or false"),
    (set_column("title_status", ["used", "x", "used"]), "'title_status' holds 'x'"),
    (set_column("id", ["a", "a", "b"]), "product 'a' occurs twice"),
    (set_column("true_category_1", [1, 2, 3]), "'true_category_1' holds int64"),
    (lambda table: table.drop_columns(["prob_label"]), "no column 'prob_label'"),
    (lambda table: table.append_column("id", table.column("id")), "two columns 'id'"),
    (
        lambda table: table.append_column("category_1", table.column("id")),
        "'category_1' is of no category level",
    ),
    (lambda table: table.append_column("true_category_3", table.column("id")), "'true_category_3'"),
    (lambda table: table.append_column("path_prob", table.column("prob_1")), "'category_1' is missing"),
    (lambda table: table.select([]), "no column 'id'"),
]


@pytest.mark.parametrize(("change", "message"), ODD)
def test_an_odd_column_is_refused_by_name(file: Path, change: Change, message: str) -> None:
    pq.write_table(change(pq.read_table(file)), file)
    with pytest.raises(RunError, match=message) as refused:
        read_predictions(file)
    assert str(file) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("pandas", ["{", "[]", '{"columns": 3}', '{"index_columns": ["nowhere"]}'])
def test_metadata_of_pandas_is_ignored(file: Path, pandas: str) -> None:
    expected = read_predictions(file)
    pq.write_table(pq.read_table(file).replace_schema_metadata({"pandas": pandas}), file)
    pd.testing.assert_frame_equal(read_predictions(file), expected)


@pytest.mark.parametrize("size", [0, 3, 100, 2000])
def test_a_truncated_file_is_refused(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(RunError, match=r"top20\.parquet: cannot be used"):
        read_predictions(file)


def test_a_folder_in_place_of_a_file_is_refused(file: Path) -> None:
    file.unlink()
    file.mkdir()
    with pytest.raises(RunError, match=r"top20\.parquet: no such file"):
        read_predictions(file)
