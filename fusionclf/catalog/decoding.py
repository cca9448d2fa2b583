"""Decode pictures to upright RGB: one list of formats, and limits on file size, pixels, shape and memory.

Every picture goes through `decoded_picture`, whether it comes from a catalog, from products to predict or from a
request. The format is that of the content; a file's suffix says nothing.
"""

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, UnidentifiedImageError

from fusionclf.catalog.jpeg import count_scans
from fusionclf.errors import PictureError

# Pillow decodes these itself, without another program. Opening by path alone would allow PostScript, too.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "JPEG2000")
READ = "AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, TIFF and WebP"
# Peak memory of decoding, turning and converting, in bytes per pixel, measured with Pillow 13: progressive JPEGs keep
# all coefficients, WebP two canvases, JPEG 2000 32 bits a sample. Files of up to LARGE_FILE come on top.
BYTES_PER_PIXEL = {"WEBP": 18, "AVIF": 18, "JPEG2000": 26}
MOST_BYTES_PER_PIXEL = 12  # of all other formats
MEMORY = 640 * 10**6  # bytes in which all threads together decode
MEGAPIXELS = MEMORY // MOST_BYTES_PER_PIXEL // 10**6
FILE_BYTES = 200 * 10**6
LARGE_FILE = 16 * 10**6  # bytes; one such file is read at a time
ASPECT = 32  # the longer side over the shorter one
ROWS = 64  # that are scaled at a time, for memory's sake
READS = 200_000  # from a file while it is decoded; some files hold millions of tiny pieces
SCANS = 100  # of a JPEG: each costs time as if it were a picture of its own

JPEG = b"\xff\xd8\xff"
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF orientation → what shows the picture upright

# A large picture's memory goes back to the system only in pieces of over 32 MiB, the most that glibc keeps in its heap.
Image.core.set_block_size(64 * 2**20)

Source = str | Path | bytes | Image.Image


class Decoded(NamedTuple):
    """A decoded picture, and how its file keeps it.

    Attributes:
        picture: RGB, upright, without metadata.
        mode: Pillow's mode of the file, such as L (grayscale).
        turned: whether its EXIF orientation differs from upright.
    """

    picture: Image.Image
    mode: str
    turned: bool


class _Memory:
    """Bytes that all threads share: a thread waits until what it wants is free."""

    def __init__(self, total: int) -> None:
        self.total, self.used, self._changed = total, 0, threading.Condition()

    def add(self, amount: int) -> None:
        """Count `amount` as used, where it is positive as soon as there is room for it."""
        with self._changed:
            if amount > 0:
                self._changed.wait_for(lambda: self.used + amount <= self.total)
            self.used += amount
            self._changed.notify_all()


class _Reservation:
    """What one picture has of the memory. It asks once: threads that hold some and wait for more could block all."""

    def __init__(self, memory: _Memory) -> None:
        self.memory, self.held = memory, 0

    def take(self, amount: int) -> None:
        if not self.held and amount > 0:
            amount = min(amount, self.memory.total)
            self.memory.add(amount)
            self.held = amount

    def give_back(self) -> None:
        self.memory.add(-self.held)


class _Counting:
    """A stream of which Pillow reads at most READS times."""

    label, reads = "", 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > READS:
            raise PictureError(f"{self.label}: a file of more than {READS:,} pieces; save it anew")
        return super().read(size)  # pyright: ignore[reportAttributeAccessIssue]


class _File(_Counting, BufferedReader):
    pass


class _Bytes(_Counting, BytesIO):
    pass


_memory = _Memory(MEMORY)
_opening = threading.Lock()


def open_picture(source: Source) -> Image.Image:
    """A picture as upright 8-bit RGB without metadata; what is transparent becomes white.

    Samples of 16 bits lose their lower 8. Samples of 32 bits or floating point are scaled by the narrowest range that
    holds all of them: 0 to 1 (floating point alone), 0 to 255, 0 to 65,535, or else their own least and largest value.
    Of several frames, the first is shown. Colour profiles are ignored.

    Args:
        source: a file, its bytes, or a picture that Pillow has opened.

    Raises:
        PictureError: it is missing, damaged, of another format than FORMATS, or over a limit of this module.
    """
    with decoded_picture(source) as decoded:
        return decoded.picture


