"""Caches that outlive an error and serve several users: what is kept, and what is read again."""

import errno
import os
import shutil
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusionclf.batches import cached_features, disk, kept_texts, open_cache
from fusionclf.batches.disk import large_zeros
from fusionclf.batches.kept_texts import KeptTexts
from fusionclf.catalog import Catalog, decoding, read_catalog
from fusionclf.errors import PictureError
from fusionclf.files import UMASK
from tests.small import write_catalog

ROWS = [f"{n},Men,Apparel,Topwear,Shirts,Blue,Fall,201{n % 3},Casual,Shirt {n}" for n in range(6)]
VALUES = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return read_catalog(write_catalog(tmp_path / "catalog", ROWS))


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Pictures of these names cannot be opened."""

    def opened(path: str | Path) -> FileIO:
        if Path(path).name in names:
            raise PermissionError(errno.EACCES, "Permission denied")
        return FileIO(path)

    monkeypatch.setattr(decoding, "FileIO", opened)


def unread(catalog: Catalog) -> list[int]:
    cache = open_cache(catalog, cover=(64, 64), unreadable="drop")
    return np.flatnonzero(~cache.readable(np.arange(6))).tolist()


def test_picture_that_can_be_read_again_stops_no_run(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_open(monkeypatch, "4.jpg")
    for _ in range(2):
        with pytest.raises(PictureError, match=r"ids 4; the first: .*4\.jpg.*Permission denied"):
            open_cache(catalog, cover=(64, 64))
    refuse_to_open(monkeypatch)
    assert open_cache(catalog, cover=(64, 64)).picture(4).any()


def test_dropped_picture_that_can_be_read_again_is_back(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_open(monkeypatch, "2.jpg", "4.jpg")
    assert unread(catalog) == [2, 4]
    refuse_to_open(monkeypatch, "4.jpg")
    assert unread(catalog) == [4]
    refuse_to_open(monkeypatch)
    assert unread(catalog) == []


def test_recovered_pictures_are_announced_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_to_open(monkeypatch, "4.jpg")
    unread(catalog)
    refuse_to_open(monkeypatch)
    warned: list[str] = []
    for _ in range(2):
        open_cache(catalog, cover=(64, 64), warn=warned.append)
    assert len(warned) == 1 and "can be read now; all its pictures are decoded again" in warned[0]


def test_the_key_names_which_pictures_are_unreadable(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features of frozen encoders are stored under this key."""
    keys = []
    for names in (["2.jpg"], ["4.jpg"], []):
        refuse_to_open(monkeypatch, *names)
        keys.append(open_cache(catalog, cover=(64, 64), unreadable="drop").key)
    assert len(set(keys)) == 3


def test_a_damaged_picture_does_not_build_the_cache_again(catalog: Catalog) -> None:
    (catalog.root / "images" / "4.jpg").write_bytes(b"not a picture")
    assert unread(catalog) == [4]
    calls: list[int] = []
    open_cache(catalog, cover=(64, 64), unreadable="drop", progress=lambda done, _: calls.append(done))
    assert not calls


def test_swapped_pictures_of_equal_size_and_time_are_seen(tmp_path: Path, catalog: Catalog) -> None:
    images = catalog.root / "images"
    for name, colour in (("1.jpg", "red"), ("2.jpg", "blue")):
        Image.new("RGB", (8, 8), colour).save(images / name, "BMP")
        os.utime(images / name, (0, 0))
    before = open_cache(catalog, cover=(64, 64))
    first, second = before.picture(1).copy(), before.picture(2).copy()
    pictures = catalog.table["picture"].tolist()
    pictures[1], pictures[2] = pictures[2], pictures[1]
    catalog.table["picture"] = pictures
    after = open_cache(catalog, cover=(64, 64))
    assert np.array_equal(after.picture(1), second) and np.array_equal(after.picture(2), first)


def test_a_moved_catalog_keeps_its_picture_cache(tmp_path: Path, catalog: Catalog) -> None:
    key = open_cache(catalog, cover=(64, 64)).key
    shutil.move(catalog.root, tmp_path / "moved")
    assert open_cache(read_catalog(tmp_path / "moved"), cover=(64, 64)).key == key


def test_other_users_may_read_caches_as_other_files(catalog: Catalog, place: Path) -> None:
    open_cache(catalog, cover=(64, 64))
    cached_features("pictures", "a", 10, lambda: VALUES)
    texts = KeptTexts("key")
    texts.add(["red shirt"], 64, VALUES[:1])
    texts.save()
    folders = [*place.glob("pictures/*"), *place.glob("features/pictures/*"), *place.glob("texts/key/*")]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o777 & ~UMASK] * 3


def test_a_cache_without_permission_stops_before_the_work(
    catalog: Catalog, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_cache(catalog, cover=(64, 64))
    cached_features("pictures", "a", 10, lambda: VALUES)
    private = [*place.glob("pictures/*"), *place.glob("features/pictures/*")]
    opened = Path.open

    def refused(self: Path, *args: object, **named: object) -> object:
        if self.parent in private:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(self, *args, **named)  # pyright: ignore

    monkeypatch.setattr(Path, "open", refused)
    message = r"cannot be read \(Permission denied\); .*set FUSIONCLF_CACHE"
    with pytest.raises(PictureError, match=message):
        open_cache(catalog, cover=(64, 64), progress=lambda *_: pytest.fail("decodes pictures"))
    with pytest.raises(PictureError, match=message):
        cached_features("pictures", "a", 10, lambda: pytest.fail("computes features"))


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_a_large_array_is_one_line(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_reserve(code, monkeypatch)
    with pytest.raises(PictureError, match=r"an array of this run cannot be written.*FUSIONCLF_CACHE"):
        large_zeros((100,))


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_disk_that_cannot_reserve_holds_large_arrays(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_reserve(code, monkeypatch)
    assert large_zeros((100,)).sum() == 0


def fail_to_reserve(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Map small arrays, too, and let reserving their place fail."""
    monkeypatch.setattr(disk, "LEAST_MAPPED", 10)
    monkeypatch.setattr(disk, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr(os, "posix_fallocate", failing(code))


def failing(code: int) -> Callable[..., None]:
    """A function that raises the OSError of a code."""

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def keep(first: int, last: int) -> None:
    texts = KeptTexts("key")
    texts.add([f"word {n}" for n in range(first, last)], 64, VALUES[first:last])
    texts.save()


def kept() -> list[int]:
    return np.flatnonzero(KeptTexts("key").has([f"word {n}" for n in range(10)], 64)).tolist()


def allow_rows(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Embeddings of more texts than `most` do not fit on the disk."""
    written = kept_texts.save_array

    def save(path: Path, array: np.ndarray) -> None:
        if len(array) > most:
            raise OSError(errno.ENOSPC, "No space left on device")
        written(path, array)

    monkeypatch.setattr(kept_texts, "save_array", save)


@pytest.mark.parametrize(("most", "found"), [(1, [0, 1, 2, 3]), (0, [0, 1, 2])])
def test_texts_stay_where_a_join_cannot_be_written(
    most: int, found: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_texts, "MOST_FOLDERS", 3)
    for n in range(3):
        keep(n, n + 1)
    allow_rows(monkeypatch, most)
    keep(3, 4)
    assert kept() == found


def test_texts_stay_where_a_new_start_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_texts, "MOST_TEXTS", 6)
    keep(0, 5)
    allow_rows(monkeypatch, 0)
    keep(5, 8)
    assert kept() == [0, 1, 2, 3, 4]
