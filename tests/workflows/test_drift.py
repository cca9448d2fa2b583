"""`fusionclf drift`: a run, a file of products, an exit code."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from fusionclf.catalog import Catalog
from fusionclf.cli import app
from tests.runs import Runs


def drift(*words: object) -> Result:
    return CliRunner().invoke(app, ["drift", *map(str, words), "--cpu"])


def checks(folder: Path) -> dict[str, dict[str, Any]]:
    """The checks of drift.json by name."""
    value = json.loads((folder / "drift.json").read_text(encoding="utf-8"))
    return {check["name"]: check for check in value["checks"]}


@pytest.fixture
def tested(runs: Runs, sample: Catalog, tmp_path: Path) -> Path:
    """A file of the test products of the runs."""
    known = set(runs.predictions("linear", "joint")["id"])
    rows = [row for row, product in enumerate(sample.table["id"]) if product in known]
    table = sample.table.iloc[rows].rename(columns={"title": "productDisplayName"})
    table[["id", "productDisplayName"]].to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


def test_test_products_themselves_are_no_drift(
    runs: Runs, tested: Path, sample: Catalog, tmp_path: Path
) -> None:
    words = ("--run", runs("fusion"), "--input", tested, "--pictures", sample.root, "--out", tmp_path / "out")
    result = drift(*words)
    assert result.exit_code == 0, result.output
    assert "no drift" in result.stdout and "wrote" in result.stderr
    found = checks(tmp_path / "out")
    assert {"predicted class", "confidence", "missing:picture", "unknown:title", "picture:brightness"} <= {
        *found
    }
    # Labels of near ties may differ from those of the run, whose batches were others.
    assert max(check["effect"] for check in found.values()) < 0.03
    assert "No drift" in (tmp_path / "out" / "drift.html").read_text(encoding="utf-8")


def test_foreign_words_and_dark_pictures_are_drift(runs: Runs, tested: Path, tmp_path: Path) -> None:
    table = pd.read_csv(tested, dtype=str).head(150)
    (tmp_path / "shop" / "images").mkdir(parents=True)
    for product in table["id"].iloc[:100]:
        Image.new("RGB", (60, 80), (20, 20, 60)).save(tmp_path / "shop" / "images" / f"{product}.jpg")
    table["productDisplayName"] = ["<b>Chaussure rouge</b>", "Robe bleue pour femme", "Montre"] * 50
    table.to_csv(tmp_path / "shop" / "new.csv", index=False)
    words = ("--run", runs("fusion"), "--input", tmp_path / "shop" / "new.csv", "--out", tmp_path / "out")
    result = drift(*words)
    assert result.exit_code == 1, result.output
    found = checks(tmp_path / "out")
    for name in ("missing:picture", "unknown:title", "picture:brightness"):
        assert found[name]["drifted"], name
    assert found["missing:picture"]["current"] == pytest.approx(1 / 3)
    assert any(detail.startswith("robe:") for detail in found["unknown:title"]["details"])
    page = (tmp_path / "out" / "drift.html").read_text(encoding="utf-8")
    assert "The new products differ" in page and "<b>Chaussure" not in page
    assert "drift: " in result.stdout.splitlines()[-1]


def test_large_file_is_sampled(runs: Runs, tested: Path, tmp_path: Path) -> None:
    result = drift("--run", runs("linear"), "--input", tested, "--rows", 100, "--json")
    value = json.loads(result.stdout)
    assert 60 < value["products"] < 140 and value["rows"] == len(pd.read_csv(tested))
    assert "missing:picture" not in {check["name"] for check in value["checks"]}  # it reads none


def test_run_without_inputs_is_compared_by_its_catalog(runs: Runs, tested: Path, tmp_path: Path) -> None:
    shutil.copytree(runs("linear"), tmp_path / "old")
    words = ("--run", tmp_path / "old", "--input", tested, "--json")
    expected = json.loads(drift(*words).stdout)
    shutil.rmtree(tmp_path / "old" / "inputs")
    assert json.loads(drift(*words).stdout)["checks"] == expected["checks"]
    config = tmp_path / "old" / "config.yaml"
    data = next(line for line in config.read_text().splitlines() if line.startswith("data:"))
    config.write_text(config.read_text().replace(data, "data: gone"))
    result = drift(*words)
    assert result.exit_code == 2 and "give its catalog by --data" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--threshold", 1.5), "between 0 and 1"), (("--part", "x"), "no model of part 'x'")],
)
def test_bad_request_is_refused(runs: Runs, tested: Path, words: tuple[object, ...], message: str) -> None:
    result = drift("--run", runs("linear"), "--input", tested, *words)
    assert result.exit_code == 2 and message in result.stderr


def test_rows_that_are_no_products_are_counted(runs: Runs, tested: Path) -> None:
    with tested.open("a", encoding="utf-8") as file:
        file.write(",Dress without an id\n")
    assert "1 rows cannot be read" in drift("--run", runs("linear"), "--input", tested).stderr


def test_file_without_products_is_refused(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("id,productDisplayName\n")
    result = drift("--run", runs("linear"), "--input", tmp_path / "new.csv")
    assert result.exit_code == 2 and "no products to compare" in result.stderr


def test_damaged_reference_is_refused(runs: Runs, tested: Path, tmp_path: Path) -> None:
    shutil.copytree(runs("linear"), tmp_path / "run")
    (tmp_path / "run" / "inputs" / "words.npy").write_bytes(b"damaged")
    result = drift("--run", tmp_path / "run", "--input", tested)
    assert result.exit_code == 2 and "words.npy: cannot be read" in result.stderr
