"""Size and shape of a catalog's pictures, by the headers of some of them."""

from dataclasses import dataclass

import numpy as np

from fusionclf.catalog.decoding import picture_size
from fusionclf.catalog.pictures import map_paths
from fusionclf.catalog.records import Catalog
from fusionclf.errors import PictureError

SAMPLE = 256  # pictures whose headers are read
SAME_SHAPE = 1.1  # factor by which width / height may differ from the median's


@dataclass(frozen=True)
class PictureSizes:
    """What some of a catalog's pictures have in common.

    Attributes:
        count: pictures whose header could be read.
        height, width: their medians in pixels; 0 without any.
        same_shape: share of them whose width / height is that of the median, or nearly.
    """

    count: int = 0
    height: int = 0
    width: int = 0
    same_shape: float = 0.0

    @property
    def longer(self) -> int:
        """The longer side in pixels."""
        return max(self.height, self.width)


def sample_sizes(catalog: Catalog) -> PictureSizes:
    """Sizes of up to SAMPLE pictures, evenly spaced over the catalog; headers alone are read, nothing is decoded."""
    rows = np.flatnonzero(catalog.table["picture"].fillna("") != "")
    chosen = rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(np.int64)]
    found = [size for size in map_paths(catalog.picture_paths(chosen), _size) if size is not None]
    if not found:
        return PictureSizes()
    width, height = np.array(found, float).T
    shapes = np.log(width / height)
    same = np.abs(shapes - np.median(shapes)) <= np.log(SAME_SHAPE)
    return PictureSizes(len(found), int(np.median(height)), int(np.median(width)), float(same.mean()))


def _size(path: object) -> tuple[int, int] | None:
    """Width and height; None where the header cannot be read, which is reported where the picture is decoded."""
    try:
        return picture_size(str(path))
    except PictureError:
        return None
