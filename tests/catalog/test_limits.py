"""Limits of pictures: bytes, sides, scans, pieces, and the memory of all threads."""

import io
import os
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from fusionclf.catalog import decoding, limits
from fusionclf.catalog.decoding import (
    decoded_picture,
    is_picture,
    open_picture,
)
from fusionclf.errors import PictureError
from tests.catalog.test_decoding import marked
from tests.catalog.test_pictures import drawn


@pytest.mark.parametrize(("size", "message"), [((1, 99_000), "1 x 99000"), ((3300, 100), "3300 x 100")])
def test_too_long_a_shape_is_refused_with_the_limit(
    tmp_path: Path, size: tuple[int, int], message: str
) -> None:
    Image.new("L", size).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match=rf"{message} pixels; .* at most 32 times"):
        open_picture(tmp_path / "a.png")
    Image.new("L", (3200, 100)).save(tmp_path / "b.png")
    assert open_picture(tmp_path / "b.png").size == (3200, 100)


def test_too_large_a_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    marked().save(path)
    os.truncate(path, 4 * 2**30)  # sparse
    with pytest.raises(PictureError, match=r"4\.3 GB; at most 64\.0 MB"):
        open_picture(path)


def test_path_that_is_not_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", tmp_path):
        with pytest.raises(PictureError, match="not a file"):
            open_picture(path)
        assert not is_picture(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "JPEG2000"])
def test_formats_that_decode_in_more_memory_have_lower_limits(tmp_path: Path, kind: str) -> None:
    content = io.BytesIO()
    Image.new("L" if kind == "JPEG2000" else "RGB", (7000, 6000)).save(content, kind)
    with pytest.raises(PictureError, match=rf"7000 x 6000 pixels; at most \d\d megapixels of {kind}"):
        open_picture(content.getvalue())


def test_a_jpeg_of_too_many_scans_is_refused() -> None:
    content = io.BytesIO()
    drawn().save(content, "JPEG", progressive=True)
    whole = content.getvalue()
    last = whole.rindex(b"\xff\xda")
    assert open_picture(whole[:-2] + whole[last:-2] * 80 + b"\xff\xd9").size == (60, 80)
    with pytest.raises(PictureError, match="scans; at most 100"):
        open_picture(whole[:-2] + whole[last:-2] * 100 + b"\xff\xd9")
    behind = whole + b"\xff\xda" * 1000  # behind its end, as of a film that a phone adds
    assert open_picture(behind).size == (60, 80)


@pytest.mark.parametrize("kind", ["GIF", "JPEG", "PNG"])
def test_a_file_of_millions_of_pieces_is_refused_soon(kind: str) -> None:
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, kind)
    whole = stream.getvalue()
    crc = zlib.crc32(b"prVt").to_bytes(4)
    pieces = {  # before the pixels
        "GIF": b"GIF89a\x08\0\x08\0\0\0\0" + b"!\x01\x01x\0" * 10**6,
        "JPEG": whole[:2] + b"\xff\xe1\0\2" * 10**6 + b"Exif\0\0" + whole[2:],
        "PNG": whole[:33] + (bytes(4) + b"prVt" + crc) * 10**6 + whole[33:],
    }
    with pytest.raises(PictureError, match="more than 200,000 pieces"):
        open_picture(pieces[kind])


def test_decoding_on_many_threads_stays_within_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(content, "PNG")
    monkeypatch.setattr(decoding, "_memory", limits.Memory(25_000_000))  # two pictures of 12 MB
    inside, most, lock = 0, 0, threading.Lock()

    def decode(_: int) -> None:
        nonlocal inside, most
        with decoded_picture(content.getvalue()):
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.02)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, range(24)))
    assert most == 2


def test_memory_is_given_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = limits.Memory(25_000_000)
    monkeypatch.setattr(decoding, "_memory", memory)
    content = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(content, "PNG")
    with pytest.raises(PictureError):
        open_picture(content.getvalue()[:1000])
    with pytest.raises(KeyError), decoded_picture(content.getvalue()):
        raise KeyError
    assert memory.used == 0
