"""Folders are made whole or not at all."""

import os
from pathlib import Path

import pytest

from fusionclf.catalog.folders import new_folder
from fusionclf.errors import CatalogError
from fusionclf.files import write_text


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    dest = tmp_path / "new/deep"
    with new_folder(dest) as folder:
        (folder / "a").write_text("a")
        assert not dest.exists()
    assert [path.name for path in dest.iterdir()] == ["a"]
    assert [path.name for path in dest.parent.iterdir()] == ["deep"]
    assert dest.stat().st_mode & 0o777 == (tmp_path / "new").stat().st_mode & 0o777


def test_umask_is_not_changed_while_files_are_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    umask = os.umask(0o077)
    os.umask(umask)
    calls: list[int] = []
    monkeypatch.setattr(os, "umask", lambda mask: calls.append(mask) or umask)  # another thread would see it
    with new_folder(tmp_path / "new") as folder:
        write_text(folder / "a", "a")
    assert calls == []
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o777 & ~umask
    assert (tmp_path / "new/a").stat().st_mode & 0o777 == 0o666 & ~umask


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as folder:
        (folder / "a").touch()
    assert (tmp_path / "empty/a").exists()


def test_failed_folder_is_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "new") as folder:
        (folder / "a").touch()
        raise KeyboardInterrupt
    with (
        pytest.raises(CatalogError, match=r"cannot be written .*No space left"),
        new_folder(tmp_path / "new"),
    ):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    for name, message in [
        ("full", "holds files already"),
        ("full/mine", "is not a folder"),
        ("link", "is not a folder"),
    ]:
        with pytest.raises(CatalogError, match=message), new_folder(tmp_path / name):
            pytest.fail("the block must not run")
    with pytest.raises(CatalogError, match="cannot be made"), new_folder(tmp_path / "full/mine/below"):
        pytest.fail("the block must not run")
    assert (tmp_path / "full/mine").read_text() == "mine"
