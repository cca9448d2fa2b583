"""Networks on products with several labels: training, thresholds, loading, comparison, refusals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog import read_catalog
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError, SettingsError
from fusionclf.prediction import load
from fusionclf.report import compare
from fusionclf.run_schema import ALL_CLASSES, read_config
from fusionclf.workflows.export import ExportRequest, export
from fusionclf.workflows.settings import ExistingRun
from fusionclf.workflows.train import TrainOptions, train
from tests.small import IMAGE
from tests.tags import CATALOG

QUICK = ("train.epochs=6", "train.batch_size=16", "train.precision=fp32", "train.optimiser.name=adamw",
         "train.optimiser.learning_rate=0.01")  # fmt: skip
FUSION = (*CATALOG, *QUICK, *IMAGE, "model.text.buckets=1024", "model.text.dim=16", "model.hidden=16")


@pytest.fixture(scope="module")
def fusion(tags_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fusion") / "fusion"
    train("fusion", tags_dir, out, overrides=FUSION, cpu=True)
    return out


def held_out(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "held_out" / f"{ALL_CLASSES}.parquet")


def test_picture_and_title_give_all_labels(fusion: Path) -> None:
    scores = json.loads((fusion / "metrics.json").read_text())["multilabel"]["scores"]
    # Two titles of three do not name the colour, which the picture shows.
    assert scores["micro_f1"] > 90 and scores["mean_average_precision"] > 90
    log = [json.loads(line) for line in (fusion / "log.jsonl").read_text().splitlines()]
    assert log[-1]["val_average_precision"] > log[0]["val_average_precision"] and "val_top1" not in log[0]


def test_settings_of_the_run_are_those_of_several_labels(fusion: Path) -> None:
    config = read_config(fusion)
    assert config["scheme"] == "single_stage" and config["train"]["class_weights"] == "none"
    assert config["model"]["vocabulary"] == "closed" and config["model"]["wide"] is False


def test_thresholds_are_fitted_on_validation_rows(fusion: Path) -> None:
    frame, model = held_out(fusion), load(fusion, device="cpu").model
    split = json.loads((fusion / "split.json").read_text())
    assert sorted(frame["id"]) == split["ids"]["every_label"]["validation"]
    assert model.decision is not None
    predicted = model.decision.predicted(np.stack(frame["probabilities"].tolist()))
    assert [len(own) for own in frame["predicted"]] == predicted.sum(axis=1).tolist()


def test_loaded_network_predicts_as_the_run_did(fusion: Path, tags_dir: Path) -> None:
    frame = pd.read_parquet(fusion / "predictions" / f"{ALL_CLASSES}.parquet").head(20)
    columns = CatalogConfig.model_validate(read_config(fusion)["catalog"])
    catalog = read_catalog(tags_dir, columns)
    rows = pd.Index(catalog.table["id"]).get_indexer(pd.Index(frame["id"]))
    titles = catalog.table["title"].iloc[rows].tolist()
    answers = load(fusion, device="cpu").predict(catalog.all_picture_paths(rows), titles, top_k=7)
    ranked = -np.sort(-np.stack(frame["probabilities"].tolist()), axis=1)
    assert answers.probabilities == pytest.approx(ranked, abs=1e-3)
    assert answers.labels == [list(own) for own in frame["predicted"]]


def test_network_is_compared_with_the_baseline(fusion: Path, tags_run: Path, tmp_path: Path) -> None:
    value = compare([tags_run, fusion], tmp_path)
    assert {run["variant"] for run in value["runs"]} == {"linear", "fusion"}


def test_resumed_run_has_the_same_predictions(tags_dir: Path, tmp_path: Path) -> None:
    words = (*CATALOG, *QUICK, "train.epochs=1", "model.text.buckets=1024", "model.text.dim=8",
             "train.keep_checkpoints=true")  # fmt: skip
    first = train("text", tags_dir, tmp_path / "run", overrides=words, cpu=True)
    (tmp_path / "run" / "metrics.json").unlink()
    options = TrainOptions(existing=ExistingRun(resume=True))
    again = train("text", tags_dir, tmp_path / "run", overrides=words, cpu=True, options=options)
    assert again["multilabel"] == first["multilabel"]


@pytest.mark.parametrize(
    ("variant", "word", "reason"),
    [
        (
            "fusion",
            "model.vocabulary=open",
            r"model\.vocabulary=open: needs one label .*set model\.vocabulary=closed",
        ),
        ("fusion", "model.fuser=late", r"model\.fuser=late: needs one label .*set model\.fuser=concat"),
        ("text", "train.sampler=balanced", "balanced: needs one label"),
        ("text", "train.oversample_up_to=9", "oversample_up_to=9: needs one label"),
        ("image", "stage3_classes=3", "stage3_classes=3: needs one label"),
        ("multitask", "train.epochs=1", r"model\.auxiliary=masterCategory, subCategory: needs one label"),
    ],
)
def test_setting_of_one_label_is_refused(
    tags_dir: Path, tmp_path: Path, variant: str, word: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        train(variant, tags_dir, tmp_path / "run", overrides=(*CATALOG, word), cpu=True)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_export_is_refused(fusion: Path, tmp_path: Path) -> None:
    with pytest.raises(
        PredictionError, match="predicts several labels per product, which exports do not support"
    ):
        export(ExportRequest(fusion, tmp_path / "export", kind="torch"))
