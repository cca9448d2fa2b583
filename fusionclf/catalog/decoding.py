"""Decode pictures to upright RGB: one list of formats, and limits on file size, pixels, shape and memory.

Every picture goes through `decoded_picture`, whether it comes from a catalog, from products to predict or from a
request. The content decides the format, not the file's suffix.
"""

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import simplejpeg
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from fusionclf.catalog.conversion import WORKED_PIXELS, reduction, to_rgb
from fusionclf.catalog.limits import (
    LARGE_FILE,
    MEGAPIXELS,
    MEMORY,
    SCANS,
    UPRIGHT_BYTES,
    LimitedBytes,
    LimitedFile,
    Memory,
    Reservation,
    bytes_per_pixel,
    check_bytes,
    check_size,
    count_scans,
)
from fusionclf.errors import PictureError

# Pillow decodes these itself, without another program. Opening by path alone would allow PostScript, too.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "JPEG2000")
READ = "AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, TIFF and WebP"
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
SIDEWAYS = (5, 6, 7, 8)

Source = str | Path | bytes | Image.Image


class Decoded(NamedTuple):
    """A decoded picture, and how its file stores it.

    Attributes:
        picture: RGB, upright, without metadata; reduced where it has more than WORKED_PIXELS.
        size: its width and height in pixels before it was reduced, upright.
        mode: Pillow's mode of the file, such as L (grayscale).
        turned: whether its EXIF orientation differs from upright.
    """

    picture: Image.Image
    size: tuple[int, int]
    mode: str
    turned: bool


_memory = Memory(MEMORY)
_opening = threading.Lock()


def open_picture(source: Source) -> Image.Image:
    """A picture as upright 8-bit RGB without metadata; what is transparent becomes white.

    Samples of 16 bits lose their lower 8. Samples of 32 bits or floating point are scaled by the narrowest range that
    holds all of them: 0 to 1 (floating point alone), 0 to 255, 0 to 65,535, or else their own least and largest value.
    Of several frames, the first is shown. Colour profiles are ignored. A picture of more than WORKED_PIXELS is reduced
    by the least whole factor that brings it below: each pixel becomes the mean of a square; of a JPEG, libjpeg decodes
    at 1/2, 1/4 or 1/8 first.

    Args:
        source: a file, its bytes, or a picture that Pillow has opened.

    Raises:
        PictureError: it is missing, damaged, of another format than FORMATS, or over a limit of this module.
    """
    with decoded_picture(source) as decoded:
        return decoded.picture


@contextmanager
def decoded_picture(source: Source) -> Iterator[Decoded]:
    """As `open_picture`, with facts about the file; its memory counts as used until the block ends.

    In a block, no other picture may be decoded on the same thread: it could wait for memory that the block holds.

    Raises:
        PictureError: as of `open_picture`.
    """
    name = _name(source)
    reservation = Reservation(_memory)
    try:
        with _one_line(name):
            decoded = _decode(source, name, reservation)
        yield decoded
    finally:
        reservation.give_back()


def picture_size(source: Source) -> tuple[int, int]:
    """Width and height in pixels by the header, as EXIF turns the picture; of a PNG, before it is turned.

    Raises:
        PictureError: as of `open_picture`.
    """
    name = _name(source)
    with _one_line(name):
        if isinstance(source, Image.Image):
            return _upright_size(source)
        with _stream(source, name) as (stream, _), _opened(stream, name) as picture:
            return _upright_size(picture)


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    # A PNG may store its EXIF behind its pixels, which are not decoded for it.
    sideways = picture.format != "PNG" and _orientation(picture) in SIDEWAYS
    width, height = picture.size
    return (height, width) if sideways else (width, height)


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
    """Every error of decoding becomes a PictureError of one line."""
    try:
        yield
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError(f"{name}: no such picture") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{name}: not a picture in a supported format ({READ})") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name}: too many pixels; at most {MEGAPIXELS} megapixels are read") from error
    except MemoryError as error:
        raise PictureError(f"{name}: too large for this machine's memory") from error
    except Exception as error:  # on damaged files Pillow's decoders raise errors of any kind
        raise PictureError(f"{name}: damaged picture ({' '.join(str(error).split())[:100]})") from error


