"""The linear baseline: its temperature, its order of classes, and its metrics on the real catalog."""

import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rich.console
import skops.io

from baselines import find_baseline, linear_text
from baselines.linear_text import LinearTextConfig
from baselines.text_baseline import run_on_titles
from fusionclf import console as console_module
from fusionclf.catalog import Catalog, Split, make_split, read_catalog
from fusionclf.config import SplitConfig, load_settings
from fusionclf.errors import SettingsError
from fusionclf.evaluation import softmax
from fusionclf.evaluation.metrics import score


def run(catalog: Catalog, split: Split, folder: Path):
    settings = load_settings(LinearTextConfig, None, (), variant="linear", data="catalog")
    return find_baseline("linear").run(settings, catalog, split, folder)


def test_probabilities_are_tempered_scores(catalog: Catalog, split: Split, tmp_path: Path) -> None:
    frames, *_ = run(catalog, split, tmp_path)
    file = tmp_path / "model" / "joint.skops"
    model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    temperature = json.loads((tmp_path / "model" / "labels.json").read_text())["joint"]["temperature"]
    titles = catalog.table.set_index("id")["title"].loc[frames["joint"]["id"]].tolist()
    scores = model.decision_function(titles)
    assert temperature != 1.0
    assert frames["joint"]["prob_1"].to_numpy() == pytest.approx(softmax(scores / temperature).max(axis=1))
    assert frames["joint"]["label_1"].tolist() == model.classes_[scores.argmax(axis=1)].tolist()


def test_progress_shows_how_many_classes_are_fitted(
    catalog: Catalog, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_module, "PLAIN_EVERY_S", -1.0)
    console = console_module.Console()
    console.rich = rich.console.Console(file=(out := io.StringIO()), width=200)
    settings = load_settings(LinearTextConfig, None, (), variant="linear", data="catalog")
    find_baseline("linear").run(settings, catalog, split, tmp_path, console)
    lines = [line for line in out.getvalue().splitlines() if line.startswith("linear: classes fitted: ")]
    total = 2 * sum(len(split.class_names(part)) for part in (*split.classes, None))
    assert len(lines) >= 6 and all(f" of {total}, about " in line for line in lines)
    numbers = [int(line.split()[3]) for line in lines]
    assert numbers == sorted(numbers) and numbers[-1] > total / 2


def test_held_out_predictions_are_of_a_model_without_those_rows(
    catalog: Catalog, split: Split, tmp_path: Path
) -> None:
    _, _, held_out = run(catalog, split, tmp_path / "one")
    assert set(held_out) == {*split.classes, "joint"}
    validation = split.rows(catalog, None, "validation")
    joint = held_out["joint"]
    assert joint["id"].tolist() == catalog.table["id"].iloc[validation].tolist()
    trained = catalog.table["label"].iloc[split.rows(catalog, None, "train")].value_counts()
    assert joint["label_train_count"].tolist() == [trained.get(label, 0) for label in joint["label"]]
    assert np.mean((joint["label_1"] == joint["label"]).to_numpy()) > 0.5
    # Other titles of the validation rows change the final fit, not the fit that answers them.
    row = int(validation[0])
    catalog.table.loc[row, "title"] = "zzzz qqqq"
    _, _, other = run(catalog, split, tmp_path / "two")
    same = joint["id"] != catalog.table["id"].iloc[row]
    assert joint[same]["label_1"].tolist() == other["joint"][same]["label_1"].tolist()


def test_a_part_of_two_classes_has_two_probabilities(catalog: Catalog, tmp_path: Path) -> None:
    catalog.table["label"] = catalog.table["label"].replace("Lipstick", "Shirts")
    split = make_split(catalog, SplitConfig(top_k=3))
    frame = run(catalog, split, tmp_path)[0]["rest"]
    assert (frame["prob_1"] + frame["prob_2"]).to_numpy() == pytest.approx(np.ones(len(frame)))
    assert set(frame["label_1"]) == {"Belts", "Scarves"}


def test_lengths_of_ngrams_must_fit() -> None:
    with pytest.raises(SettingsError, match="smallest=4 is above largest=3"):
        load_settings(LinearTextConfig, None, ["smallest=4", "largest=3"], variant="linear", data="c")


@pytest.mark.real
@pytest.mark.slow
def test_metrics_on_the_real_catalog(
    real_catalog_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The model of all classes takes longest and is not needed here.
    monkeypatch.setattr(linear_text, "run_on_titles", partial(run_on_titles, all_classes=False))
    catalog = read_catalog(real_catalog_dir)
    frames, *_ = run(catalog, make_split(catalog), tmp_path)
    assert score(frames["top20"])["top1"] >= 92.0
    assert score(frames["rest"])["top1"] >= 63.5
    assert score(frames["top20"])["ece"] < 3
    assert score(frames["rest"])["ece"] < 5
