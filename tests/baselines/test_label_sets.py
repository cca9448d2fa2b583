"""The linear baseline on products with several labels: from the catalog to predictions."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fusionclf
from fusionclf.errors import RunError, SettingsError
from fusionclf.metrics_schema import METRICS
from fusionclf.prediction import load
from fusionclf.run_schema import ALL_CLASSES, read_labels
from fusionclf.runfolder import read_json_as
from fusionclf.workflows.baseline import run_baseline
from tests.tags import CATALOG, write_tags

TITLES = ["red dress no 7 for the night", "fine shoe no 3", "green shirt no 9"]


def test_labels_in_the_title_are_predicted(tags_run: Path) -> None:
    own = read_json_as(tags_run / "metrics.json", METRICS)
    assert own["parts"] == {} and own["joint"] == {"top1": None}
    assert "multilabel" in own
    by_label = {row["label"]: row for row in own["multilabel"]["per_label"]}
    for name in ("dress", "shirt", "shoe", "party"):
        assert by_label[name]["f1"] == 100
    for name in ("red", "green", "blue"):  # two titles of three do not name it
        assert (by_label[name]["f1"] or 0) < 95


def test_loaded_model_predicts_as_the_run_did(tags_run: Path, tags_dir: Path) -> None:
    frame = pd.read_parquet(tags_run / "predictions" / f"{ALL_CLASSES}.parquet")
    titles = pd.read_csv(tags_dir / "tags.csv", dtype=str).set_index("id")["title"][frame["id"]]
    answers = load(tags_run).predict(titles=titles.tolist())
    assert answers.labels == [list(own) for own in frame["predicted"]]
    likely = np.sort(np.stack(frame["probabilities"].tolist()), axis=1)[:, ::-1][:, :5]
    assert answers.probabilities == pytest.approx(likely, abs=1e-6)


def test_labels_reach_their_thresholds(tags_run: Path) -> None:
    thresholds = dict(zip(load(tags_run).classes, _thresholds(tags_run), strict=True))
    answers = fusionclf.load(tags_run).predict(titles=TITLES, top_k=7)
    for place in range(3):
        ranked = np.array(answers.classes, object)[answers.order[place]]
        own = zip(ranked, answers.probabilities[place], strict=True)
        assert answers.labels[place] == [name for name, p in own if p >= thresholds[name]]
        assert len(answers.label_probabilities[place]) == len(answers.labels[place])
    assert answers.labels[0][:1] and {"dress", "party", "red"} <= set(answers.labels[0])


def _thresholds(run: Path) -> list[float]:
    return read_labels(run / "model")[ALL_CLASSES]["multilabel"]["thresholds"]  # pyright: ignore


def test_thresholds_are_those_of_the_validation_rows(tags_run: Path) -> None:
    held_out = pd.read_parquet(tags_run / "held_out" / f"{ALL_CLASSES}.parquet")
    split = json.loads((tags_run / "split.json").read_text())
    assert sorted(held_out["id"]) == split["ids"]["every_label"]["validation"]
    probabilities = np.stack(held_out["probabilities"].tolist())
    names = load(tags_run).classes
    for labels, own in zip(held_out["predicted"], probabilities, strict=True):
        assert set(labels) == {
            name for name, p, t in zip(names, own, _thresholds(tags_run), strict=True) if p >= t
        }


def test_min_probability_takes_the_place_of_thresholds(tags_run: Path) -> None:
    model = load(tags_run)
    assert model.predict(titles=TITLES, min_probability=0).labels[0] != []
    assert len(model.predict(titles=TITLES, min_probability=0).labels[0]) == 7
    answers = model.predict(titles=TITLES, min_probability=1)
    assert answers.labels == [[], [], []] and answers.decisions == ["abstain"] * 3


def test_target_precision_is_refused(tags_run: Path) -> None:
    with pytest.raises(SettingsError, match="needs one label per product"):
        load(tags_run).predict(titles=TITLES, target_precision=0.9)


def test_label_without_a_train_row_is_never_predicted(tmp_path: Path) -> None:
    folder = write_tags(tmp_path / "catalog", products=90)
    table = pd.read_csv(folder / "tags.csv", dtype=str)
    table.loc[0, "tags"] = "dress|unheard"
    table["part"] = ["test" if number % 5 == 0 else "train" for number in range(90)]
    table.to_csv(folder / "tags.csv", index=False)
    words = (*CATALOG[:-1], "split.rule=column", "split.column=part")
    metrics = run_baseline("linear", folder, tmp_path / "run", overrides=words)
    row = next(row for row in metrics["multilabel"]["per_label"] if row["label"] == "unheard")
    assert row["train_rows"] == 0 and row["recall"] == 0 and row["predicted_rows"] == 0


def test_two_labels_are_enough(tmp_path: Path) -> None:
    lines = [
        f"{n},{'red thing' if n % 3 else 'big thing'} {n},{'red' if n % 3 else 'red|big'}" for n in range(60)
    ]
    (tmp_path / "tags.csv").write_text("\n".join(["id,title,tags", *lines]))
    words = (*CATALOG, "catalog.picture=null")
    metrics = run_baseline("linear", tmp_path, tmp_path / "run", overrides=words)
    assert metrics["multilabel"]["scores"]["subset_accuracy"] == 100
    assert load(tmp_path / "run").predict(titles=["red thing", "big thing"]).labels[0] == ["red"]


@pytest.mark.parametrize("name", ["nb", "majority"])
def test_baseline_of_one_label_refuses_a_list(tags_dir: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=f"baseline '{name}' predicts one label per product; use linear"):
        run_baseline(name, tags_dir, tmp_path / "run", overrides=CATALOG)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_damaged_thresholds_are_refused(tags_run: Path, tmp_path: Path) -> None:
    labels = json.loads((tags_run / "model" / "labels.json").read_text())
    labels[ALL_CLASSES]["multilabel"]["thresholds"].pop()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(RunError, match="6 thresholds for 7 labels"):
        read_labels(folder)
