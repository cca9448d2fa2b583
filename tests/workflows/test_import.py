"""`fusionclf import`: a run folder that other commands read."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from fusionclf.cli import app
from fusionclf.report import compare, list_label_issues
from tests.runs import Runs


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def labels(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels as a language model would give them: those of the linear run."""
    frame = runs.predictions("linear", "joint")
    table = pd.DataFrame({"id": frame["id"], "prediction": frame["label_1"], "answer": "as given"})
    file = tmp_path_factory.mktemp("import") / "llm.jsonl"
    table.to_json(file, orient="records", lines=True)
    return file


@pytest.fixture(scope="module")
def run(labels: Path, sample_dir: Path) -> Path:
    out = labels.parent / "llm"
    done = call("import", labels, "--data", sample_dir, "--name", "llm", "--out", out)
    assert done.exit_code == 0, done.output
    assert "1 columns are not read, because they are not classes: 'answer'" in done.stderr
    return out


def test_imported_run_is_compared_as_any_run(run: Path, runs: Runs, tmp_path: Path) -> None:
    value = compare([run, runs("linear")], tmp_path / "report")
    scores = {each["name"]: each["scores"]["joint"] for each in value["runs"]}
    assert scores["llm"]["top1"] == scores["linear"]["top1"] and scores["llm"]["ece"] is None
    assert [row["run"] for row in value["calibration"]["joint"]] == ["linear"]
    assert "NaN" not in (tmp_path / "report" / "report.json").read_text()
    issues = list_label_issues([run, runs("linear")], tmp_path / "issues")
    assert issues["entries"] and max(entry["scored"] for entry in issues["entries"]) == 2


def test_card_says_where_predictions_come_from(run: Path) -> None:
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "made by another program" in card and "`llm.jsonl`" in card and "How to load" not in card
    assert json.loads((run / "environment.json").read_text())["parameters"] is None


@pytest.mark.parametrize("command", ["predict", "export", "push"])
def test_commands_that_need_a_model_refuse_the_run(command: str, run: Path, tmp_path: Path) -> None:
    words = {
        "predict": ["--title", "Red Dress"],
        "export": ["--out", tmp_path / "out"],
        "push": ["--repo", "me/llm", "--dry-run"],
    }[command]
    done = call(command, "--run", run, *words)
    assert done.exit_code == 2 and "has no model: its predictions were imported from llm.jsonl" in done.stderr


def test_names_of_own_models_are_refused(labels: Path, sample_dir: Path, tmp_path: Path) -> None:
    for name in ("fusion", "linear"):
        done = call("import", labels, "--data", sample_dir, "--name", name, "--out", tmp_path / "run")
        assert done.exit_code == 2 and f"my-{name}" in done.stderr
    assert not (tmp_path / "run").exists()


def test_refused_file_leaves_an_earlier_run_alone(
    run: Path, labels: Path, sample_dir: Path, tmp_path: Path
) -> None:
    before = (run / "metrics.json").read_bytes()
    (tmp_path / "bad.csv").write_text("id,label\n1,Nothing\n")
    words = ("import", tmp_path / "bad.csv", "--data", sample_dir, "--name", "llm", "--out", run)
    assert call(*words, "--overwrite").exit_code == 2
    assert (run / "metrics.json").read_bytes() == before
    assert "holds a run already" in call("import", labels, *words[2:]).stderr


def test_several_labels_a_product_are_refused(labels: Path, sample_dir: Path, tmp_path: Path) -> None:
    words = ("--data", sample_dir, "catalog.label_list=|")
    done = call("import", labels, "--name", "llm", "--out", tmp_path / "run", *words)
    assert done.exit_code == 2 and "import reads one label per product" in done.stderr
    done = call("data", "apply", labels, *words)
    assert done.exit_code == 2 and "data apply reads one label per product" in done.stderr
