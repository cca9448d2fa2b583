"""What files of pictures become: upright RGB, within limits, of a closed list of formats."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from fusionclf.catalog import conversion, decoding, limits
from fusionclf.catalog.decoding import (
    FORMATS,
    decoded_picture,
    is_picture,
    open_picture,
    picture_size,
)
from fusionclf.errors import PictureError
from tests.catalog.test_pictures import drawn

SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "AVIF": "avif"}
LOSSLESS = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}


def stored(picture: Image.Image, orientation: int) -> Image.Image:
    """The pixels that a file with this EXIF orientation keeps of a picture that is seen as `picture`."""
    undone = {6: 8, 8: 6}.get(orientation, orientation)
    turned = picture.copy()
    turned.getexif()[ExifTags.Base.Orientation] = undone
    return ImageOps.exif_transpose(turned)


def save_turned(picture: Image.Image, path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored(picture, orientation).save(path, kind, exif=exif, **LOSSLESS.get(kind, {}))


def marked() -> Image.Image:
    """A picture that differs from each of its turns and reflections, 40 wide and 64 high."""
    picture = Image.new("RGB", (40, 64), "white")
    picture.paste("red", (0, 0, 20, 16))
    picture.paste("blue", (0, 48, 8, 64))
    return picture


@pytest.mark.parametrize("kind", sorted(SUFFIXES))
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_shown_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / f"a.{SUFFIXES[kind]}"
    save_turned(marked(), path, kind, orientation)
    for source in (path, str(path), path.read_bytes()):
        found = open_picture(source)
        assert found.size == (40, 64)
        difference = np.abs(np.asarray(found).astype(int) - np.asarray(marked()).astype(int))
        assert difference.mean() < 3, source
    with decoded_picture(path) as decoded:
        assert decoded.turned == (orientation != 1)


def test_an_opened_picture_is_turned_once(tmp_path: Path) -> None:
    save_turned(marked(), tmp_path / "a.png", "PNG", 6)
    with Image.open(tmp_path / "a.png") as opened:
        once = open_picture(opened)
    assert np.array_equal(np.asarray(once), np.asarray(marked()))
    assert np.array_equal(np.asarray(open_picture(once)), np.asarray(marked()))


def test_damaged_exif_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    marked().save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    marked().save(tmp_path / "b.jpg", exif=b"Exif\0\0no EXIF at all")
    for name in ("a.png", "b.jpg"):
        assert open_picture(tmp_path / name).size == (40, 64)


def test_an_orientation_outside_1_to_8_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 9
    marked().save(tmp_path / "a.jpg", exif=exif)
    assert open_picture(tmp_path / "a.jpg").size == (40, 64)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_from_a_path_and_from_bytes(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.bin"
    drawn().save(path, kind)
    assert open_picture(path).size == open_picture(path.read_bytes()).size == (60, 80)
    assert is_picture(path) and picture_size(path) == (60, 80)


def test_a_picture_of_several_frames_shows_its_first(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.png", "a.webp", "a.mpo", "a.tif", "a.avif"):
        extra: Any = {"lossless": True} if name == "a.webp" else {}
        first, second = (frame.copy() for frame in frames)
        first.save(tmp_path / name, save_all=True, append_images=[second], **extra)
        red, _, blue = np.asarray(open_picture(tmp_path / name))[4, 4].tolist()
        assert red > 250 and blue < 5, name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not a picture"),
        (b"P6 2 1 255\n" + bytes(6), "not a picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
    ],
)
def test_other_formats_are_refused_with_any_suffix(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(PictureError, match=message) as caught:
            open_picture(source)
        assert "JPEG 2000" in str(caught.value) or "convert it to JPEG" in str(caught.value)


def test_postscript_starts_no_other_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    eps = io.BytesIO()
    marked().save(eps, "EPS")
    (tmp_path / "a.jpg").write_bytes(eps.getvalue())
    with pytest.raises(PictureError):
        open_picture(tmp_path / "a.jpg")
    assert not (tmp_path / "started").exists()


@pytest.mark.slow
def test_a_50_megapixel_photo_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (8192, 6144), "teal").save(tmp_path / "a.jpg", quality=50)
    with decoded_picture(tmp_path / "a.jpg") as decoded:
        assert decoded.size == (8192, 6144)
        assert decoded.picture.size == (4096, 3072)
        assert np.abs(np.asarray(decoded.picture).astype(int) - (0, 128, 128)).max() < 4


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGBA"), ("TIFF", "I"), ("TIFF", "F"), ("GIF", "P"), ("BMP", "L")]
)
def test_a_large_picture_is_reduced_to_means_of_squares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str
) -> None:
    field = drawn(size=(501, 333)).convert("L")
    picture = field.convert("RGBA") if mode == "RGBA" else field.convert(mode)
    picture.save(tmp_path / "a", kind)
    whole = open_picture(tmp_path / "a")
    monkeypatch.setattr(conversion, "WORKED_PIXELS", 501 * 333 // 8)
    with decoded_picture(tmp_path / "a") as decoded:
        assert decoded.size == (501, 333)
        assert np.array_equal(np.asarray(decoded.picture), np.asarray(whole.reduce(3)))


def test_large_turned_jpeg_has_its_upright_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "WORKED_PIXELS", 1000)
    save_turned(marked(), tmp_path / "a.jpg", "JPEG", 6)
    with decoded_picture(tmp_path / "a.jpg") as decoded:
        assert (decoded.size, decoded.picture.size, decoded.turned) == ((40, 64), (20, 32), True)


def shades(path: Path) -> list[int]:
    return np.asarray(open_picture(path))[0, :, 0].tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 128 << 8, 65535]], np.int32), [0, 128, 255]),
        (np.array([[-100, 0, 155]], np.int32), [0, 100, 255]),
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 128, 255]),
        (np.array([[0, 128 << 8, 65535]], np.uint16), [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0.0, 32768.0, 65535.0]], np.float32), [0, 128, 255]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.5, 1.0, np.inf]], np.float32), [0, 128, 255, 255]),
        (np.array([[np.nan, np.nan]], np.float32), [0, 0]),
        (np.array([[1e9, 1e9]], np.float32), [0, 0]),
    ],
)
def test_wide_samples_keep_their_shades(tmp_path: Path, values: np.ndarray, expected: list[int]) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert shades(tmp_path / "a.tif") == expected


def test_is_picture_goes_by_content_or_suffix(tmp_path: Path) -> None:
    drawn().save(tmp_path / "noext", "JPEG")
    drawn().save(tmp_path / "page.html", "AVIF")
    (tmp_path / "broken.JPG").write_bytes(b"")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    for name in ("noext", "page.html", "broken.JPG", "phone.heic"):
        assert is_picture(tmp_path / name), name
    for name in ("notes.txt", "Thumbs.db", "film.mp4"):
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypmp42 none")
        assert not is_picture(tmp_path / name), name


def test_a_plain_jpeg_is_decoded_as_pillow_decodes_it(sample_dir: Path) -> None:
    files = sorted((sample_dir / "images").iterdir())[:200]
    for file in files:
        with Image.open(file) as picture:
            expected = np.asarray(picture.convert("RGB"))
        plain = decoding._plain_jpeg(file.read_bytes(), "", limits.Reservation(limits.Memory(10**9)))
        assert plain is not None, file
        assert np.array_equal(np.asarray(plain.picture), expected), file


def test_other_jpegs_are_decoded_by_pillow(tmp_path: Path) -> None:
    picture = Image.effect_noise((40, 30), 50)
    whole, inks = io.BytesIO(), io.BytesIO()
    picture.save(whole, "JPEG")
    picture.convert("CMYK").save(inks, "JPEG")
    memory = limits.Memory(10**9)
    assert decoding._plain_jpeg(whole.getvalue(), "", limits.Reservation(memory)) is not None
    for content in (inks.getvalue(), whole.getvalue()[:300], whole.getvalue() + b"Exif\0\0"):
        assert decoding._plain_jpeg(content, "", limits.Reservation(memory)) is None
