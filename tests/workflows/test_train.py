"""Whole runs on the sample catalog: golden accuracy, both schemes, shipped configs."""

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog import make_split, read_catalog
from fusionclf.config import RunConfig, SplitConfig, load_settings, read_yaml
from fusionclf.config.shipped import config_folder
from fusionclf.errors import CatalogError, RunError
from fusionclf.models import find_variant
from fusionclf.prediction import load
from fusionclf.stacking import fitting
from fusionclf.stacking import stage_runner as stages
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.settings import ExistingRun
from fusionclf.workflows.train import TrainOptions, train
from tests.small import IMAGE, short_fitting, small_late_fusion, write_catalog

RESUME = TrainOptions(existing=ExistingRun(resume=True))

CONFIGS = sorted(config_folder().glob("*.yaml"))
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sample.json").read_text())


def test_every_variant_and_size_has_a_config() -> None:
    names = {file.stem for file in CONFIGS}
    for variant in ("image", "multitask", "text", "fusion"):
        assert {variant, f"{variant}-cpu", f"{variant}-frozen", f"{variant}-sample"} <= names


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_shipped_configs_are_valid_and_name_their_command(file: Path) -> None:
    name = file.stem.partition("-")[0]
    load_settings(RunConfig[find_variant(name).params], file, variant=name, data="catalog")
    opening = "".join(
        line for line in file.read_text().splitlines(keepends=True)[:12] if line.startswith("#")
    )
    assert f"fusionclf train {name} --config {file.stem} --data" in opening
    assert not re.search(r"# (Time|Score): [A-Z]+$", opening, re.MULTILINE), "measure it, and say so"


@pytest.mark.parametrize("name", ["image", "multitask"])
def test_reference_configs_equal_the_defaults_but_pictures(name: str) -> None:
    schema = RunConfig[find_variant(name).params]
    written = load_settings(schema, config_folder() / f"{name}.yaml", variant=name, data="catalog")
    default = load_settings(schema, None, variant=name, data="catalog")
    assert written == default.model_copy(update={"pictures": written.pictures})
    assert (written.pictures.height, written.pictures.width, written.pictures.fit) == (224, 224, "crop")


@pytest.mark.parametrize("name", ["nb", "linear", "majority"])
def test_baselines_reach_the_golden_accuracy(name: str, sample_dir: Path, tmp_path: Path) -> None:
    metrics = run_baseline(name, sample_dir, tmp_path / "run")
    for part, expected in GOLDEN[name].items():
        found = metrics["joint"] if part == "joint" else metrics["parts"][part]
        assert found["top1"] == pytest.approx(expected, abs=0.5), part


@pytest.mark.slow
def test_two_stage_fusion_reaches_the_golden_accuracy(sample_dir: Path, tmp_path: Path) -> None:
    file = config_folder() / "fusion-sample.yaml"
    metrics = train(
        "fusion",
        sample_dir,
        tmp_path / "run",
        options=TrainOptions(file),
        overrides=("train.epochs=4", *IMAGE[:2]),
        cpu=True,
    )
    for part, expected in GOLDEN["fusion"].items():
        assert metrics["parts"][part]["top1"] == pytest.approx(expected, abs=GOLDEN["tolerance"]), part
    assert metrics["joint"] == {"top1": None}
    frame = pd.read_parquet(tmp_path / "run" / "predictions" / "top20.parquet")
    held_out = pd.read_parquet(tmp_path / "run" / "held_out" / "top20.parquet")
    for status in ("picture_status", "title_status"):
        assert set(frame[status]) == set(held_out[status]) == {"used"}
    assert frame["id"].is_unique and len(frame) == metrics["parts"]["top20"]["n"]


