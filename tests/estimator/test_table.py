"""Faulty tables and labels: one line that counts, shows three and names the remedy."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fusionclf import FusionClassifier
from fusionclf.errors import PictureError, TableError
from fusionclf.estimator import classifier, labels, roles
from fusionclf.estimator.roles import holds_pictures
from fusionclf.estimator.table import check_frame
from tests.estimator.conftest import text_classifier


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("module", [classifier, labels, roles], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_hold(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones((2, 2)), "X is a ndarray; give a pandas DataFrame"),
        (pd.DataFrame({"a": []}), "X has 0 rows and 1 columns"),
        (pd.DataFrame({3: ["a"]}), "a column is called 3; rename it"),
        (pd.DataFrame([["a", "b"]], columns=["a", "a"]), "column 'a' occurs twice; rename one"),
    ],
    ids=["array", "no rows", "number", "twice"],
)
def test_an_unusable_table_is_refused(table: Any, message: str) -> None:
    with pytest.raises(TableError, match=message):
        check_frame(table)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * 60, "y has one class, 'a'; give rows of two classes or more"),
        (["a", None, np.nan, *["b"] * 57], r"y: 2 of 60 labels are missing \(NaN or None; rows 1, 2\)"),
        (
            np.array(["a", 1] * 30, object),
            r"y: labels are of several types \(int, str\); make all of them text",
        ),
        (["a", "b"], "inconsistent numbers of samples"),
        (np.linspace(0, 1, 60), "Unknown label type: continuous"),
    ],
)
def test_unusable_labels_are_refused(y: Any, message: str, products: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=message):
        text_classifier().fit(products[["name"]], y)


def test_rows_that_cannot_be_read_are_counted(fitted: FusionClassifier, inputs: pd.DataFrame) -> None:
    table = inputs.copy()
    table["photo"] = table["photo"].astype(object)
    table.loc[1, "photo"] = "gone.jpg"
    table.loc[3, "photo"] = "https://shop.example/3.jpg"
    table.loc[5, ["photo", "name", "price"]] = None
    table.at[7, "photo"] = 3.5
    message = (
        r"X: 4 of 60 rows cannot be read \(counted from 0: row 1: no file 'gone\.jpg'; row 3: "
        r"'https://shop\.example/3\.jpg' is a URL: download the picture; row 5: no picture and no text; …\); fix them"
    )
    with pytest.raises(TableError, match=message):
        fitted.predict(table)
    with pytest.raises(TableError, match=message):
        FusionClassifier(columns={"picture": "photo"}).fit(table, ["a", "b"] * 30)


def test_a_damaged_picture_is_refused(fitted: FusionClassifier, inputs: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff no picture")
    table = inputs.assign(photo=[str(tmp_path / "a.jpg"), *inputs["photo"].iloc[1:]])
    with pytest.raises(
        TableError, match=r"X: 1 of 60 rows cannot be read.*row 0: its picture cannot be decoded"
    ):
        fitted.predict(table)
    again = FusionClassifier(**{**fitted.get_params(), "out": None})
    with pytest.raises(PictureError, match="1 unreadable picture"):
        again.fit(table, ["a", "b"] * 30)


def test_a_column_that_the_model_reads_may_not_lack(fitted: FusionClassifier, inputs: pd.DataFrame) -> None:
    with pytest.raises(
        TableError, match="X has no column 'name', which the model reads; columns found: photo, price"
    ):
        fitted.predict(inputs.drop(columns="name"))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a.jpg", None, "b/c.PNG"], True),
        ([Path("a.jpg"), Image.new("RGB", (1, 1)), [Path("b.jpg"), "c.jpg"]], True),
        (["red shoe", "blue shoe", "a.jpg"], False),
        ([1, 2, 3], False),
        ([None, None, None], False),
    ],
)
def test_columns_of_pictures_are_found(cells: list[Any], expected: bool) -> None:
    assert holds_pictures(pd.Series(cells)) is expected
