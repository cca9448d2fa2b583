"""Pictures: opened safely, hashed, read on threads."""

import io
import random
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from fusionclf.catalog.decoding import FORMATS, MEGAPIXELS, decoded_picture, open_picture
from fusionclf.catalog.pictures import map_paths, near_hash, picture_hash
from fusionclf.errors import PictureError


def drawn(seed: int = 0, size: tuple[int, int] = (60, 80)) -> Image.Image:
    """A smooth picture of three blobs."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0 : size[1], 0 : size[0]] / max(size)
    field = np.full((size[1], size[0]), 255.0)
    for _ in range(3):
        cx, cy = generator.uniform(0.1, 0.7, 2)
        field -= 160 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.02)
    return Image.fromarray(np.clip(field, 0, 255).astype(np.uint8)).convert("RGB")


def bits_apart(first: Image.Image, second: Image.Image) -> int:
    return (near_hash(first) ^ near_hash(second)).bit_count()


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "YCbCr"])
def test_all_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    drawn().convert(mode).save(tmp_path / "a.tiff")
    with decoded_picture(tmp_path / "a.tiff") as decoded:
        assert (decoded.picture.mode, decoded.picture.size, decoded.mode) == ("RGB", (60, 80), mode)


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 1), (10, 20, 30, 0)).save(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "b.png", transparency=b"\xff\x00")
    assert open_picture(tmp_path / "b.png").getpixel((0, 0)) == (255, 255, 255)
    palette.save(tmp_path / "c.png", transparency=b"\x00\xff")
    assert open_picture(tmp_path / "c.png").getpixel((0, 0)) == (10, 20, 30)


def test_sixteen_bits_of_grey_keep_their_shades(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 128 << 8, 255 << 8]], np.uint16)).save(tmp_path / "a.png")
    assert np.asarray(open_picture(tmp_path / "a.png"))[0, :, 0].tolist() == [0, 128, 255]


def test_other_files_are_refused_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"a\.jpg: no such picture"):
        open_picture(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_text("hello")
    with pytest.raises(PictureError, match=r"b\.jpg: not a picture"):
        open_picture(tmp_path / "b.jpg")
    (tmp_path / "c.jpg").touch()
    with pytest.raises(PictureError, match=r"c\.jpg: not a picture"):
        open_picture(tmp_path / "c.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif"])
def test_a_truncated_picture_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 60, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PictureError, match=r"damaged picture|not a picture"):
        open_picture(path)


@pytest.mark.slow
@pytest.mark.parametrize("width", [5400, 14_000, 40_000])  # the last two: Pillow's own warning, and its error
def test_too_many_pixels_are_refused_unread(tmp_path: Path, width: int) -> None:
    Image.new("1", (width, 10_000)).save(tmp_path / "a.png")
    message = f"at most {MEGAPIXELS} megapixels"
    with warnings.catch_warnings(record=True) as caught, pytest.raises(PictureError, match=message):
        open_picture(tmp_path / "a.png")
    assert not caught


def test_just_few_enough_pixels_are_read(tmp_path: Path) -> None:
    Image.new("1", (5_300, 10_000)).save(tmp_path / "a.png")
    with decoded_picture(tmp_path / "a.png") as decoded:
        assert decoded.size == (5_300, 10_000)


def _encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    drawn().save(buffer, kind)
    return buffer.getvalue()


ENCODED = {kind: _encoded(kind) for kind in FORMATS}


@settings(max_examples=150)
@given(kind=st.sampled_from(sorted(ENCODED)), seed=st.integers(0, 10**6), flips=st.integers(1, 30))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int, flips: int
) -> None:
    chance = random.Random(seed)
    content = bytearray(ENCODED[kind])
    for _ in range(flips):
        content[chance.randrange(min(len(content), 400))] = chance.randrange(256)
    path = tmp_path_factory.mktemp("damaged") / "a.bin"
    path.write_bytes(content)
    try:
        assert open_picture(path).mode == "RGB"
    except PictureError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)


def test_the_picture_hash_knows_pixels_and_size_and_nothing_else(tmp_path: Path) -> None:
    picture = drawn()
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.bmp")
    assert picture_hash(open_picture(tmp_path / "a.png")) == picture_hash(open_picture(tmp_path / "b.bmp"))
    changed = picture.copy()
    changed.putpixel((3, 3), (1, 2, 3))
    assert picture_hash(changed) != picture_hash(picture)
    flat = Image.new("RGB", (4, 2)), Image.new("RGB", (2, 4))
    assert picture_hash(flat[0]) != picture_hash(flat[1])


def test_near_hashes_are_near_for_one_picture_and_far_for_two() -> None:
    picture = drawn(1)
    assert 0 <= near_hash(picture) < 2**64
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=60)
    changes = [Image.open(buffer), picture.resize((120, 160)), ImageEnhance.Brightness(picture).enhance(0.9)]
    assert max(bits_apart(picture, changed) for changed in changes) <= 4
    assert min(bits_apart(drawn(n), drawn(n + 1)) for n in range(8)) > 10


def test_paths_are_mapped_in_order_with_progress(tmp_path: Path) -> None:
    paths = [tmp_path / str(n) if n % 3 else None for n in range(300)]
    steps: list[tuple[int, int]] = []
    assert map_paths(paths, lambda path: path, lambda done, all_: steps.append((done, all_))) == paths
    assert steps == [(128, 300), (256, 300), (300, 300)]
    assert map_paths([], lambda path: path) == []


@pytest.mark.slow
def test_interruption_ends_after_the_current_pictures() -> None:
    read = []

    def slow(path: Path | None) -> None:
        time.sleep(0.01)
        read.append(path)

    def stop(done: int, _: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_paths([Path(str(n)) for n in range(128 * 50)], slow, stop)
    assert len(read) < 128 * 10