@contextmanager
def _stream(source: str | Path | bytes, name: str) -> Iterator[tuple[LimitedFile | LimitedBytes, int]]:
    """A file's content, and its size in bytes."""
    if isinstance(source, bytes):
        check_bytes(name, len(source), source[:4])
        yield LimitedBytes(source), len(source)
        return
    found = os.stat(source)
    if not stat.S_ISREG(found.st_mode):
        raise PictureError(f"{name}: not a file")
    with LimitedFile(FileIO(source)) as file:
        check_bytes(name, found.st_size, file.read(4))
        file.seek(0)
        yield file, found.st_size


def _decode(source: Source, name: str, reservation: Reservation) -> Decoded:
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
            stream = LimitedBytes(content)
        with _opened(stream, name) as picture:
            return _to_upright_rgb(picture, name, reservation)


def _opened(stream: LimitedFile | LimitedBytes, name: str) -> Image.Image:
    """Read the header, without Pillow's warnings of size and of odd metadata."""
    stream.label = name
    stream.seek(0)
    head = stream.read(16)
    try:
        with _quiet():
            return Image.open(stream, formats=FORMATS)
    except UnidentifiedImageError as error:
        if _is_heic(head):
            raise PictureError(
                f"{name}: a HEIC picture, which is not supported; convert it to JPEG"
            ) from error
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    with _opening, warnings.catch_warnings():  # all threads share the warning filters
        warnings.simplefilter("ignore")
        yield


def _plain_jpeg(content: bytes, name: str, reservation: Reservation) -> Decoded | None:
    """A small JPEG without metadata, as Pillow reads it but three times as fast; None for any other file."""
    if b"Exif\0\0" in content or b"Orientation" in content:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours not in ("YCbCr", "Gray"):
            return None
        size = int(width), int(height)
        if size[0] * size[1] > WORKED_PIXELS:
            return None
        check_size(name, "JPEG", size)
        reservation.take(size[0] * size[1] * UPRIGHT_BYTES)
        pixels = simplejpeg.decode_jpeg(content, "RGB")
    except ValueError:
        return None
    return Decoded(Image.fromarray(pixels), size, "L" if colours == "Gray" else "RGB", False)


def _to_upright_rgb(picture: Image.Image, name: str, reservation: Reservation) -> Decoded:
    kind = f"{picture.format or 'picture'}{' in CMYK' * (picture.mode == 'CMYK')}"
    width, height = picture.size
    check_size(name, kind, picture.size)
    worked = min(width * height, WORKED_PIXELS)
    reservation.take(max(width * height * bytes_per_pixel(kind), worked * UPRIGHT_BYTES))
    # A PNG may store its EXIF behind its pixels. Pillow turns a TIFF while it loads it.
    before = 1 if kind == "PNG" else _orientation(picture)
    if width * height > WORKED_PIXELS and isinstance(picture, ImageFile.ImageFile):
        factor = reduction(width, height)
        picture.draft(None, (width // factor, height // factor))  # pyright: ignore[reportArgumentType]
    picture.load()
    orientation = _orientation(picture)
    rgb = to_rgb(picture)
    if orientation in TURNS:
        rgb = rgb.transpose(TURNS[orientation])
    rgb.info.clear()
    turned = before in TURNS or orientation in TURNS
    upright = (height, width) if orientation in SIDEWAYS else (width, height)
    return Decoded(rgb, upright, picture.mode, turned)


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation; 1 where there is none or the EXIF is damaged, as the pixels may still be whole."""
    try:
        with _quiet():
            found = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # its reader raises errors of any kind
        return 1
    return found if isinstance(found, int) else 1
