"""The prepared GPU check, in miniature on a CPU, and the page that it writes."""

import json
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

import fusionclf
from benchmarks import gpu_check, gpu_steps
from benchmarks.gpu_check import ROOT, STEPS, Report, page, prepare
from fusionclf.catalog import read_catalog

RESULTS = ROOT / "benchmarks" / "gpu_check.json"


def test_the_page_is_that_of_the_results() -> None:
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    written = (ROOT / "docs" / "GPU.md").read_text(encoding="utf-8")
    assert written == page(found), "run python benchmarks/gpu_check.py --page"
    assert found or "has not been tested on a GPU yet" in written


def test_a_checkout_and_wheels_are_importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "")
    with zipfile.ZipFile(tmp_path / "onlyhere-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("onlyhere_of_a_wheel.py", "ANSWER = 7\n")
    prepare(tmp_path / "packages", tmp_path)
    (own,) = distributions(path=[str(tmp_path / "packages")])
    assert own.version == fusionclf.__version__
    from onlyhere_of_a_wheel import ANSWER  # type: ignore[import-not-found]

    assert ANSWER == 7


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setitem(gpu_check.IMPORTS, "pillow", "no_such_module")
    with pytest.raises(SystemExit, match="missing packages: pillow; put their wheels"):
        prepare(tmp_path, None)


def test_a_step_that_fails_or_comes_too_late_is_recorded(tmp_path: Path) -> None:
    report = Report(tmp_path / "found.json", minutes=1)
    report.add("bare", lambda: 100.0)
    report.add("training", lambda: {"pictures_per_second": 95.0, "memory_mib": 7.0})
    report.add("smoke", lambda: 1 / 0)
    report.limit_s = 0
    report.add("frozen", lambda: pytest.fail("no time is left"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["smoke"]["failed"] == "ZeroDivisionError: division by zero"
    shown = page(found)
    assert "95 pictures/s, 0.95 of the bare step; 7 MiB of the GPU" in shown
    assert f"| {STEPS['smoke']} | failed: ZeroDivisionError: division by zero |" in shown
    assert f"| {STEPS['frozen']} | failed: no time was left |" in shown
    assert f"| {STEPS['tuned']} | failed: not run |" in shown


@pytest.mark.slow
def test_speed_is_measured_in_miniature(
    sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    catalog, sizes = read_catalog(sample_dir), gpu_steps.MINIATURE
    source = gpu_steps.source_of(catalog, sizes)
    ours = gpu_steps.our_training(source, sizes, tmp_path)
    assert ours["pictures_per_second"] > 0 and gpu_steps.bare_training(sizes) > 0
    assert gpu_steps.reference_training(catalog, sizes, workers=0) > 0


@pytest.mark.slow
def test_a_killed_training_resumes_in_miniature(sample_dir: Path, tmp_path: Path) -> None:
    found = gpu_steps.kill_and_resume(sample_dir, tmp_path, gpu_steps.MINIATURE)
    assert found["killed"] and found["resumed_top1"] == found["whole_top1"]


@pytest.mark.slow
def test_fusion_and_prediction_are_timed_in_miniature(sample_dir: Path, tmp_path: Path) -> None:
    sizes = gpu_steps.MINIATURE
    found = gpu_steps.fusion(sizes.frozen, sample_dir, tmp_path / "run", 300)
    assert set(found["top1"]) == {"top20", "rest"}
    assert gpu_steps.difference_when_loaded(tmp_path / "run", sample_dir) < 1e-3
    assert gpu_steps.prediction(tmp_path / "run", read_catalog(sample_dir), sizes) > 0
    with pytest.raises(TimeoutError, match="stopped after 0 s"):
        gpu_steps.fusion(sizes.frozen, sample_dir, tmp_path / "late", 0.2)
