"""Bodies of requests: JSON → products."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from fusionclf.catalog.fields import TITLE
from fusionclf.catalog.missing import is_missing
from fusionclf.catalog.picture_cells import MOST_PICTURES
from fusionclf.catalog.tables import is_utf8
from fusionclf.errors import PredictionError
from fusionclf.prediction.io.products import Product
from fusionclf.serving.schemas import FIELD_LENGTH, LINES, TITLE_LENGTH

PICTURE = "picture"
EXAMPLE = '{"title": "Red Dress"} or {"picture": "…base64…"}'


def read_products(body: bytes, further: Sequence[str] = ()) -> list[Product[bytes]]:
    """A batch of products, in its order; empty lines are skipped.

    A cell is "" for null, NaN or a word for a missing value.

    Args:
        body: JSON lines.
        further: names of the further fields that are read; other keys of a line are ignored.

    Raises:
        PredictionError: there are no lines or too many, or a line is not an object with a title, a picture in base64
            or a further field.

    >>> read_products(b'{"title": "Red Dress"}')[0].title
    'Red Dress'
    """
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    if not lines:
        raise PredictionError(f"no products; send a line such as {EXAMPLE} for each")
    if len(lines) > LINES:
        raise PredictionError(f"{len(lines):,} lines; send at most {LINES:,} at a time")
    return [_product(number, line, further) for number, line in lines]


def read_fields(text: str | None) -> dict[str, str]:
    """Further texts and attributes of one product, from a JSON object.

    Raises:
        PredictionError: it is not an object of texts and numbers, or a value is too long.

    >>> read_fields('{"brand": "Nordvik", "price": 12.5}')
    {'brand': 'Nordvik', 'price': '12.5'}
    """
    if not text:
        return {}
    found = _object("fields", text.encode("utf-8", "surrogatepass"), '{"brand": "Nordvik"}')
    return {name: _cell("fields", name, value) for name, value in found.items()}


def _product(number: int, line: bytes, further: Sequence[str]) -> Product[bytes]:
    place = f"line {number}"
    found = _object(place, line, EXAMPLE)
    known = {name: found[name] for name in (TITLE, *further) if name in found}
    title = known.get(TITLE, "")
    if not known and PICTURE not in found:
        raise PredictionError(f"{place}: no title and no picture; give an object such as {EXAMPLE}")
    if not (is_missing(title) or isinstance(title, str)):
        raise PredictionError(f"{place}: the title is not a text; give an object such as {EXAMPLE}")
    cells = {name: _cell(place, name, value) for name, value in known.items()}
    return Product(_pictures(place, found.get(PICTURE)), cells.pop(TITLE, ""), cells)


def _pictures(place: str, value: Any) -> list[bytes]:
    """The contents of a line's pictures; none for null or ""."""
    several = value if isinstance(value, list) else [value]
    texts = [each for each in several if each is not None and each != ""]
    if len(texts) > MOST_PICTURES:
        raise PredictionError(f"{place}: {len(texts)} pictures; give at most {MOST_PICTURES}")
    try:
        return [base64.b64decode(text, validate=True) for text in texts]
    except (TypeError, ValueError, binascii.Error):
        raise PredictionError(
            f"{place}: a picture is not in base64; give the content of its file in base64, or a list of several"
        ) from None


def _object(place: str, text: bytes, example: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise PredictionError(f"{place}: not JSON ({reason})") from error
    if not isinstance(found, dict):
        raise PredictionError(f"{place}: not an object; give one such as {example}")
    return found


def _cell(place: str, name: str, value: Any) -> str:
    """A value as text; "" for a missing one."""
    if is_missing(value):
        return ""
    if not isinstance(value, str | int | float):
        raise PredictionError(
            f"{place}: {name[:60]!r} is neither a text nor a number; give one of them, or null"
        )
    cell, longest = str(value), TITLE_LENGTH if name == TITLE else FIELD_LENGTH
    if len(cell) > longest:
        kind = "a title" if name == TITLE else f"{name[:60]!r}"
        raise PredictionError(f"{place}: {kind} of {len(cell):,} characters; at most {longest:,} are read")
    if not is_utf8(cell):
        kind = "the title" if name == TITLE else f"{name[:60]!r}"
        raise PredictionError(f"{place}: {kind} is not valid text")
    return cell
