"""Small pictures as data: URIs, for pages and labelling tools."""

import base64
import io
from pathlib import Path

from PIL import Image

from fusionclf.catalog.decoding import decoded_picture
from fusionclf.errors import PictureError

THUMBNAIL = (96, 128)  # pixels, at most; pages show them at two thirds, for dense screens
QUALITY = 80


def thumbnail(path: Path | None, size: tuple[int, int] = THUMBNAIL) -> str | None:
    """A small picture as a data: URI, encoded from its pixels; None where there is no readable picture.

    Args:
        path: of the picture.
        size: width and height in pixels, at most.
    """
    if path is None:
        return None
    stream = io.BytesIO()
    try:
        with decoded_picture(path) as decoded:
            decoded.picture.thumbnail(size, Image.Resampling.LANCZOS)
            decoded.picture.save(stream, "JPEG", quality=QUALITY, optimize=True)
    except PictureError:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
