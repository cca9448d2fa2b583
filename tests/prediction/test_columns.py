"""Further columns in predictions: what the auxiliary heads of a run answer beside the class."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.prediction.column_values import ColumnValues, output_columns
from fusionclf.prediction.io.writers import as_json
from tests.runs import Runs, call, done


def stored(runs: Runs, column: str) -> pd.DataFrame:
    """What the run with further columns answered about its test products."""
    rows = pd.read_parquet(runs("columns") / "answers" / "joint.parquet")
    return rows[(rows["column"] == column) & (rows["subset"] == "test")].set_index("id")


@pytest.fixture
def products(runs: Runs, sample: Catalog) -> tuple[list[str], list[Path | None], list[str]]:
    """Ids, pictures and titles of the first test products."""
    ids = stored(runs, "gender").index[:20].tolist()
    rows = pd.Index(sample.table["id"]).get_indexer(pd.Index(ids))
    return ids, sample.picture_paths(rows), sample.table["title"].iloc[rows].tolist()


@pytest.mark.slow
def test_predictions_are_those_of_the_run(runs: Runs, products: tuple) -> None:
    ids, pictures, titles = products
    answers = fusionclf.load(runs("columns"), device="cpu").predict(pictures, titles)
    assert list(answers.further) == ["baseColour", "gender"]
    for column, found in answers.further.items():
        expected = stored(runs, column).loc[ids]
        assert found.values == expected["value_1"].tolist()
        assert found.probabilities == pytest.approx(expected["prob_1"].to_numpy(), abs=1e-5)


@pytest.mark.slow
def test_heads_without_their_input_have_no_answer(runs: Runs, products: tuple) -> None:
    _, pictures, titles = products
    predictor = fusionclf.load(runs("columns"), device="cpu")
    answers = predictor.predict([None, pictures[1]], titles[:2])
    assert answers.labels[0], "the linear text model answers by the title"
    assert answers.further["gender"].values[0] == "" and answers.further["gender"].values[1] != ""
    assert as_json(answers, 0)["answers"]["gender"] == {"value": None, "probability": None}
    frame = answers.to_frame()
    assert frame["gender"].tolist() == answers.further["gender"].values
    assert frame["gender_prob"].isna().tolist() == [True, False]
    assert list(frame.columns[-5:]) == ["baseColour", "baseColour_prob", "gender", "gender_prob", "reason"]


@pytest.mark.slow
def test_files_of_each_kind_have_the_columns(runs: Runs, products: tuple, tmp_path: Path) -> None:
    ids, pictures, titles = products
    names = ["" if n == 3 else Path(str(path)).name for n, path in enumerate(pictures)]
    table = pd.DataFrame({"id": ids, "productDisplayName": titles, "file": names})
    table.to_csv(tmp_path / "in.csv", index=False)
    for kind in ("csv", "parquet", "jsonl"):
        done("--run", runs("columns"), "--input", tmp_path / "in.csv", "--out", tmp_path / f"out.{kind}",
             "--pictures", Path(str(pictures[0])).parent, "catalog.picture={file}")  # fmt: skip
    read = pd.read_csv(tmp_path / "out.csv", dtype={"id": "str"})
    assert list(read.columns[-4:]) == ["baseColour", "baseColour_prob", "gender", "gender_prob"]
    assert read["gender_prob"].isna().tolist() == [n == 3 for n in range(20)]
    parquet = pd.read_parquet(tmp_path / "out.parquet")
    assert parquet["gender"].tolist() == read["gender"].fillna("").tolist()
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["answers"]["gender"]["value"] or "" for line in lines] == parquet["gender"].tolist()
    assert lines[0]["answers"]["baseColour"]["probability"] == read["baseColour_prob"][0]


@pytest.mark.slow
def test_a_run_without_further_columns_writes_none(runs: Runs, products: tuple, tmp_path: Path) -> None:
    ids, _, titles = products
    pd.DataFrame({"id": ids, "productDisplayName": titles}).to_csv(tmp_path / "in.csv", index=False)
    for kind in ("csv", "jsonl"):
        done("--run", runs("text"), "--input", tmp_path / "in.csv", "--out", tmp_path / f"out.{kind}")
    assert (
        (tmp_path / "out.csv").read_text().splitlines()[0].endswith(",decision,picture_status,title_status")
    )
    assert "answers" not in json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])


@pytest.mark.slow
def test_one_product_prints_the_columns(runs: Runs, products: tuple) -> None:
    _, pictures, titles = products
    lines = call("--run", runs("columns"), "--image", pictures[0], "--title", titles[0]).stdout.splitlines()
    assert [line.split(":")[0] for line in lines if "gender: " in line or "baseColour: " in line] == [
        "baseColour", "gender",
    ]  # fmt: skip


@pytest.mark.slow
def test_categories_are_answered_by_multitask(runs: Runs, sample: Catalog) -> None:
    predictor = fusionclf.load(runs("multitask"), device="cpu")
    answers = predictor.predict(sample.picture_paths(np.arange(3)))
    assert list(answers.further) == ["masterCategory", "subCategory"]
    assert set(answers.further["masterCategory"].values) <= set(sample.table["masterCategory"])


def test_a_taken_name_is_written_otherwise() -> None:
    found = ColumnValues.of(("a", "b"), np.array([[0.2, 0.8], [np.nan, np.nan]]))
    columns = output_columns(
        {"path": found, "colour": found, "colour_prob": found}, {"id", "path", "decision"}
    )
    assert list(columns) == [
        "further_path", "further_path_prob", "colour", "colour_prob",
        "further_colour_prob", "further_colour_prob_prob",
    ]  # fmt: skip
    assert columns["colour"].to_pylist() == ["b", ""]
