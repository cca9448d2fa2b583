"""What `import fusionclf` offers."""

import doctest
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fusionclf
from fusionclf import api
from fusionclf.errors import RunError
from tests.runs import Runs


@pytest.fixture
def workplace(runs: Runs, sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data/sample and runs/linear."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sample").symlink_to(sample_dir)
    shutil.copytree(runs("linear"), tmp_path / "runs" / "linear")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_importing_fusionclf_needs_no_torch() -> None:
    code = "import sys, fusionclf; fusionclf.load; print({'torch', 'pandas'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.slow
def test_the_examples_in_docstrings_hold(workplace: Path) -> None:
    result = doctest.testmod(api)
    assert result.attempted > 0 and result.failed == 0
    assert (workplace / "report" / "report.html").is_file()
    assert (workplace / "runs" / "text" / "metrics.json").is_file()


def test_if_exists_protects_replaces_or_resumes_a_run(workplace: Path) -> None:
    metrics = workplace / "runs" / "linear" / "metrics.json"
    with pytest.raises(RunError, match="holds a run already"):
        fusionclf.baseline("linear", "data/sample", "runs/linear")
    before = metrics.stat().st_mtime_ns
    fusionclf.baseline("linear", "data/sample", "runs/linear", if_exists="resume")
    assert metrics.stat().st_mtime_ns == before
    fusionclf.baseline("linear", "data/sample", "runs/linear", if_exists="overwrite")
    assert metrics.stat().st_mtime_ns > before
