"""Attributes: cells of categories and of numbers → ids. A category is hashed, a number falls into a bin."""

import re
from collections.abc import Sequence

import mmh3
import numpy as np

BUCKETS = 2**12  # ids of an attribute; id 0 is a missing cell
BINS = 8
NUMERIC_SHARE = 0.95  # of the cells of a column of numbers
FEWEST_NUMBERS = 10  # distinct ones; a column of fewer, such as 1, 2 and 3, holds categories
NUMBER = re.compile(r"[^\d]{0,4}?(-?\d[\d.,' \u00a0\u202f]*)[^\d]{0,6}")


def number(cell: str) -> float:
    """The number in a cell, NaN where it holds none; a currency or a unit may stand beside it.

    >>> [number(cell) for cell in ("1899.0", "€ 1.299,90", "Rs. 1,899", "12 cm", "Nordvik 3000 XL 7")]
    [1899.0, 1299.9, 1899.0, 12.0, nan]
    """
    found = NUMBER.fullmatch(cell.strip())
    if not found:
        return np.nan
    digits = re.sub(r"[' \u00a0\u202f]", "", found[1])
    mark = max(digits.rfind(","), digits.rfind("."))
    if mark >= 0:
        whole, rest = re.sub(r"[.,]", "", digits[:mark]), digits[mark + 1 :]
        both, several = "," in digits and "." in digits, len(re.findall(r"[.,]", digits)) > 1
        # A single comma before three digits separates thousands; a point does not.
        thousands = (several and not both) or (not both and digits[mark] == "," and len(rest) == 3)
        digits = whole + rest if thousands else f"{whole}.{rest}"
    try:
        return float(digits)
    except ValueError:
        return np.nan


def bin_edges(cells: Sequence[str]) -> np.ndarray:
    """The inner edges of the quantile bins of a column of numbers; empty for a column of categories.

    Args:
        cells: of the training rows; "" is missing.
    """
    given = [cell for cell in cells if cell]
    values = np.array([number(cell) for cell in given], np.float64)
    values_there = values[np.isfinite(values)]
    if len(values_there) < NUMERIC_SHARE * len(given) or len(set(values_there)) < FEWEST_NUMBERS:
        return np.zeros(0)
    edges = np.unique(np.quantile(values_there, np.arange(1, BINS) / BINS))
    return edges


def attribute_ids(cells: Sequence[str], edges: np.ndarray) -> np.ndarray:
    """(n,) ids from 0, a missing cell, to BUCKETS - 1.

    Args:
        cells: of n products.
        edges: of `bin_edges`.

    Source: Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009).

    >>> attribute_ids(["Red", "red ", ""], np.zeros(0)).tolist()[2], attribute_ids(["7"], np.array([5.0])).tolist()
    (0, [2])
    """
    if len(edges):
        values = np.array([number(cell) for cell in cells], np.float64)
        return np.where(np.isfinite(values), 1 + np.searchsorted(edges, values, side="right"), 0)
    known: dict[str, int] = {"": 0}
    found = np.zeros(len(cells), np.int64)
    for place, cell in enumerate(cells):
        text = cell.strip().casefold()
        if text not in known:
            known[text] = 1 + mmh3.hash(text, signed=False) % (BUCKETS - 1)
        found[place] = known[text]
    return found
