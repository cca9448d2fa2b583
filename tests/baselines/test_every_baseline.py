"""What every registered baseline keeps to, whichever it is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

from baselines import baseline_names, find_baseline
from baselines.registry import BASELINES
from fusionclf.catalog import Catalog, Split, make_split
from fusionclf.config import BaselineConfig, SplitConfig, load_settings
from fusionclf.errors import CatalogError, SettingsError
from fusionclf.evaluation.metrics import score

every_baseline = pytest.mark.parametrize("name", ["linear", "majority", "nb"])


def run(name: str, catalog: Catalog, split: Split, folder: Path, *overrides: str):
    baseline = find_baseline(name)
    settings = load_settings(baseline.settings, None, overrides, variant=name, data="catalog")
    return baseline.run(settings, catalog, split, folder)


def test_the_three_baselines_are_registered() -> None:
    assert baseline_names() == sorted(BASELINES) == ["linear", "majority", "nb"]
    assert all(issubclass(baseline.settings, BaselineConfig) for baseline in BASELINES.values())


def test_an_unknown_baseline_has_a_near_match() -> None:
    with pytest.raises(SettingsError, match="did you mean 'linear'"):
        find_baseline("liner")


@every_baseline
def test_every_part_and_all_classes_are_predicted(
    name: str, catalog: Catalog, split: Split, tmp_path: Path
) -> None:
    frames, cost, _ = run(name, catalog, split, tmp_path / "run")
    assert list(frames) == ["top3", "rest", "joint"]
    for part, frame in frames.items():
        rows = split.rows(catalog, None if part == "joint" else part, "test")
        assert frame["id"].tolist() == catalog.table["id"].iloc[rows].tolist()
        assert set(frame["label_1"]) <= set(split.class_names(None if part == "joint" else part))
        probabilities = frame[["prob_1", "prob_2", "prob_3"]].to_numpy(float)
        assert np.isfinite(probabilities).all()
        assert (frame.loc[frame["label"] == "Lipstick", "prob_label"] == 0).all()
    assert cost["parameters"] > 0
    assert cost["products_per_second"] > 0
    assert {"train_seconds", "predict_seconds", "pictures_per_second", "device"} <= cost.keys()


def test_titles_of_white_space_are_missing(catalog: Catalog, split: Split, tmp_path: Path) -> None:
    titles = catalog.table["title"].to_numpy(object).copy()
    titles[split.rows(catalog, "top3", "test")[0]] = "  "
    blank = replace(catalog, table=catalog.table.assign(title=titles))
    frames, *_ = run("nb", blank, split, tmp_path / "run")
    assert frames["top3"]["title_status"].tolist()[0] == "missing"


@every_baseline
def test_saved_model_gives_the_same_predictions(
    name: str, catalog: Catalog, split: Split, tmp_path: Path
) -> None:
    frames, *_ = run(name, catalog, split, tmp_path / "run")
    labels = json.loads((tmp_path / "run" / "model" / "labels.json").read_text())
    assert list(labels) == ["top3", "rest", "joint"]
    for part, frame in frames.items():
        file = tmp_path / "run" / "model" / f"{part}.skops"
        model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
        titles = catalog.table.set_index("id")["title"].loc[frame["id"]].tolist()
        assert model.predict(titles).tolist() == frame["label_1"].tolist()
        assert labels[part]["classes"]["label"] == model.classes_.tolist()
        assert labels[part]["candidates"] == list(split.class_names(None if part == "joint" else part))


@every_baseline
def test_two_runs_are_equal(name: str, catalog: Catalog, split: Split, tmp_path: Path) -> None:
    first, *_ = run(name, catalog, split, tmp_path / "one")
    second, *_ = run(name, catalog, split, tmp_path / "two")
    for part, frame in first.items():
        pd.testing.assert_frame_equal(frame, second[part])


@every_baseline
def test_a_test_row_changes_no_other_prediction(
    name: str, catalog: Catalog, split: Split, tmp_path: Path
) -> None:
    before, *_ = run(name, catalog, split, tmp_path / "one")
    catalog.table.loc[catalog.table["id"] == "003", "title"] = "something else entirely"
    after, *_ = run(name, catalog, split, tmp_path / "two")
    for part, frame in before.items():
        others = frame["id"] != "003"
        columns = ["id", "label_1", "prob_1", "prob_label"]
        pd.testing.assert_frame_equal(frame.loc[others, columns], after[part].loc[others, columns])


@every_baseline
def test_a_part_of_one_class(name: str, catalog: Catalog, tmp_path: Path) -> None:
    frames, *_ = run(name, catalog, make_split(catalog, SplitConfig(top_k=1)), tmp_path / "run")
    assert set(frames["top1"]["label_1"]) == {"Shirts"}
    assert set(frames["top1"]["prob_1"]) == {1.0}


@every_baseline
def test_classes_of_one_row_raise_no_scikit_learn_warning(
    name: str, catalog: Catalog, tmp_path: Path
) -> None:
    pairs = catalog.table.groupby("label").cumcount() // 2  # a row of an even year and one of an odd year
    catalog.table["label"] += " " + pairs.astype("str")
    split = make_split(catalog, SplitConfig(top_k=3))
    assert sorted(split.train_counts(catalog, "rest").values())[-1] == 1
    run(name, catalog, split, tmp_path / "run")  # a warning is an error here


@pytest.mark.parametrize("name", ["linear", "nb"])
def test_titles_are_read(name: str, catalog: Catalog, split: Split, tmp_path: Path) -> None:
    frames, *_ = run(name, catalog, split, tmp_path / "run")
    assert score(frames["rest"])["seen"] == 100.0
    assert frames["top3"].set_index("id")["title_status"].value_counts().to_dict() == {
        "used": 17,
        "missing": 1,
    }
    assert frames["top3"].set_index("id").loc["001", "title_status"] == "missing"


@pytest.mark.parametrize("name", ["linear", "nb"])
def test_a_catalog_without_words_is_named(name: str, catalog: Catalog, split: Split, tmp_path: Path) -> None:
    catalog.table["title"] = catalog.fields["title"] = "" if name == "linear" else "?"
    message = {
        "linear": "no product has a title; set catalog.title",
        "nb": "no word to learn in 'productDisplayName'; check catalog.title",
    }[name]
    with pytest.raises(CatalogError, match=f"'top3': .*{message}"):
        run(name, catalog, split, tmp_path / "run")


def test_majority_predicts_the_train_frequencies(catalog: Catalog, split: Split, tmp_path: Path) -> None:
    frames, *_ = run("majority", catalog, split, tmp_path / "run")
    row = frames["top3"].iloc[0]
    assert row[["label_1", "label_2", "label_3"]].tolist() == ["Shirts", "Shoes", "Watches"]
    assert row[["prob_1", "prob_2", "prob_3"]].tolist() == pytest.approx([7 / 18, 6 / 18, 5 / 18])
    assert set(frames["top3"]["title_status"]) == {"ignored"}