@pytest.mark.slow
def test_training_time_includes_the_linear_text_model(
    sample_dir: Path, tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = stages.fit_weighted_sum

    def slow_fit(*arguments: Any) -> Any:
        time.sleep(1.0)
        return fit(*arguments)

    monkeypatch.setattr(stages, "fit_weighted_sum", slow_fit)
    words = (*small_late_fusion(tiny_bert), "model.vocabulary=closed", "train.epochs=1")
    train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    cost = json.loads((tmp_path / "run" / "environment.json").read_text())
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum(row["seconds"] for row in log) + 1.0 < cost["train_seconds"] < cost["seconds"]


def test_single_stage_probabilities_sum_to_one_within_a_subset(
    sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far apart logits: what is left for the part must not be lost in the softmax over all classes."""
    monkeypatch.setattr(fitting, "fit_temperature", lambda *_: 1e-3)
    words = ("scheme=single_stage", "model.text.buckets=4096", "model.text.dim=16", "train.epochs=1")
    train("text", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    for part in ("top20", "rest"):
        frame = pd.read_parquet(tmp_path / "run" / "predictions" / f"{part}.parquet")
        shares = frame[[name for name in frame if name.startswith("prob_")]].to_numpy()
        assert (shares[:, 0] >= 1 / len(set(frame["label"])) - 1e-6).all()


def test_stage_without_validation_rows_is_refused_first(tmp_path: Path) -> None:
    def row(number: int, label: str, year: int, title: str) -> str:
        return f"{number},Men,Apparel,Top,{label},Blue,Summer,{year},Casual,{title}"

    rows = [row(n, ("Shirts", "Belts")[n % 2], 2012 + n // 2 % 2, f"item {n}") for n in range(40)]
    rows += [row(n, "Hats", 2012, "hat") for n in range(40, 45)]  # one group, which must not be divided
    rows += [row(n, "Hats", 2013, f"hat {n}") for n in range(45, 47)]
    data = write_catalog(tmp_path / "catalog", rows, pictures=False)
    words = ("split.top_k=2", "split.group_by=title", "catalog.missing_picture=keep", "train.epochs=1")
    words += ("train.batch_size=4", "model.text.buckets=4096", "model.text.dim=16")
    with pytest.raises(CatalogError, match=r"part 'rest' has no validation row .* set scheme=single_stage"):
        train("text", data, tmp_path / "run", overrides=words, cpu=True)
    assert not (tmp_path / "run").exists()
    train("text", data, tmp_path / "run", overrides=(*words, "scheme=single_stage"), cpu=True)


def test_single_stage_model_scores_subsets_among_own_classes(sample_dir: Path, tmp_path: Path) -> None:
    words = ("scheme=single_stage", "model.text.buckets=4096", "model.text.dim=16", "train.epochs=3")
    metrics = train("text", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    assert metrics["joint"]["top1"] is not None
    frames = {
        p: pd.read_parquet(tmp_path / "run" / "predictions" / f"{p}.parquet")
        for p in ("top20", "rest", "joint")
    }
    assert len(frames["joint"]) == len(frames["top20"]) + len(frames["rest"])
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    for part in ("top20", "rest"):
        assert set(frames[part]["label_1"]) <= set(split["classes"][part])
        # With fewer candidates no answer can get worse.
        assert metrics["parts"][part]["n"] == len(frames[part])
    weighted = sum(s["top1"] * s["n"] for s in metrics["parts"].values()) / len(frames["joint"])
    assert weighted >= metrics["joint"]["top1"]


@pytest.mark.slow
def test_open_vocabulary_predicts_unseen_classes(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_fitting(monkeypatch)
    words = (*small_late_fusion(tiny_bert), "model.vocabulary=open", "train.epochs=2")
    catalog = read_catalog(sample_dir)
    split = make_split(catalog, SplitConfig())
    trained = catalog.table["label"].iloc[split.rows(catalog, None, "train")]
    unseen = next(name for name in split.class_names(None) if name not in set(trained))
    synonyms = tmp_path / "synonyms.yaml"
    synonyms.write_text(f"{unseen}: [zorblax glimmer]\n", encoding="utf-8")
    overrides = (*words, f"model.synonyms={synonyms}")
    metrics = train("fusion", sample_dir, tmp_path / "run", overrides=overrides, cpu=True)
    train("fusion", sample_dir, tmp_path / "closed", overrides=(*words, "model.vocabulary=closed"), cpu=True)
    figures = ("epoch", "train_loss", "val_loss", "val_top1")
    logs = [[[row[name] for name in figures] for row in _log(tmp_path / run)] for run in ("run", "closed")]
    assert logs[0] == logs[1]  # the open vocabulary takes no part in training, nor in choosing the epoch
    joint = pd.read_parquet(tmp_path / "run" / "predictions" / "joint.parquet")
    new = (joint["label_train_count"] == 0).to_numpy()
    assert new.any()
    assert np.mean((joint["label_1"] == joint["label"]).to_numpy()[new]) > 0.5
    assert metrics["joint"]["top1"] > 50
    labels = json.loads((tmp_path / "run" / "model" / "labels.json").read_text())["joint"]
    assert len(labels["paths"]) == len(labels["classes"]["label"])
    assert all(
        path.startswith(name) for path, name in zip(labels["paths"], labels["classes"]["label"], strict=True)
    )
    # The run keeps what its classes are called otherwise, and answers by it.
    synonyms.unlink()
    answers = load(tmp_path / "run", device="cpu").predict(titles=["Acme Red Zorblax Glimmer"])
    assert answers.labels[0][0] == unseen


@pytest.mark.slow
@pytest.mark.parametrize("split", [(), ("split.rule=random",)])
def test_auto_vocabulary_is_open_where_names_can_be_read(
    sample_dir: Path,
    tiny_bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    split: tuple[str, ...],
) -> None:
    monkeypatch.setattr(
        "fusionclf.workflows.train._run_stages", lambda *_: {}
    )  # the vocabulary is resolved before
    words = (*small_late_fusion(tiny_bert), "train.epochs=1", "model.synonyms=drafted", *split)
    train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    assert read_yaml(tmp_path / "run" / "config.yaml")["model"]["vocabulary"] == "open"
    drafted = (tmp_path / "run" / "synonyms.yaml").read_text()
    assert "Further names of classes" in drafted
    # The same settings:
    train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True, options=RESUME)


@pytest.mark.slow
def test_named_vocabulary_predicts_only_trained_classes(
    sample_dir: Path,
    tiny_bert: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short_fitting(monkeypatch)
    words = (*small_late_fusion(tiny_bert), "model.vocabulary=named", "train.epochs=1")
    catalog = read_catalog(sample_dir)
    split = make_split(catalog, SplitConfig())
    trained = [row for name in ("train", "validation") for row in split.rows(catalog, None, name)]
    known = sorted(set(catalog.table["label"].iloc[trained]))
    assert len(known) < len(split.class_names(None))
    # Words that no training title holds: only the synonym tells what they mean.
    synonyms = tmp_path / "synonyms.yaml"
    synonyms.write_text(f"{known[0]}: [zorblax glimmer]\n", encoding="utf-8")
    run = tmp_path / "run"
    train("fusion", sample_dir, run, overrides=(*words, f"model.synonyms={synonyms}"), cpu=True)
    # Three each by chance, by brand and, as the split is by years, by year.
    assert "; 9 meta-training folds" in capsys.readouterr().err
    joint = pd.read_parquet(run / "predictions" / "joint.parquet")
    assert set(joint["label_1"]) <= set(known)
    new = (joint["label_train_count"] == 0).to_numpy()
    assert new.any()
    predictor = load(run, device="cpu")
    assert predictor.predict(titles=["Acme Red Zorblax Glimmer"]).labels[0][0] == known[0]
    with pytest.raises(RunError, match="open vocabulary"):
        predictor.add_classes(["Kite"])


def _log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
