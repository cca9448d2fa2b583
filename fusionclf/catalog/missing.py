"""The one rule for a missing value: nothing, blanks, or a word that programs write in its place.

`NA` is not such a word: catalogs use it as a value, such as a colour.
"""

from decimal import Decimal
from typing import Any

import pandas as pd
from pandas.api.types import is_scalar

# What pandas, R, SQL clients, JSON tools and spreadsheets write (pandas.read_csv, `na_values`), in these spellings.
MISSING_WORDS = frozenset(
    ("nan", "NaN", "NAN", "-nan", "-NaN", "None", "null", "NULL", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA",
     "NaT", "\\N", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN")
)  # fmt: skip
LARGEST_WHOLE = 2**63  # floats from here on are written with an exponent


def is_missing(value: Any) -> bool:
    """Whether a value is missing.

    Args:
        value: a cell's text, or a value of Python, NumPy, pandas or JSON; None, NaN, NaT and pandas.NA are missing.
    """
    if isinstance(value, str):
        word = value.strip()
        return not word or word in MISSING_WORDS
    return bool(is_scalar(value) and pd.isna(value))


def cell_text(value: Any) -> str:
    """The text of a cell, the same from every file format; "" where it is missing.

    Args:
        value: a text, a number, a bool or nothing. A whole number is written without a fraction: 1000.0 is 1000.
    """
    if isinstance(value, str):
        return "" if value.strip() in MISSING_WORDS else value
    if is_missing(value):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal) and abs(value) < LARGEST_WHOLE and value == int(value):
        return str(int(value))
    return str(value)


def are_missing_words(cells: pd.Series) -> pd.Series:
    """(N,) which texts are a word for a missing value; an empty cell is none."""
    return cells.str.strip().isin(MISSING_WORDS)
