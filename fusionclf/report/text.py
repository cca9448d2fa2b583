"""Formats of numbers and of text from outside."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from fusionclf.run_schema import SPLIT_FILE

NONE = "\N{EN DASH}"  # for a missing number


def percent(value: float | None, digits: int = 2) -> str:
    """A percentage for tables; a dash where there is none."""
    return NONE if value is None else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference in points."""
    return NONE if value is None else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def p_value(value: float) -> str:
    """A p-value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds with a suitable unit."""
    if seconds is None:
        return NONE
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def count(value: float | None) -> str:
    """A number with thousands separators."""
    return NONE if value is None else f"{value:,.0f}"


def resampled(columns: Sequence[str]) -> tuple[str, str]:
    """What the bootstrap resamples, and what products that move together share.

    Args:
        columns: whose cells the split keeps together.

    >>> resampled(()), resampled(["parent"])
    (('titles', 'one title'), ('groups', 'one title or one parent'))
    """
    return ("groups" if columns else "titles", " or ".join(f"one {name}" for name in ("title", *columns)))


def kept_subsets(spec: Mapping[str, Any]) -> str:
    """What follows the rule of a split that keeps that of an earlier run; "" for others.

    >>> kept_subsets({"rule": "random", "same_as": "runs/first"})
    '; each product keeps its subset of the run first'
    """
    if not spec.get("same_as"):
        return ""
    path = PurePath(str(spec["same_as"]))
    return f"; each product keeps its subset of the run {(path.parent if path.name == SPLIT_FILE else path).name}"


def markdown(value: Any) -> str:
    """Text from outside in Markdown: markup is escaped, line breaks and control characters become spaces."""
    text = re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(value)).strip()
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text)


def code(value: Any) -> str:
    """Text from outside in a fenced Markdown block: one line, without the character of the fence."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(value)).strip().replace("`", "'")


def rows_range(first: int, last: int | None) -> str:
    """A bin of training rows: 0, 1–4, 1000+."""
    if first == last:
        return str(first)
    return f"{first}+" if last is None else f"{first}{NONE}{last}"
