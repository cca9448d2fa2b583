"""One output belongs to one command, and is not made again where it was removed under a command."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fusionclf.catalog import generate_sample
from fusionclf.cli import app
from fusionclf.console import Console
from fusionclf.errors import RunError
from fusionclf.report import compare
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.train import TrainOptions, train
from tests.test_files import held

TEXT = ("scheme=single_stage", "model.text.buckets=4096", "model.text.dim=16", "train.epochs=2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_sample(tmp_path_factory.mktemp("outputs") / "catalog", products=200)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("baseline linear --data DATA --out OUT", "locked_folder"),
        ("baseline linear --data DATA --out OUT --resume", "locked_folder"),
        ("baseline linear --data DATA --out OUT --overwrite", "locked_folder"),
        ("train text --data DATA --out OUT --cpu", "locked_folder"),
        ("study --data DATA --out OUT --cpu", "locked_folder"),
        ("demo --out OUT", "locked_folder"),
        ("compare RUN --out OUT", "locked_folder"),
        ("label-issues --run RUN --out OUT", "locked_folder"),
        ("classes add --run OUT --name Kite", "locked_folder"),
        ("classes remove --run OUT --name Kite", "locked_folder"),
        ("export --run RUN --out OUT", "locked_output"),
        ("data sample OUT", "locked_output"),
    ],
)
def test_a_second_command_on_one_output_is_one_line(
    words: str, kind: str, data: Path, tmp_path: Path
) -> None:
    places = {"OUT": tmp_path / "out", "DATA": data, "RUN": tmp_path / "run"}
    with held(kind, tmp_path / "out"):
        before = sorted(tmp_path.rglob("*"))
        result = CliRunner().invoke(app, [str(places.get(word, word)) for word in words.split()])
        assert sorted(tmp_path.rglob("*")) == before
    assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1, result.output
    assert "out: another command is writing to it; wait until it ends" in result.stderr


class Removing(Console):
    """Removes a folder as soon as a run has begun, then goes on as nothing had happened."""

    def __init__(self, folder: Path, *, keep_hidden: bool = False) -> None:
        super().__init__(quiet=True)
        self.folder, self.keep_hidden = folder, keep_hidden

    def info(self, text: str) -> None:
        if ": fit on " in text:
            self.remove()

    def stage(self, *_: Any, **__: Any) -> None:
        self.remove()

    def remove(self) -> None:
        if not self.keep_hidden:
            shutil.rmtree(self.folder)
            return
        for path in self.folder.glob("[!.]*"):  # rm -r FOLDER/*
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_baseline_notices_that_its_folder_was_removed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(RunError, match="run: was removed or moved while this command wrote to it"):
        run_baseline("linear", data, out, console=Removing(out))
    assert not out.exists()


def test_a_baseline_notices_that_its_files_were_removed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(RunError, match="run: its files were removed while the command ran"):
        run_baseline("linear", data, out, console=Removing(out, keep_hidden=True))
    assert not (out / "metrics.json").exists()


def test_training_notices_that_its_folder_was_removed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(RunError, match="run: was removed or moved while this command wrote to it"):
        train("text", data, out, overrides=TEXT, cpu=True, options=TrainOptions(console=Removing(out)))
    assert not out.exists()


def test_a_report_that_cannot_be_written_is_not_begun(data: Path, tmp_path: Path) -> None:
    run_baseline("linear", data, tmp_path / "run")
    file = tmp_path / "run/metrics.json"
    metrics = json.loads(file.read_text())
    for scores in metrics["parts"].values():
        scores["ece"] = math.inf
    file.write_text(json.dumps(metrics))
    with pytest.raises((RunError, ValueError)):
        compare([tmp_path / "run"], tmp_path / "report")
    assert not (tmp_path / "report").exists()
