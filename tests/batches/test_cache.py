"""The picture cache: what it keeps, when it is rebuilt, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusionclf.batches import open_cache
from fusionclf.catalog import Catalog, open_picture, read_catalog
from fusionclf.errors import PictureError
from tests.small import write_catalog

ROWS = [f"{n},Men,Apparel,Topwear,Shirts,Blue,Fall,201{n % 3},Casual,Shirt {n}" for n in range(6)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return read_catalog(write_catalog(tmp_path / "catalog", ROWS))


def test_keeps_small_pictures_pixel_for_pixel(catalog: Catalog) -> None:
    cache = open_cache(catalog, cover=(64, 64))
    for row, path in enumerate(catalog.picture_paths()):
        assert path is not None
        assert np.array_equal(cache.picture(row), np.asarray(open_picture(path)))


def test_scales_large_pictures_down_to_what_training_needs(catalog: Catalog) -> None:
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