@contextmanager
def decoded_picture(source: Source) -> Iterator[Decoded]:
    """As `open_picture`, with what the file told; its memory counts as used until the block ends.

    In a block, no other picture may be decoded on the same thread: it could wait for memory that the block holds.

    Raises:
        PictureError: as of `open_picture`.
    """
    name = _name(source)
    reservation = _Reservation(_memory)
    try:
        with _one_line(name):
            decoded = _decode(source, name, reservation)
        yield decoded
    finally:
        reservation.give_back()


def picture_size(source: Source) -> tuple[int, int]:
    """Width and height in pixels as the header tells them, before the picture is turned.

    Raises:
        PictureError: as of `open_picture`.
    """
    name = _name(source)
    with _one_line(name):
        if isinstance(source, Image.Image):
            return source.size
        with _stream(source, name) as (stream, _), _opened(stream, name) as picture:
            return picture.size


def is_picture(path: str | Path) -> bool:
    """Whether a file's first bytes or its suffix are those of a format in FORMATS, or its first bytes HEIC's."""
    if Path(path).suffix.lower() in _suffixes():
        return os.path.isfile(path) or os.path.islink(path)
    if not os.path.isfile(path):  # a pipe would block
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return _is_heic(head) or any(accept(head) for accept in _accepted())


@cache
def _suffixes() -> frozenset[str]:
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in (*FORMATS, "MPO"))


@cache
def _accepted() -> tuple[Any, ...]:
    Image.init()
    return tuple(
        accept for _, accept in (Image.OPEN[kind] for kind in FORMATS if kind in Image.OPEN) if accept
    )


def _is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS


def _name(source: Source) -> str:
    return str(source) if isinstance(source, str | Path) else getattr(source, "filename", "") or "picture"


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Whatever goes wrong in decoding becomes a PictureError of one line."""
    try:
        yield
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError(f"{name}: no such picture") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{name}: not a picture in a format that is read ({READ})") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name}: too many pixels; at most {MEGAPIXELS} megapixels are read") from error
    except MemoryError as error:
        raise PictureError(f"{name}: too large for this machine's memory") from error
    except Exception as error:  # on damaged files Pillow's decoders raise whatever comes up
        raise PictureError(f"{name}: damaged picture ({' '.join(str(error).split())[:100]})") from error


@contextmanager
def _stream(source: str | Path | bytes, name: str) -> Iterator[tuple[_File | _Bytes, int]]:
    """The file's content, and how many bytes it has."""
    if isinstance(source, bytes):
        _check_bytes(name, len(source))
        yield _Bytes(source), len(source)
        return
    found = os.stat(source)
    if not stat.S_ISREG(found.st_mode):
        raise PictureError(f"{name}: not a file")
    _check_bytes(name, found.st_size)
    with _File(FileIO(source)) as file:
        yield file, found.st_size


def _decode(source: Source, name: str, reservation: _Reservation) -> Decoded:
    if isinstance(source, Image.Image):
        return _to_upright_rgb(source, name, reservation)
    with _stream(source, name) as (stream, size):
        if size > LARGE_FILE:
            reservation.take(MEMORY)
        if stream.read(len(JPEG)) == JPEG:
            content = JPEG + stream.read()
            scans = count_scans(content, SCANS)
            if scans > SCANS:
                raise PictureError(f"{name}: a JPEG of {scans} scans; at most {SCANS} are read")
            plain = _plain_jpeg(content, name, reservation)
            if plain is not None:
                return plain
            stream = _Bytes(content)
        with _opened(stream, name) as picture:
            return _to_upright_rgb(picture, name, reservation)


def _opened(stream: _File | _Bytes, name: str) -> Image.Image:
    """Read the header, without Pillow's warnings of size and of odd metadata."""
    stream.label = name
    stream.seek(0)
    head = stream.read(16)
    try:
        with _quiet():
            return Image.open(stream, formats=FORMATS)
    except UnidentifiedImageError as error:
        if _is_heic(head):
            raise PictureError(f"{name}: a HEIC picture, which is not read; convert it to JPEG") from error
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    with _opening, warnings.catch_warnings():  # the warning filters are one for all threads
        warnings.simplefilter("ignore")
        yield


