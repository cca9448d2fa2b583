"""`fusionclf.predict_batches`: the answers of `fusionclf predict`, a row for each row of a table."""

import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.errors import CatalogError, PredictionError, RunError, SettingsError
from fusionclf.prediction import RunModel, batch_prediction, predictor
from fusionclf.workflows.classes import add_class
from tests.runs import COLUMNS, Runs, done


@pytest.fixture
def products(sample: Catalog) -> pd.DataFrame:
    """40 products, whose titles' column is called as another shop calls it."""
    table = sample.table[["id", "title"]].iloc[:40].set_axis(["sku", "name"], axis=1)
    return table.reset_index(drop=True)


@pytest.fixture
def predict(runs: Runs) -> fusionclf.predict_batches:
    return fusionclf.predict_batches(runs("linear"), catalog={"id": "sku", "title": "name"})


def test_a_batch_gets_what_the_command_writes(
    runs: Runs, titles: Path, products: pd.DataFrame, predict: fusionclf.predict_batches, tmp_path: Path
) -> None:
    out = tmp_path / "answers.parquet"
    done("--run", runs("linear"), "--input", titles, "--out", out, *COLUMNS)
    found = predict(products)
    assert (found.pop("reason") == "").all()
    pd.testing.assert_frame_equal(found, pd.read_parquet(out), check_dtype=False)


@pytest.mark.slow
def test_pictures_are_found_below_their_folder(runs: Runs, sample: Catalog) -> None:
    predict = fusionclf.predict_batches(runs("fusion"), pictures=sample.root)
    table = sample.table[["id", "title"]].iloc[:30].set_axis(["id", "productDisplayName"], axis=1)
    expected = fusionclf.load(runs("fusion")).predict(
        [sample.root / picture for picture in sample.table["picture"].iloc[:30]],
        table["productDisplayName"].tolist(),
    )
    found = predict(table)
    assert found["picture_status"].tolist() == ["used"] * 30
    assert found["label_1"].tolist() == [labels[0] for labels in expected.labels]
    assert np.allclose(found["prob_1"], expected.probabilities[:, 0], atol=1e-5)
    table["id"] = table["id"].where(table.index != 3, "../../secret")
    third = predict(table).loc[3]
    assert third["decision"] == "none" and "leads out of" in third["reason"]
    with pytest.raises(PredictionError, match=r"unknown folder of the paths.*pictures="):
        fusionclf.predict_batches(runs("fusion"))(table)
    with pytest.raises(PredictionError, match="no such folder"):
        fusionclf.predict_batches(runs("fusion"), pictures=sample.root / "nowhere")(table)


def test_faulty_rows_keep_their_place_with_a_reason(
    products: pd.DataFrame, predict: fusionclf.predict_batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "SMALLEST_CHUNK", 8)
    monkeypatch.setattr(predictor, "CHUNK", 8)  # faults in several chunks, and a chunk of faults alone
    whole = predict(products)
    products.loc[[0, 13, *range(16, 24)], "sku"] = None
    products.loc[14, "name"] = float("nan")
    found = predict(products.set_index(np.arange(40) + 7))
    bad = found["reason"] != ""
    assert np.flatnonzero(bad).tolist() == [0, 13, 14, *range(16, 24)]
    assert found["reason"].value_counts().to_dict() == {"": 29, "no sku": 10, "no title": 1}
    assert found.loc[bad, "decision"].eq("none").all() and found.loc[bad, ["label_1", "prob_1"]].isna().all(
        axis=None
    )
    assert found.loc[14, "id"] == products.loc[14, "sku"]
    pd.testing.assert_frame_equal(found.loc[~bad, :], whole.loc[~bad, :], check_dtype=False)


def test_an_iterator_of_tables_gives_an_iterator(
    products: pd.DataFrame, predict: fusionclf.predict_batches
) -> None:
    found = predict(products.iloc[start : start + 15] for start in range(0, 40, 15))
    assert not isinstance(found, pd.DataFrame)
    pd.testing.assert_frame_equal(pd.concat(found, ignore_index=True), predict(products))


