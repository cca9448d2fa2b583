"""What a run folder is taken for: new, begun, or somebody's other files."""

import subprocess
import sys
from pathlib import Path

import pytest

from fusionclf.errors import RunError
from fusionclf.runfolder import LEFT, check_finished, clear_run, open_run

FLAGS = [{}, {"resume": True}, {"overwrite": True}]


@pytest.mark.parametrize("flags", FLAGS)
def test_a_folder_of_leftovers_is_a_new_one(flags: dict[str, bool], tmp_path: Path) -> None:
    (tmp_path / ".config.yaml.abcdefgh.partial").write_text("variant: li")
    (tmp_path / ".checkpoints.abcdefgh.partial").mkdir()
    (tmp_path / ".lock").touch()
    (tmp_path / "config.yaml").touch()  # of a power cut
    open_run(tmp_path, **flags)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "config.yaml"]


@pytest.mark.parametrize("flags", FLAGS)
def test_other_files_beside_leftovers_are_not_touched(flags: dict[str, bool], tmp_path: Path) -> None:
    (tmp_path / ".config.yaml.abcdefgh.partial").touch()
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(RunError, match="holds other files"):
        open_run(tmp_path, **flags)
    assert (tmp_path / "thesis.txt").exists()


def test_a_run_without_settings_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").touch()
    with pytest.raises(RunError, match=r"config\.yaml is missing or empty, .*--overwrite replaces the run"):
        open_run(tmp_path, resume=True)
    open_run(tmp_path, overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_resumed_run_loses_partial_files(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("variant: linear")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/.joint.skops.abcdefgh.partial").touch()
    (tmp_path / "model/joint.skops").touch()
    (tmp_path / ".answers.csv.abcdefgh.partial").touch()  # of a prediction that goes here
    open_run(tmp_path, resume=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        ".answers.csv.abcdefgh.partial", "config.yaml", "joint.skops", "model",
    ]  # fmt: skip


def test_a_run_is_cleared_from_its_end_to_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in LEFT:
        (tmp_path / name).mkdir() if "." not in name else (tmp_path / name).write_text("x")
    removed: list[str] = []
    monkeypatch.setattr("fusionclf.runfolder.remove", lambda path: removed.append(path.name))
    clear_run(tmp_path)
    assert removed[0] == "metrics.json" and removed[-1] == "config.yaml" and set(removed) == set(LEFT)


def test_peak_memory_is_of_this_process_alone() -> None:
    """A child began with the peak of its parent, as getrusage counts it."""
    script = (
        "import subprocess, sys; block = bytearray(600 * 2**20)\n"
        "code = 'from fusionclf.runfolder import peak_memory_mib; print(peak_memory_mib())'\n"
        "print(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 5 < float(done.stdout) < 500


def test_a_folder_above_runs_is_named_with_a_run(tmp_path: Path) -> None:
    (tmp_path / "linear").mkdir()
    (tmp_path / "linear" / "metrics.json").write_text("{}")
    check_finished(tmp_path / "linear")
    with pytest.raises(RunError, match=r"no run folder \(no config\.yaml\); did you mean '.*/linear'"):
        check_finished(tmp_path)


def test_a_folder_without_a_run_is_not_suggested_itself(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    with pytest.raises(
        RunError, match=r"\(no config\.yaml\); give the folder that a training was given as --out$"
    ):
        check_finished(tmp_path / "catalog")


def test_a_begun_run_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("variant: image\n")
    with pytest.raises(RunError, match=r"not finished \(no metrics\.json\); .* --resume$"):
        check_finished(tmp_path)