def _plain_jpeg(content: bytes, name: str, reservation: _Reservation) -> Decoded | None:
    """A small JPEG without metadata as Pillow reads it, three times as fast; None for all else, whole or damaged."""
    if b"Exif\0\0" in content or b"Orientation" in content:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours not in ("YCbCr", "Gray"):
            return None
        _check_size(name, "JPEG", (int(width), int(height)))
        reservation.take(_bytes_needed("JPEG", (int(width), int(height))))
        pixels = simplejpeg.decode_jpeg(content, "RGB")
    except ValueError:
        return None
    return Decoded(Image.fromarray(pixels), "L" if colours == "Gray" else "RGB", False)


def _to_upright_rgb(picture: Image.Image, name: str, reservation: _Reservation) -> Decoded:
    kind = picture.format or ""
    _check_size(name, kind, picture.size)
    reservation.take(_bytes_needed(kind, picture.size))
    # A PNG may keep its EXIF behind its pixels. Pillow itself turns a TIFF while it loads it.
    before = 1 if kind == "PNG" else _orientation(picture)
    picture.load()
    orientation = _orientation(picture)
    rgb = _to_rgb(picture)
    if orientation in TURNS:
        rgb = rgb.transpose(TURNS[orientation])
    rgb.info.clear()
    return Decoded(rgb, picture.mode, before in TURNS or orientation in TURNS)


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation; 1 where there is none or the EXIF is damaged, for the pixels are then still whole."""
    try:
        with _quiet():
            found = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever its reader raises
        return 1
    return found if isinstance(found, int) else 1


def _to_rgb(picture: Image.Image) -> Image.Image:
    """A new picture of mode RGB."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        return Image.fromarray(_to_8_bits(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        coloured = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGB", coloured.size, "white")
        white.paste(coloured, mask=coloured)
        return white
    return picture.convert("RGB")


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Samples of 32 bits or floating point as uint8, by the range that `open_picture` tells; NaN becomes 0."""
    finite = np.isfinite(values)
    low = float(values.min(where=finite, initial=np.inf if values.dtype.kind == "f" else 2**31 - 1))
    high = float(values.max(where=finite, initial=-np.inf if values.dtype.kind == "f" else -(2**31)))
    if low >= 0 and high <= 1 and values.dtype.kind == "f":
        low, scale = 0.0, 255.0
    elif low >= 0 and high <= 255:
        low, scale = 0.0, 1.0
    elif low >= 0 and high <= 65535:
        low, scale = 0.0, 255 / 65535
    else:
        scale = 255 / (high - low) if high > low else 0.0
    found = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), ROWS):
        rows = slice(row, row + ROWS)
        shades = (np.where(finite[rows], values[rows], low).astype(np.float64) - low) * scale
        shades[values[rows] > high] = 255  # infinite
        found[rows] = np.clip(shades.round(), 0, 255)
    return found


def _bytes_needed(kind: str, size: tuple[int, int]) -> int:
    return size[0] * size[1] * BYTES_PER_PIXEL.get(kind, MOST_BYTES_PER_PIXEL)


def _check_size(name: str, kind: str, size: tuple[int, int]) -> None:
    """Raise PictureError where a picture has too many pixels, or is too long for its width."""
    width, height = size
    if _bytes_needed(kind, size) > MEMORY:
        most = MEMORY // BYTES_PER_PIXEL.get(kind, MOST_BYTES_PER_PIXEL) // 10**6
        raise PictureError(
            f"{name}: {width} x {height} pixels; at most {most} megapixels of {kind or 'a picture'} are read; "
            "scale it down"
        )
    if max(width, height) > ASPECT * min(width, height):
        raise PictureError(
            f"{name}: {width} x {height} pixels; one side may be at most {ASPECT} times the other; cut it"
        )


def _check_bytes(name: str, size: int) -> None:
    if size > FILE_BYTES:
        told = f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
        raise PictureError(
            f"{name}: a file of {told}; pictures of at most {FILE_BYTES / 1e6:.1f} MB are read; scale it down"
        )