def test_an_empty_table_gives_the_columns_of_the_schema(
    products: pd.DataFrame, predict: fusionclf.predict_batches
) -> None:
    empty = predict(products.iloc[:0])
    names = [column.split("` ")[0].strip("` ") for column in predict.schema.split(", ")]
    assert len(empty) == 0 and list(empty.columns) == names == list(predict(products).columns)
    assert predict.schema.startswith("`id` string, `label_1` string, `prob_1` double, ")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The run of each model that is loaded from now on."""
    found: list[Path] = []
    real = batch_prediction.load

    def load(run: Path, **settings: Any) -> predictor.Predictor:
        found.append(run)
        return real(run, **settings)

    monkeypatch.setattr(batch_prediction, "load", load)
    batch_prediction._opened.cache_clear()
    return found


def test_it_pickles_without_the_model_and_loads_once(
    products: pd.DataFrame, predict: fusionclf.predict_batches, loaded: list[Path]
) -> None:
    before = predict(products)
    stored = pickle.dumps(predict)
    assert len(stored) < 1000
    for _ in range(2):  # as for two tasks of one worker
        pd.testing.assert_frame_equal(pickle.loads(stored)(products), before)
    assert len(loaded) == 1


def test_models_that_take_turns_are_loaded_once(
    runs: Runs, products: pd.DataFrame, predict: fusionclf.predict_batches, loaded: list[Path]
) -> None:
    other = fusionclf.predict_batches(runs("linear"), top_k=2, catalog={"id": "sku", "title": "name"})
    for _ in range(3):
        assert ("label_3" in predict(products), "label_3" in other(products)) == (True, False)
    assert len(loaded) == 2


@pytest.mark.parametrize("file", ["metrics.json", "model/added.safetensors"])
def test_a_run_that_changed_is_loaded_again(
    file: str, products: pd.DataFrame, runs: Runs, tmp_path: Path, loaded: list[Path]
) -> None:
    folder = shutil.copytree(runs("linear"), tmp_path / "run")
    predict = fusionclf.predict_batches(folder, catalog={"id": "sku", "title": "name"})
    predict(products)
    (folder / file).touch()
    for _ in range(2):
        predict(products)
    assert len(loaded) == 2


def test_a_missing_column_is_named_with_those_found(runs: Runs, products: pd.DataFrame) -> None:
    with pytest.raises(CatalogError, match="batch: no column 'id'; columns found: sku, name"):
        fusionclf.predict_batches(runs("linear"))(products)
    with pytest.raises(PredictionError, match=r"no column 'productDisplayName'.*columns found: sku, name"):
        fusionclf.predict_batches(runs("linear"), catalog={"id": "sku"})(products)


@pytest.mark.slow
def test_a_class_that_is_added_later_is_predicted(runs: Runs, tmp_path: Path) -> None:
    run = shutil.copytree(runs("open"), tmp_path / "run")
    predict = fusionclf.predict_batches(run, catalog={"title": "name", "picture": None})
    products = pd.DataFrame({"id": ["1"], "name": ["Acme Red Zeppelin Kite"]})
    assert predict(products)["label_1"].tolist() != ["Zeppelin Kite"]
    add_class(RunModel(run, cpu=True), "Toys > Zeppelin Kite")
    assert predict(products)["label_1"].tolist() == ["Zeppelin Kite"]


@pytest.mark.slow
def test_a_missing_input_is_warned_of_once(runs: Runs, products: pd.DataFrame, sample: Catalog) -> None:
    columns = {"id": "sku", "picture": "images/{sku}.jpg"}
    predict = fusionclf.predict_batches(runs("fusion"), pictures=sample.root, catalog=columns)
    with pytest.warns(UserWarning, match="no column 'productDisplayName': no product has a title"):
        found = predict(products.iloc[:2])
    assert found["title_status"].tolist() == ["missing"] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(products.iloc[:2])


def test_wrong_arguments_are_refused_with_a_remedy(
    runs: Runs, predict: fusionclf.predict_batches, tmp_path: Path
) -> None:
    batch: Any = {"sku": np.array(["1"])}
    with pytest.raises(PredictionError, match=r'a batch is a dict.*batch_format="pandas"'):
        predict(batch)
    with pytest.raises(SettingsError, match="top_k=0"):
        fusionclf.predict_batches(runs("linear"), top_k=0)
    with pytest.raises(RunError, match="no such folder on this machine"):
        fusionclf.predict_batches(tmp_path / "nowhere")(pd.DataFrame({"id": ["1"]}))
