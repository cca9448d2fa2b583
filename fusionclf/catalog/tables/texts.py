"""Values of any format → texts."""

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from fusionclf.catalog.missing import cell_text


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no lone surrogate, such as a byte of another encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def value_text(value: Any) -> str:
    """The text of a value of JSON or Parquet: lists and objects as JSON, a missing value as "".

    A word for a missing value, such as NaN, stays as it is written, as in a CSV file.

    >>> value_text(["a.jpg", "b.jpg"]), value_text(1000.0), value_text(None)
    ('["a.jpg", "b.jpg"]', '1000', '')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return cell_text(value)
