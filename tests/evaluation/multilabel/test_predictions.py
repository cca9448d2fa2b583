"""The predictions file of several labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusionclf.errors import RunError
from fusionclf.evaluation.multilabel import make_label_set_predictions, read_label_set_predictions
from fusionclf.evaluation.predictions import write_predictions

NAMES = ("dress", "party", "red")


def frame() -> pd.DataFrame:
    context = pd.DataFrame(
        {
            "id": ["1", "2"],
            "labels": [["dress", "red"], ["red"]],
            "title_group": [1, 2],
            "leaked_title": [False, True],
        }
    )
    probabilities = np.array([[0.6, 0.1, 0.9], [0.2, 0.0, 0.3]])
    return make_label_set_predictions(context, NAMES, probabilities, probabilities > 0.5)


def test_predicted_labels_are_ranked() -> None:
    assert frame()["predicted"].tolist() == [["red", "dress"], []]


def test_file_holds_what_was_written(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", frame())
    read = read_label_set_predictions(tmp_path / "p.parquet", NAMES)
    assert read["labels"].tolist() == [["dress", "red"], ["red"]]
    assert read["predicted"].tolist() == [["red", "dress"], []]
    assert np.stack(read["probabilities"].tolist()) == pytest.approx(
        np.array([[0.6, 0.1, 0.9], [0.2, 0.0, 0.3]])
    )


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("labels", [["hat"], ["red"]], "'hat', which is not a label"),
        ("predicted", [["red", "red"], []], "names a label twice"),
        ("probabilities", [[0.1, 0.2], [0.1, 0.2]], "does not hold 3 probabilities"),
        ("probabilities", [[0.1, 0.2, 1.5], [0.1, 0.2, 0.3]], "does not hold 3 probabilities"),
        ("probabilities", [[0.1, 0.2, None], [0.1, 0.2, 0.3]], "lacks a value"),
        ("id", ["1", "1"], "product '1' occurs twice"),
        ("title_status", ["used", "seen"], "'seen'; allowed"),
        ("labels", ["red", "red"], "not lists"),
    ],
)
def test_damaged_file_is_refused(tmp_path: Path, column: str, value: list[object], reason: str) -> None:
    write_predictions(tmp_path / "p.parquet", frame().assign(**{column: value}))
    with pytest.raises(RunError, match=reason):
        read_label_set_predictions(tmp_path / "p.parquet", NAMES)


def test_lacking_column_is_named(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", frame().drop(columns="predicted"))
    with pytest.raises(RunError, match="no column 'predicted'"):
        read_label_set_predictions(tmp_path / "p.parquet", NAMES)


def test_probabilities_out_of_range_are_refused() -> None:
    context = frame().filter(["id", "labels", "title_group", "leaked_title"])
    with pytest.raises(ValueError, match="from 0 to 1"):
        make_label_set_predictions(context, NAMES, np.full((2, 3), 1.5), np.zeros((2, 3), bool))
