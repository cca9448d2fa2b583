"""`fusionclf demo` shows what it should, and the README's Python runs on what it leaves."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from fusionclf.cli import app
from fusionclf.estimator import classifier
from fusionclf.workflows import study
from tests.docs.pages import ROOT, code_blocks, read
from tests.small import short_fitting

FEW = ("train.epochs=2", "stage2.epochs=2")
SMALL_TEXT = {"model": {"text": {"buckets": 4096, "dim": 16}}, "train": {"epochs": 1}}

pytestmark = pytest.mark.slow


def run_here(command: list[str]) -> int:
    """A run of the study, in this process; what is not fusion is trained for two epochs."""
    start, words = command[:3], command[3:]
    assert start == [sys.executable, "-m", "fusionclf"]
    few = FEW if words[0] == "train" and words[1] != "fusion" else ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(study.ANNOUNCED, "1")
        result = CliRunner().invoke(app, [*words, *few])
    print(result.output)
    return result.exit_code


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder, with `demo/` as the command leaves it, and `output.txt`."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "_run", run_here)
        patch.chdir(folder)
        short_fitting(patch)
        result = CliRunner().invoke(app, ["demo", "--out", "demo", "--products", "200"])
        assert result.exit_code == 0, result.output
        Path("output.txt").write_text(result.output)
        yield folder


def test_demo_shows_what_fusion_can_do(demo: Path) -> None:
    names = {"majority", "nb", "nb-reference", "linear", "image", "multitask", "text", "fusion"}
    assert {run.name for run in (demo / "demo" / "runs").iterdir()} == names
    assert "data:image/jpeg" in (demo / "demo" / "report" / "report.html").read_text(encoding="utf-8")
    output = (demo / "output.txt").read_text()
    named, of = map(int, re.findall(r"fusion predicts (\d+) of their (\d+) test products right", output)[0])
    assert of / 3 <= named <= of
    found, listed = map(int, re.findall(r"(\d+) of the catalog's 8 are among the (\d+)", output)[0])
    assert 4 <= found <= listed <= 16
    assert (demo / "demo" / "explanation" / "explanation.png").is_file()
    assert (demo / "demo" / "label-issues" / "label-issues.html").is_file()
    assert output.count("(CSV, commas, UTF-8; 10 columns)") == 1  # not once a run


def test_readme_python_runs(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.yaml").write_text(yaml.safe_dump(SMALL_TEXT))
    monkeypatch.setitem(classifier.CONFIGS, "text", (str(tmp_path / "text.yaml"),) * 2)
    (code,) = code_blocks(read(ROOT / "README.md"), "python")
    some = next((demo / "demo" / "catalog" / "images").glob("*.jpg"))  # the README's demo has more products
    exec(compile(code.replace("7811", some.stem), "README.md", "exec"), {})
    assert (demo / "report" / "report.html").is_file()
    assert (demo / "explanation" / "explanation.png").is_file()
