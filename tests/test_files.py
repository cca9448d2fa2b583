"""Files and folders appear whole and together, belong to one command at a time, and are not created again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fusionclf.errors import RunError
from fusionclf.files import (
    is_locked,
    locked_folder,
    locked_output,
    remove,
    replacing_all,
    replacing_folder,
    sweep,
    sweep_below,
    wait_until_free,
    write_all,
    write_text,
)

HOLD = """
import sys
from pathlib import Path
from fusionclf import files
with getattr(files, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(kind: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `path`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, kind, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_several_files_appear_together(tmp_path: Path) -> None:
    with replacing_all(tmp_path / "a", tmp_path / "b") as (first, second):
        first.write_text("a")
        second.write_text("b")
        assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
    assert names(tmp_path) == ["a", "b"]


def test_none_of_several_files_appears_where_one_fails(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with (
        pytest.raises(RunError, match=r"a, b: cannot be written .*No space left"),
        replacing_all(tmp_path / "a", tmp_path / "b") as (first, _),
    ):
        first.write_text("new")
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_a_folder_in_the_place_of_a_file_stops_all(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(RunError, match=r"b: cannot be written \(it is a folder"):
        write_all(tmp_path, {"a": "new", "b": "new"})
    assert names(tmp_path) == ["b"]


def test_a_sweep_removes_partial_names_of_its_output_alone(tmp_path: Path) -> None:
    (tmp_path / ".a.abcdefgh.partial").touch()
    (tmp_path / ".a.ijklmnop.partial").mkdir()
    (tmp_path / ".a.ijklmnop.partial/file").touch()
    others = [".a", ".a.csv.abcdefgh.partial", ".a.mine.partial", ".b.abcdefgh.partial", "a.abcdefgh.partial"]
    for name in others:
        (tmp_path / name).touch()
    sweep(tmp_path / "a")
    assert names(tmp_path) == sorted(others)
    sweep_below(tmp_path)
    assert names(tmp_path) == [".a", ".a.mine.partial", "a.abcdefgh.partial"]


@pytest.mark.parametrize(("kind", "lock"), [("locked_folder", "out/.lock"), ("locked_output", ".out.lock")])
def test_a_lock_refuses_others_and_dies_with_its_process(kind: str, lock: str, tmp_path: Path) -> None:
    lock_here = {"locked_folder": locked_folder, "locked_output": locked_output}[kind]
    with held(kind, tmp_path / "out") as process:
        with pytest.raises(RunError, match="out: another command is writing to it; wait until"):
            with lock_here(tmp_path / "out"):
                pytest.fail("two commands hold one lock")
        assert (tmp_path / lock).exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (tmp_path / lock).exists()
    with lock_here(tmp_path / "out"):
        pass
    assert not (tmp_path / lock).exists()


def test_a_command_may_lock_its_own_output_again(tmp_path: Path) -> None:
    with locked_folder(tmp_path), locked_folder(tmp_path):
        pass
    assert names(tmp_path) == []


def test_a_locked_folder_that_stays_empty_is_removed(tmp_path: Path) -> None:
    with locked_folder(tmp_path / "new/deep"):
        assert (tmp_path / "new/deep").is_dir()
    assert names(tmp_path) == []
    (tmp_path / "empty").mkdir()
    with locked_folder(tmp_path / "empty"):
        pass
    assert names(tmp_path) == ["empty"]


def test_a_lock_can_be_waited_for(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with held("locked_folder", tmp_path) as process:
        assert is_locked(tmp_path)
        assert process.stdin is not None
        process.stdin.close()  # it ends then
        wait_until_free(tmp_path, timeout=30)
    assert not is_locked(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("change", ["removed", "moved", "removed and made again"])
def test_removed_locked_folder_is_not_created_again(change: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RunError, match=r"out: was removed or moved while this command wrote to it"):
        with locked_folder(out):
            write_text(out / "sub/a", "a")
            out.rename(tmp_path / "moved") if change == "moved" else remove(out)
            if change == "removed and made again":
                out.mkdir()
                (out / ".lock").touch()
            write_text(out / "sub/b", "b")
    assert not (out / "sub").exists()
    if change == "removed and made again":  # by another command, whose lock it is
        assert names(out) == [".lock"]


def test_folder_removed_while_writing_is_reported(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RunError, match="was removed or moved"), locked_folder(out):
        with replacing_all(out / "a", out / "b") as (first, _):
            first.write_text("a")
            remove(out)
    assert names(tmp_path) == []


def test_an_interrupted_replacement_gives_the_folder_back(tmp_path: Path) -> None:
    (tmp_path / ".out.earlier").mkdir()
    (tmp_path / ".out.earlier/old").touch()
    (tmp_path / ".out.abcdefgh.partial").mkdir()
    with locked_output(tmp_path / "out"):
        assert names(tmp_path / "out") == ["old"]
        with replacing_folder(tmp_path / "out", overwrite=True) as aside:
            (aside / "new").touch()
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["new"]


def test_folder_is_not_replaced_without_overwrite(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    with pytest.raises(RunError, match="out: cannot be written"), replacing_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["old"]


def test_link_to_a_folder_is_removed_without_its_target(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    os.symlink(tmp_path / "mine", tmp_path / "link")
    remove(tmp_path / "link")
    assert names(tmp_path) == ["mine"] and names(tmp_path / "mine") == ["file"]
