"""A target precision from training to the command line, on classes that are named by codes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fusionclf
from fusionclf.cli import app
from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation import read_predictions
from fusionclf.report.label_issues import list_label_issues
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.train import train
from tests.small import small_late_fusion, write_catalog

WORDS = ("catalog.id=sku", "catalog.title=name", "catalog.label=type", "catalog.picture=images/{sku}.jpg",
         "catalog.categories=", "catalog.metadata=", "catalog.year=null", "split.rule=random")  # fmt: skip
CODES = ("True", "1e5", "007", "7", "K-1", "K-2", "9a", "9b")
BRANDS = ("Alder", "Birch", "Cedar", "Elm")
PRODUCTS = 480


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Titles that separate the classes; each class has one brand."""
    rows = [f"p{n},{BRANDS[n % 4]} item-kind{n % 8} no {n},{CODES[n % 8]}" for n in range(PRODUCTS)]
    return write_catalog(tmp_path_factory.mktemp("shop"), rows, "sku,name,type")


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary", ["open", "named"])
def test_coded_classes_are_accepted_and_undisputed(
    shop: Path, tiny_bert: Path, tmp_path: Path, vocabulary: str
) -> None:
    words = (*WORDS, *small_late_fusion(tiny_bert), f"model.vocabulary={vocabulary}", "train.epochs=1")
    run = tmp_path / "run"
    metrics = train("fusion", shop, run, overrides=words, cpu=True)
    assert metrics["joint"]["top1"] > 97
    held_out = read_predictions(run / "held_out" / "joint.parquet")
    assert len(held_out) > 0.5 * PRODUCTS
    assert np.mean(held_out["label"] == held_out["label_1"]) > 0.97
    assert min(held_out["label_train_count"]) > 0 and not any(held_out["leaked_title"])
    titles = pd.read_csv(shop / "styles.csv")["name"].tolist()
    answers = fusionclf.load(run, device="cpu").predict(titles=titles, target_precision=0.95)
    assert np.mean(np.array(answers.decisions) == "accept") > 0.9
    assert list_label_issues([run], tmp_path / "issues", data=shop)["disputed"] <= 0.02 * PRODUCTS


def test_refused_target_ends_the_command_in_one_line(shop: Path, tmp_path: Path) -> None:
    run_baseline("linear", shop, tmp_path / "run", overrides=(*WORDS, "split.seed=1"))
    words = ["predict", "--run", str(tmp_path / "run"), "--title", "Elm item-kind3", "--target-precision"]
    refused = CliRunner().invoke(app, [*words, "0.99"])
    line = " ".join(refused.output.split())
    assert refused.exit_code == 2
    assert "target_precision=0.99: at most 0.97 can be guaranteed from the 77 held-out products; give" in line
    done = CliRunner().invoke(app, [*words, "0.9"])
    assert done.exit_code == 0 and "sure at 90 %: 7" in done.output
    with pytest.raises(SettingsError, match=r"give --target-precision 0\.97 or less"):
        fusionclf.load(tmp_path / "run").predict(titles=["Elm"], target_precision=0.98)


def test_a_run_without_held_out_predictions_says_so(shop: Path, tmp_path: Path) -> None:
    run_baseline("nb", shop, tmp_path / "run", overrides=WORDS)
    with pytest.raises(RunError, match="has no held-out predictions to fit thresholds on"):
        fusionclf.load(tmp_path / "run").predict(titles=["Elm"], target_precision=0.9)
