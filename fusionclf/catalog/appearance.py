"""How a picture looks, in five numbers: enough to find pictures that are blank, dark or blurred."""

from typing import NamedTuple

import numpy as np
from PIL import Image

LONGER = 256  # pixels of the longer side that is looked at, about what models see
THUMBNAIL = 32  # pixels of the longer side whose colours are looked at
DARK = 80  # of 255: the brightest hundredth of a dark picture is below
BLANK = 16  # of 255: all values of a blank picture lie within
BLURRED = 0.1  # sharpness; see `Appearance.sharpness`


class Appearance(NamedTuple):
    """What a picture looks like.

    Attributes:
        brightness: mean luma, 0 to 255.
        highlights: luma that a hundredth of the pixels exceed.
        spread: largest difference of two values of a colour channel.
        sharpness: standard deviation of the Laplacian of the luma, over that of the luma. Sharp pictures of products
            have 0.15 to 2.5, whatever their size; below BLURRED, no edge is sharp.
        colourfulness: 0 for grey, above 100 for bright colours.
    """

    brightness: float
    highlights: float
    spread: float
    sharpness: float
    colourfulness: float

    @property
    def is_blank(self) -> bool:
        """Whether it shows one colour."""
        return self.spread <= BLANK

    @property
    def is_dark(self) -> bool:
        """Whether hardly anything can be seen in it."""
        return not self.is_blank and self.highlights < DARK

    @property
    def is_blurred(self) -> bool:
        """Whether none of its edges is sharp."""
        return not self.is_blank and self.sharpness < BLURRED


def appearance(picture: Image.Image) -> Appearance:
    """How an RGB picture looks.

    Source: Hasler and Süsstrunk, Measuring Colourfulness in Natural Images (2003); the variance of the Laplacian is
    Pech-Pacheco et al., Diatom Autofocusing in Brightfield Microscopy (2000).

    >>> appearance(Image.new("RGB", (40, 60), (200, 30, 30))).is_blank
    True
    """
    small = _reduced(picture, LONGER)
    luma = small.convert("L")
    counts = np.array(luma.histogram(), np.float64)
    shares = counts / counts.sum()
    levels = np.arange(256)
    mean = float(shares @ levels)
    deviation = float(np.sqrt(shares @ (levels - mean) ** 2))
    highlights = float(np.searchsorted(shares.cumsum(), 0.99))
    spread = float(max(high - low for low, high in small.getextrema()))  # pyright: ignore
    return Appearance(mean, highlights, spread, _edges(luma) / max(deviation, 1.0), _colourfulness(small))


def _reduced(picture: Image.Image, longer: int) -> Image.Image:
    """The picture with its longer side divided by the least whole number that brings it to `longer` pixels."""
    factor = -(-max(picture.size) // longer)
    return picture.reduce(factor) if factor > 1 else picture


def _edges(luma: Image.Image) -> float:
    """Standard deviation of the Laplacian; 0 for a picture of less than 3 × 3 pixels."""
    grey = np.asarray(luma).astype(np.int16)
    if min(grey.shape) < 3:
        return 0.0
    found = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(found.std(dtype=np.float32))


def _colourfulness(picture: Image.Image) -> float:
    red, green, blue = np.moveaxis(np.asarray(_reduced(picture, THUMBNAIL), np.float32), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    deviation = np.hypot(red_green.std(), yellow_blue.std())
    return float(deviation + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))
