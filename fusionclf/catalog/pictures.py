"""Open pictures safely, and hash what they show."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy.fft import dctn

from fusionclf.errors import PictureError

MAX_PIXELS = 100_000_000


def open_picture(path: Path) -> Image.Image:
    """A picture, decoded to RGB.

    Raises:
        PictureError: it is missing, truncated, no picture, or larger than 100 megapixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning and notes on odd metadata
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise PictureError(
                        f"{path}: {width}×{height} pixels; at most {MAX_PIXELS // 10**6} megapixels"
                    )
                return picture.convert("RGB")
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such picture") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: more than {MAX_PIXELS // 10**6} megapixels") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: not a picture") from error
    # Decoders raise these, and nothing narrower, on damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, MemoryError) as error:
        raise PictureError(f"{path}: damaged picture ({error})") from error


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
