"""Open pictures safely, and hash what they show."""

import hashlib
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy.fft import dctn

from fusionclf.errors import PictureError

MEGAPIXELS = 100  # larger pictures are refused before they are decoded
# Bytes may come from anywhere: formats that Pillow decodes itself, without another program.
SENT_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
CHUNK = 128  # pictures that a thread takes at a time

Value = TypeVar("Value")
_OPENING = threading.Lock()


def open_picture(path: str | Path | bytes | Image.Image) -> Image.Image:
    """A picture's file, its bytes, or one that Pillow has opened, decoded to RGB; what is transparent becomes white.

    Raises:
        PictureError: it is missing, truncated, no picture, or larger than 100 megapixels.
    """
    return open_with_mode(path)[0]


def open_with_mode(path: str | Path | bytes | Image.Image) -> tuple[Image.Image, str]:
    """A picture, decoded to RGB, and the mode in which the file keeps it, such as L (grayscale).

    Raises:
        PictureError: it is missing, truncated, no picture, or larger than 100 megapixels.
    """
    name = path if isinstance(path, str | Path) else getattr(path, "filename", "") or "picture"
    try:
        with _open(path) as picture:
            width, height = picture.size
            if width * height > MEGAPIXELS * 10**6:
                raise PictureError(
                    f"{name}: {width} x {height} pixels; at most {MEGAPIXELS} megapixels are read"
                )
            return _to_rgb(picture), picture.mode
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError(f"{name}: no such picture") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name}: more than {MEGAPIXELS} megapixels") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{name}: not a picture") from error
    except Exception as error:  # on damaged files Pillow's decoders raise whatever comes up
        raise PictureError(f"{name}: damaged picture ({' '.join(str(error).split())[:100]})") from error


def _open(path: str | Path | bytes | Image.Image) -> AbstractContextManager[Image.Image]:
    """Read the header, without Pillow's own warnings of size and of odd metadata."""
    if isinstance(path, Image.Image):
        return nullcontext(path)  # the caller's, not ours to close
    with _OPENING, warnings.catch_warnings():  # the warning filters are one for all threads
        warnings.simplefilter("ignore")
        if isinstance(path, bytes):
            return Image.open(BytesIO(path), formats=SENT_FORMATS)
        return Image.open(path)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits of grey, which convert("RGB") would cut off at 255
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return picture.convert("RGB")


def picture_hash(picture: Image.Image) -> str:
    """sha256 of the size and of every RGB value: equal for pictures that show the same pixels."""
    return hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()


def near_hash(picture: Image.Image) -> int:
    """A 64-bit perceptual hash: signs of the low frequencies, of which near pictures share most.

    Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions (2010), DCT hash.
    """
    grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.BILINEAR), np.float64)
    low = np.asarray(dctn(grey, norm="ortho"))[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the mean brightness, low[0], must not set the threshold
    return int("".join("1" if bit else "0" for bit in bits), 2)


def map_paths(
    paths: Sequence[Path | None],
    read: Callable[[Path | None], Value],
    progress: Callable[[int, int], None] | None = None,
) -> list[Value]:
    """`read` of every path, in the order of `paths`, on as many threads as there are CPUs.

    Args:
        paths: files; None for a product without a picture.
        read: called once for every path, on any thread.
        progress: told of the number done and to do.
    """
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    found: list[Value] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for values in pool.map(lambda chunk: [read(path) for path in chunk], chunks):
            found += values
            if progress:
                progress(len(found), len(paths))
    return found
