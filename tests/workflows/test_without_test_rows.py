"""split.test_fraction=0: all rows are learned from; what needs test rows says so."""

from pathlib import Path

import pytest

from fusionclf.catalog import generate_sample
from fusionclf.cli.train import show_scores
from fusionclf.console import SILENT, Console
from fusionclf.errors import RunError
from fusionclf.evaluation.read_predictions import read_predictions
from fusionclf.prediction import RunModel, load
from fusionclf.report import compare
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.data import data_check
from fusionclf.workflows.drift import DriftRequest, drift

NO_TEST = ("split.rule=random", "split.test_fraction=0")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_sample(tmp_path_factory.mktemp("shop") / "catalog", products=200, seed=0)


@pytest.mark.parametrize("name", ["nb", "majority"])
def test_a_run_without_test_rows_predicts(
    name: str, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = run_baseline(name, shop, tmp_path / "run", overrides=NO_TEST)
    assert {scores["n"] for scores in metrics["parts"].values()} == {0}
    assert load(tmp_path / "run").predict(titles=["Women Red Dress"]).labels[0]
    assert len(read_predictions(tmp_path / "run/predictions/top20.parquet")) == 0
    show_scores(Console(), tmp_path / "run", metrics)
    shown = capsys.readouterr().err
    assert "top20: no test products, so no metrics" in shown and "next: fusionclf predict --run" in shown
    assert "The run has no test products" in (tmp_path / "run" / "README.md").read_text()
    with pytest.raises(RunError, match=r"run: has no test products.*split\.test_fraction above 0"):
        compare([tmp_path / "run"], None)


def test_data_check_accepts_no_test_rows(shop: Path) -> None:
    assert data_check(shop, None, NO_TEST, True, Console())


def test_drift_needs_test_rows_and_says_so(shop: Path, tmp_path: Path) -> None:
    run_baseline("linear", shop, tmp_path / "run", overrides=NO_TEST)
    request = DriftRequest(RunModel(tmp_path / "run"), shop / "styles.csv")
    with pytest.raises(
        RunError, match=r"has no test products of joint to compare with.*split\.test_fraction"
    ):
        drift(request, console=SILENT)
