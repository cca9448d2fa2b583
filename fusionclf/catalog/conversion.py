"""A picture of any mode → RGB of 8 bits, reduced where it is large."""

import math

import numpy as np
from PIL import Image

WORKED_PIXELS = 16 * 10**6  # a larger picture is reduced by a whole factor before it is converted
ROWS = 64  # rows that are scaled at a time, to save memory


def reduction(width: int, height: int) -> int:
    """The least whole factor that brings a picture below WORKED_PIXELS."""
    return math.ceil(math.sqrt(width * height / WORKED_PIXELS))


def to_rgb(picture: Image.Image) -> Image.Image:
    """A new picture of mode RGB, reduced where it has more than WORKED_PIXELS, some rows at a time."""
    span = _span(picture) if picture.mode in ("I", "F") else (0.0, 0.0)
    factor = reduction(*picture.size)
    if factor == 1:
        return _rows_to_rgb(picture, span)
    found = Image.new("RGB", (-(-picture.width // factor), -(-picture.height // factor)))
    for top in range(0, picture.height, ROWS * factor):
        rows = picture.crop((0, top, picture.width, min(top + ROWS * factor, picture.height)))
        found.paste(_rows_to_rgb(rows, span).reduce(factor), (0, top // factor))
    return found


def _rows_to_rgb(picture: Image.Image, span: tuple[float, float]) -> Image.Image:
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        return Image.fromarray(_to_8_bits(np.asarray(picture), *span)).convert("RGB")
    if picture.has_transparency_data:
        coloured = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGB", coloured.size, "white")
        white.paste(coloured, mask=coloured)
        return white
    return picture.convert("RGB")


def _span(picture: Image.Image) -> tuple[float, float]:
    """The samples that become 0 and 255, by the rule in `open_picture`."""
    low, high = math.inf, -math.inf
    for top in range(0, picture.height, ROWS):
        values = np.asarray(picture.crop((0, top, picture.width, min(top + ROWS, picture.height))))
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    for known in (1, 255, 65535) if picture.mode == "F" else (255, 65535):
        if low >= 0 and high <= known:
            return 0.0, float(known)
    return low, high


def _to_8_bits(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Samples of 32 bits as uint8: `low` becomes 0, `high` 255, and NaN 0."""
    scale = 255 / (high - low) if high > low else 0.0
    shades = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), ROWS):
        some = values[row : row + ROWS].astype(np.float64)
        some = np.where(np.isnan(some), low, np.clip(some, low, high))
        shades[row : row + ROWS] = np.round((some - low) * scale)
    return shades
