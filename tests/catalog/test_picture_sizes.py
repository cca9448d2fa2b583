"""Size and shape of a catalog's pictures, by their headers."""

from pathlib import Path

import pytest
from PIL import Image

from fusionclf.catalog import read_catalog
from fusionclf.catalog.picture_sizes import SAMPLE, PictureSizes, sample_sizes
from fusionclf.config import CatalogConfig
from tests.small import write_catalog

ROW = "{},Men,Apparel,Topwear,Shirts,Blue,Summer,2012,Casual,Shirt {}"


def catalog_of(folder: Path, sizes: list[tuple[int, int]]) -> Path:
    """A catalog whose pictures have these widths and heights."""
    write_catalog(folder, [ROW.format(n, n) for n in range(len(sizes))], pictures=False)
    for number, size in enumerate(sizes):
        Image.new("RGB", size, (number % 256, 0, 0)).save(folder / "images" / f"{number}.jpg")
    return folder


def sizes_of(folder: Path) -> PictureSizes:
    return sample_sizes(read_catalog(folder, CatalogConfig()))


def test_sizes_are_medians_of_the_pictures(tmp_path: Path) -> None:
    found = sizes_of(catalog_of(tmp_path / "c", [(60, 80)] * 3 + [(600, 800)]))
    assert found == PictureSizes(4, 80, 60, 1.0)
    assert found.longer == 80


@pytest.mark.parametrize(("width", "same"), [(60, 1.0), (64, 1.0), (70, 0.75), (20, 0.75)])
def test_nearly_equal_shapes_count_as_the_same(width: int, same: float, tmp_path: Path) -> None:
    assert sizes_of(catalog_of(tmp_path / "c", [(60, 80)] * 3 + [(width, 80)])).same_shape == same


def test_a_photo_that_exif_turns_is_measured_upright(tmp_path: Path) -> None:
    folder = catalog_of(tmp_path / "c", [(80, 60)] * 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(2):
        Image.new("RGB", (80, 60)).save(folder / "images" / f"{number}.jpg", exif=exif)
    assert sizes_of(folder) == PictureSizes(2, 80, 60, 1.0)


def test_a_file_that_is_no_picture_does_not_count(tmp_path: Path) -> None:
    folder = catalog_of(tmp_path / "c", [(30, 40)] * 3)
    (folder / "images" / "1.jpg").write_bytes(b"no picture")
    assert sizes_of(folder) == PictureSizes(2, 40, 30, 1.0)
    for number in range(3):
        (folder / "images" / f"{number}.jpg").write_bytes(b"no picture")
    assert sizes_of(folder) == PictureSizes()


def test_of_many_pictures_some_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = catalog_of(tmp_path / "c", [(8, 8)] * 20 + [(8, 16)] * 20)
    assert sizes_of(folder).count == 40 < SAMPLE
    monkeypatch.setattr("fusionclf.catalog.picture_sizes.SAMPLE", 10)
    found = sizes_of(folder)
    assert (found.count, found.same_shape) == (10, 0.0)  # both halves are in it


@pytest.mark.real
def test_kaggles_small_pictures_are_80_by_60(real_catalog_dir: Path) -> None:
    found = sizes_of(real_catalog_dir)
    assert (found.count, found.height, found.width) == (SAMPLE, 80, 60) and found.same_shape > 0.95
