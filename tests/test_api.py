"""What `import fusionclf` offers."""

import doctest
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fusionclf
from fusionclf import api, batch_api
from fusionclf.config import read_yaml
from fusionclf.errors import CatalogError, RunError, SettingsError
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
    for module in (api, batch_api):
        result = doctest.testmod(module)
        assert result.attempted > 0 and result.failed == 0
    assert (workplace / "report" / "report.html").is_file()
    assert (workplace / "runs" / "text" / "metrics.json").is_file()


def test_if_exists_protects_replaces_or_resumes_a_run(workplace: Path) -> None:
    metrics = workplace / "runs" / "linear" / "metrics.json"
    with pytest.raises(RunError, match="holds a run already"):
        fusionclf.baseline("linear", "data/sample", "runs/linear")
    before = metrics.stat().st_mtime_ns
    fusionclf.baseline("linear", "data/sample", "runs/linear", if_exists="overwrite")
    after = metrics.stat().st_mtime_ns
    fusionclf.baseline("linear", "data/sample", "runs/linear", if_exists="resume")
    assert before < after == metrics.stat().st_mtime_ns


@pytest.mark.parametrize(
    "settings",
    [{"seed": 3, "split": {"seed": 5}}, {"seed": 3, "split.seed": 5}],
    ids=["nested", "dotted"],
)
def test_settings_are_keyword_arguments(settings: dict[str, Any], workplace: Path) -> None:
    fusionclf.baseline("nb", "data/sample", "runs/nb", **settings)
    config = read_yaml(workplace / "runs" / "nb" / "config.yaml")
    assert (config["seed"], config["split"]["seed"]) == (3, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": 1}, "unknown setting 'seeds': did you mean 'seed'"),
        ({"train": {"epoch": 1}}, r"unknown setting 'train\.epoch': did you mean 'epochs'"),
        ({"train.epochs": 0}, r"setting train\.epochs=0: .*greater than or equal to 1"),
        ({"train": {"epochs": 1}, "train.epochs": 2}, r"setting train\.epochs is given twice; keep one"),
        ({"train.": 1}, r"'train\.': a setting's name is key\.path, such as train\.epochs"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, Any], message: str, workplace: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        fusionclf.train("text", "data/sample", "runs/text", **settings)
    assert not (workplace / "runs" / "text").exists()


def test_describe_writes_catalog_yaml_and_keeps_settings(tmp_path: Path) -> None:
    rows = "\n".join(f"{n},{n % 3} {'red blue'.split()[n % 2]} shoe no {n},Shoes {n % 2}" for n in range(40))
    (tmp_path / "products.csv").write_text(f"sku,name,type\n{rows}\n")
    found = fusionclf.describe(tmp_path, catalog={"categories": []}, split={"test_fraction": 0.5})
    assert (found.settings["catalog.title"], found.settings["catalog.label"]) == ("name", "type")
    assert read_yaml(tmp_path / "catalog.yaml")["split"]["test_fraction"] == 0.5
    with pytest.raises(CatalogError, match="exists already"):
        fusionclf.describe(tmp_path)
    fusionclf.describe(tmp_path, if_exists="overwrite")
    assert (tmp_path / "catalog.yaml.1").is_file()
