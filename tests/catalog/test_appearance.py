"""Pictures that are blank, dark, blurred or of an odd size are found, and ordinary ones are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from fusionclf.catalog import Catalog, read_catalog
from fusionclf.catalog.appearance import appearance
from fusionclf.catalog.picture_checks import PictureFacts, check_pictures
from fusionclf.report.picture_page import picture_page
from tests.small import write_catalog

NONE = np.zeros(0, np.int64)


def product(size: tuple[int, int], background: int = 255) -> Image.Image:
    """A picture of a shirt on a plain background."""
    picture = Image.new("RGB", size, (background,) * 3)
    width, height = size
    draw = ImageDraw.Draw(picture)
    draw.rectangle((width // 4, height // 4, 3 * width // 4, 7 * height // 8), (180, 40, 40))
    draw.rectangle((width // 3, height // 3, width // 2, height // 2), (30, 60, 120))
    return picture


SIZES = [(60, 80), (64, 64), (320, 320), (1080, 1440)]


@pytest.mark.parametrize("size", SIZES)
def test_plain_product_is_none_of_these(size: tuple[int, int]) -> None:
    for background in (255, 0, 128):
        found = appearance(product(size, background))
        assert not (found.is_blank or found.is_dark or found.is_blurred)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("is_blank", lambda picture: Image.new("RGB", picture.size, (250, 250, 250))),
        ("is_dark", lambda picture: picture.point(lambda value: value * 0.25)),
        ("is_blurred", lambda picture: picture.filter(ImageFilter.GaussianBlur(max(picture.size) * 0.04))),
    ],
)
def test_changed_product_is_of_one_kind(
    kind: str, change: Callable[[Image.Image], Image.Image], size: tuple[int, int]
) -> None:
    found = appearance(change(product(size)))
    kinds = [name for name in ("is_blank", "is_dark", "is_blurred") if getattr(found, name)]
    assert kinds == [kind]


def test_blank_jpeg_with_noise_is_blank() -> None:
    noise = np.random.default_rng(0).integers(-4, 5, (80, 60, 3)) + 240
    assert appearance(Image.fromarray(noise.astype(np.uint8))).is_blank


def test_colours_are_more_colourful_than_grey() -> None:
    coloured, grey = appearance(product((60, 80))), appearance(product((60, 80)).convert("L").convert("RGB"))
    assert coloured.colourfulness > 20 and grey.colourfulness == pytest.approx(0, abs=1e-3)
    assert 0 < grey.brightness < grey.highlights <= 255


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Six ordinary pictures, and one of each kind."""
    rows = [f"{n},Men,Apparel,Topwear,Shirts,Red,Fall,2012,Casual,Shirt {n}" for n in range(10)]
    folder = write_catalog(tmp_path / "shop", rows)
    plain = product((60, 80))
    odd = {
        6: Image.new("RGB", (60, 80), "white"),
        7: plain.point(lambda value: value * 0.25),
        8: plain.filter(ImageFilter.GaussianBlur(4)),
        9: product((400, 60)),
    }
    for number in range(10):
        odd.get(number, plain).save(folder / "images" / f"{number}.jpg", quality=95)
    return read_catalog(folder)


def check(catalog: Catalog) -> PictureFacts:
    return check_pictures(catalog, NONE, NONE, None)


def test_check_names_the_pictures_of_each_kind(catalog: Catalog) -> None:
    assert check(catalog).looks == {"blank": ["6"], "dark": ["7"], "blurred": ["8"], "odd": ["9"]}


def test_page_shows_these_pictures_alone(catalog: Catalog) -> None:
    page = picture_page(catalog, check(catalog))
    assert page.count('<img src="data:image/jpeg;base64,') == 4 and "images/6.jpg" in page
    assert "images/0.jpg" not in page and "empty their cells" in page
