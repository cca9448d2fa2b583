"""The picture cache: what it keeps, when it is rebuilt, and what it refuses."""

import os
import shutil
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from fusionclf.batches import open_cache
from fusionclf.batches.cache import _expected, decode_pictures
from fusionclf.catalog import Catalog, open_picture, read_catalog
from fusionclf.config import CatalogConfig
from fusionclf.errors import PictureError
from tests.small import write_catalog

ROWS = [f"{n},Men,Apparel,Topwear,Shirts,Blue,Fall,201{n % 3},Casual,Shirt {n}" for n in range(6)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return read_catalog(write_catalog(tmp_path / "catalog", ROWS))


def test_small_pictures_are_stored_unchanged(catalog: Catalog) -> None:
    cache = open_cache(catalog, cover=(64, 64))
    for row, path in enumerate(catalog.picture_paths()):
        assert path is not None
        assert np.array_equal(cache.picture(row), np.asarray(open_picture(path)))


def test_large_pictures_are_scaled_down_to_cover(catalog: Catalog) -> None:
    Image.new("RGB", (600, 900), (200, 0, 0)).save(catalog.root / "images" / "3.jpg")
    cache = open_cache(catalog, cover=(64, 64))
    assert cache.sizes[3].tolist() == [96, 64]
    assert abs(int(cache.picture(3)[..., 0].mean()) - 200) < 5


def test_a_changed_picture_gives_a_new_cache(catalog: Catalog) -> None:
    before = open_cache(catalog, cover=(64, 64)).picture(2).copy()
    Image.new("RGB", (9, 9), (1, 250, 3)).save(catalog.root / "images" / "2.jpg")
    after = open_cache(catalog, cover=(64, 64)).picture(2)
    assert after.shape == (9, 9, 3) and before.shape == (8, 6, 3)


def test_is_built_once(catalog: Catalog) -> None:
    calls: list[int] = []
    open_cache(catalog, cover=(64, 64), progress=lambda done, _: calls.append(done))
    assert calls
    calls.clear()
    open_cache(catalog, cover=(64, 64), progress=lambda done, _: calls.append(done))
    assert not calls


@pytest.mark.parametrize("damage", [b"", b"not a picture", None])
def test_unreadable_pictures_stop_or_are_marked(catalog: Catalog, damage: bytes | None) -> None:
    file = catalog.root / "images" / "4.jpg"
    file.write_bytes(file.read_bytes()[:200] if damage is None else damage)
    with pytest.raises(PictureError, match=r"ids 4;.*pictures.unreadable=drop"):
        open_cache(catalog, cover=(64, 64))
    cache = open_cache(catalog, cover=(64, 64), unreadable="drop")
    assert cache.readable(np.arange(6)).tolist() == [True, True, True, True, False, True]


def test_an_unwritable_cache_folder_is_one_clear_line(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "file"))
    with pytest.raises(PictureError, match="set FUSIONCLF_CACHE"):
        open_cache(catalog, cover=(64, 64))


def test_picture_removed_after_reading_the_catalog_is_named(catalog: Catalog) -> None:
    (catalog.root / "images" / "4.jpg").unlink()
    with pytest.raises(PictureError, match=r"1 unreadable picture\(s\), ids 4; .*4\.jpg: no such picture"):
        open_cache(catalog, cover=(64, 64))
    cache = open_cache(catalog, cover=(64, 64), unreadable="drop")
    assert np.flatnonzero(~cache.readable(np.arange(6))).tolist() == [4]


def test_a_product_without_a_picture_is_no_fault(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "some", ROWS)
    (folder / "images" / "0.jpg").unlink()
    catalog = read_catalog(folder, CatalogConfig(missing_picture="keep"))
    cache = open_cache(catalog, cover=(64, 64))
    assert np.flatnonzero(~cache.readable(np.arange(6))).tolist() == [0]
    assert cache.picture(1).shape == (8, 6, 3)


def test_a_catalog_without_any_picture_gives_an_empty_cache(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "none", ROWS, pictures=False)
    catalog = read_catalog(folder, CatalogConfig(missing_picture="keep"))
    assert not open_cache(catalog, cover=(64, 64)).readable(np.arange(6)).any()
    assert not open_cache(catalog, cover=(64, 64)).readable(np.arange(6)).any()


def test_size_of_a_cache_is_announced_before_it_is_built(catalog: Catalog, tmp_path: Path) -> None:
    Image.new("RGB", (6000, 4000)).save(catalog.root / "images" / "1.jpg")
    (catalog.root / "images" / "2.jpg").write_bytes(b"not a picture")
    messages: list[str] = []
    for _ in range(2):
        open_cache(catalog, cover=(800, 600), unreadable="drop", info=messages.append)
    place = tmp_path / "cache" / "pictures"
    assert messages == [
        f"picture cache: 6 pictures, about 2.9 MB, in {place}"
    ]  # 1200 x 800 and four of 6 x 8
    stored = sum(file.stat().st_size for file in place.glob("*/pixels.bin"))
    assert stored == 3 * (1200 * 800 + 4 * 48)


def test_estimates_from_a_sample_of_many_pictures(tmp_path: Path) -> None:
    rows = [f"{n},Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt {n}" for n in range(200)]
    catalog = read_catalog(write_catalog(tmp_path / "many", rows))
    assert _expected(catalog, (64, 64)) == (200, 200 * 8 * 6 * 3)
    assert _expected(catalog, (4, 3)) == (200, 200 * 4 * 3 * 3)


