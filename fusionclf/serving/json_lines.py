"""The body of a batch: JSON lines → titles."""

import json
from typing import Any

from fusionclf.catalog.missing import is_missing
from fusionclf.catalog.tables import is_utf8
from fusionclf.errors import PredictionError
from fusionclf.serving.schemas import LINES, TITLE_LENGTH


def read_titles(body: bytes) -> list[str]:
    """The titles of a batch, in its order; "" for null, NaN or a word for a missing value; empty lines are skipped.

    Raises:
        PredictionError: there are no lines or too many, or a line is not an object with a title.

    >>> read_titles(b'{"title": "Red Dress"}')
    ['Red Dress']
    """
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    if not lines:
        raise PredictionError('no products; send a line such as {"title": "Red Dress"} for each')
    if len(lines) > LINES:
        raise PredictionError(f"{len(lines):,} lines; send at most {LINES:,} at a time")
    return [_title(number, line) for number, line in lines]


def _title(number: int, line: bytes) -> str:
    try:
        product: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise PredictionError(f"line {number}: not JSON ({reason})") from error
    title = product.get("title", 0) if isinstance(product, dict) else 0
    if is_missing(title):
        return ""
    if not isinstance(title, str):
        raise PredictionError(f'line {number}: no title; give an object such as {{"title": "Red Dress"}}')
    if len(title) > TITLE_LENGTH:
        raise PredictionError(
            f"line {number}: a title of {len(title):,} characters; at most {TITLE_LENGTH:,} are read"
        )
    if not is_utf8(title):
        raise PredictionError(f"line {number}: the title is not valid text")
    return title
