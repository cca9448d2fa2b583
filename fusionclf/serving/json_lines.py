"""Bodies of requests: JSON → what is written about products."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from fusionclf.catalog.fields import TITLE, field_table
from fusionclf.catalog.missing import is_missing
from fusionclf.catalog.tables import is_utf8
from fusionclf.errors import PredictionError
from fusionclf.serving.schemas import FIELD_LENGTH, LINES, TITLE_LENGTH


def read_products(body: bytes, further: Sequence[str] = ()) -> pd.DataFrame:
    """The fields of a batch of products, in its order: `title` and the further ones; empty lines are skipped.

    A cell is "" for null, NaN or a word for a missing value.

    Args:
        body: JSON lines.
        further: names of the further fields that are read; other keys of a line are ignored.

    Raises:
        PredictionError: there are no lines or too many, or a line is not an object with a title or a further field.

    >>> read_products(b'{"title": "Red Dress"}')["title"].tolist()
    ['Red Dress']
    """
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    if not lines:
        raise PredictionError('no products; send a line such as {"title": "Red Dress"} for each')
    if len(lines) > LINES:
        raise PredictionError(f"{len(lines):,} lines; send at most {LINES:,} at a time")
    products = [_product(number, line, further) for number, line in lines]
    cells = {name: [product.get(name, "") for product in products] for name in further}
    return field_table([product.get(TITLE, "") for product in products], cells)


def read_fields(text: str | None) -> dict[str, str]:
    """Further texts and attributes of one product, from a JSON object.

    Raises:
        PredictionError: it is not an object of texts and numbers, or a value is too long.

    >>> read_fields('{"brand": "Nordvik", "price": 12.5}')
    {'brand': 'Nordvik', 'price': '12.5'}
    """
    if not text:
        return {}
    found = _object("fields", text.encode("utf-8", "surrogatepass"))
    return {name: _cell("fields", name, value) for name, value in found.items()}


def _product(number: int, line: bytes, further: Sequence[str]) -> dict[str, str]:
    place = f"line {number}"
    product = _object(place, line)
    known = {name: product[name] for name in (TITLE, *further) if name in product}
    title = known.get(TITLE, "")
    if not known or not (is_missing(title) or isinstance(title, str)):
        raise PredictionError(f'{place}: no title; give an object such as {{"title": "Red Dress"}}')
    return {name: _cell(place, name, value) for name, value in known.items()}


def _object(place: str, text: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise PredictionError(f"{place}: not JSON ({reason})") from error
    if not isinstance(found, dict):
        raise PredictionError(f'{place}: no title; give an object such as {{"title": "Red Dress"}}')
    return found


def _cell(place: str, name: str, value: Any) -> str:
    """A value as text; "" for a missing one."""
    if is_missing(value):
        return ""
    if not isinstance(value, str | int | float):
        raise PredictionError(f"{place}: {name[:60]!r} is no text and no number; give one of them, or null")
    cell, longest = str(value), TITLE_LENGTH if name == TITLE else FIELD_LENGTH
    if len(cell) > longest:
        kind = "a title" if name == TITLE else f"{name[:60]!r}"
        raise PredictionError(f"{place}: {kind} of {len(cell):,} characters; at most {longest:,} are read")
    if not is_utf8(cell):
        kind = "the title" if name == TITLE else f"{name[:60]!r}"
        raise PredictionError(f"{place}: {kind} is not valid text")
    return cell