def test_full_disk_is_refused_before_writing(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 900, 100))
    with pytest.raises(PictureError, match=r"takes about 0\.9 kB, and 0\.1 kB are free; free space or set"):
        open_cache(catalog, cover=(64, 64))
    assert not (tmp_path / "cache").exists()


def test_disk_that_fills_up_is_one_line_and_leaves_nothing(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(PictureError, match=r"No space left on device.*FUSIONCLF_CACHE"):
        open_cache(catalog, cover=(64, 64))
    assert list((tmp_path / "cache" / "pictures").iterdir()) == []


def test_folders_of_killed_processes_are_removed_after_a_day(catalog: Catalog, tmp_path: Path) -> None:
    place = tmp_path / "cache" / "pictures"
    old, busy, young = (place / f".building-{name}" for name in ("old", "busy", "young"))
    long_ago = time.time() - 25 * 3600
    for folder in (old, busy, young):
        folder.mkdir(parents=True)
        (folder / "pixels.bin").write_bytes(b"pixels")
    for path in (old / "pixels.bin", old, busy):  # a process still writes to the file in `busy`
        os.utime(path, (long_ago, long_ago))
    open_cache(catalog, cover=(64, 64))
    assert not old.exists() and busy.exists() and young.exists()


def test_digests_identify_equal_pictures_before_scaling(catalog: Catalog) -> None:
    images = catalog.root / "images"
    large = Image.effect_noise((600, 900), 50)
    large.save(images / "1.jpg", "PNG")
    large.save(images / "3.jpg", "BMP")
    large.putpixel((7, 7), large.getpixel((7, 7)) ^ 1)  # pyright: ignore[reportOperatorIssue, reportArgumentType]
    large.save(images / "4.jpg", "PNG")
    shutil.copy(images / "0.jpg", images / "5.jpg")
    (images / "2.jpg").write_bytes(b"not a picture")
    cache = open_cache(catalog, cover=(8, 6), unreadable="drop")
    assert np.array_equal(cache.picture(3), cache.picture(4))  # of this size they are
    assert cache.digests is not None
    zero, one, two, three, four, five = cache.digests.tolist()
    assert zero == five and one == three and two == 0
    assert len({zero, one, two, four}) == 4


def test_a_cache_without_digests_is_built_again_under_its_key(catalog: Catalog, tmp_path: Path) -> None:
    first = open_cache(catalog, cover=(64, 64))
    (tmp_path / "cache" / "pictures" / first.key / "digests.npy").unlink()
    again = open_cache(catalog, cover=(64, 64))
    assert again.key == first.key
    assert again.digests is not None and first.digests is not None
    assert again.digests.tolist() == first.digests.tolist()


@pytest.mark.parametrize("file", ["sizes.npy", "digests.npy", "pixels.bin"])
@pytest.mark.parametrize("keep", [0, 20])
def test_a_damaged_cache_is_built_again(catalog: Catalog, tmp_path: Path, file: str, keep: int) -> None:
    first = open_cache(catalog, cover=(64, 64))
    pixels = [first.picture(row).copy() for row in range(6)]
    damaged = tmp_path / "cache" / "pictures" / first.key / file
    damaged.write_bytes(damaged.read_bytes()[:keep])
    again = open_cache(catalog, cover=(64, 64))
    assert again.key == first.key
    assert all(np.array_equal(again.picture(row), pixels[row]) for row in range(6))


def test_the_key_names_pictures_and_size(catalog: Catalog) -> None:
    keys = [open_cache(catalog, cover=cover).key for cover in ((64, 64), (64, 64), (4, 4))]
    assert len(keys[0]) == 24 and keys[0] == keys[1] != keys[2]


def test_several_may_build_at_once(catalog: Catalog, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        caches = list(pool.map(lambda _: open_cache(catalog, cover=(64, 64)), range(4)))
    assert all(np.array_equal(cache.picture(5), caches[0].picture(5)) for cache in caches)
    assert [path.name for path in (tmp_path / "cache" / "pictures").iterdir()] == [caches[0].key]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_turned_picture_is_stored_upright(catalog: Catalog, suffix: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    kinds = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF"}
    path = catalog.root / "images" / "3.jpg"
    Image.new("RGB", (90, 60), "teal").save(path, kinds[suffix], exif=exif)
    assert open_cache(catalog, cover=(64, 64)).sizes[3].tolist() == [90, 60]
    assert decode_pictures([path], (64, 64)).sizes[0].tolist() == [90, 60]


def test_a_turned_and_an_upright_copy_have_one_digest(catalog: Catalog) -> None:
    upright = Image.effect_noise((60, 90), 50)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright.save(catalog.root / "images" / "3.jpg", "PNG")
    upright.transpose(Image.Transpose.ROTATE_90).save(catalog.root / "images" / "4.jpg", "PNG", exif=exif)
    digests = open_cache(catalog, cover=(64, 64)).digests
    assert digests is not None and digests[3] == digests[4]


@pytest.mark.parametrize("size", [(3000, 100), (60, 1900), (40, 1200)])
def test_long_picture_is_stored_in_bounded_size(size: tuple[int, int]) -> None:
    found = decode_pictures([Image.new("RGB", size)], (50, 50))
    height, width = found.sizes[0].tolist()
    assert height * width <= 4.1 * 50 * 50
    assert height / width == pytest.approx(size[1] / size[0], rel=0.15)
