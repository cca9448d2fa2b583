"""Commands that a signal or Ctrl-C ends."""

import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fusionclf.cli import app
from fusionclf.errors import Stopped


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_by_a_signal_exits_with_the_shells_code(
    number: int, code: int, sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Stopped("stopped; all work so far is saved: run the same command again with --resume", number)

    monkeypatch.setattr("fusionclf.workflows.train.train", stop)
    result = call("train", "text", "--data", sample_dir, "--out", tmp_path / "run")
    assert result.exit_code == code
    assert result.stderr.startswith("stopped; all work so far is saved")


@pytest.mark.parametrize(
    ("target", "words", "expected"),
    [
        ("train.train", "train text --data {} --out {}/run", "; run the same command again with --resume"),
        ("predict.predict", "predict --run {0} --input {0}", "; run the same command again with --resume"),
        ("study.study", "study --data {} --out {}/study", "; run the same command again to resume"),
        ("demo.demo", "demo --out {}/demo", "; run the same command again to resume"),
        ("export.export", "export --run {} --out {}/onnx", ""),
        ("classes.list_classes", "classes list --run {}", ""),
    ],
)  # fmt: skip
def test_an_interrupted_command_says_how_to_resume(
    target: str, words: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"fusionclf.workflows.{target}", interrupted)
    result = call(*words.format(tmp_path, tmp_path).split(" "))
    assert (result.exit_code, result.stderr.splitlines()) == (130, [f"interrupted{expected}"])
