"""What counts as a title, and its words. Cells such as "NaN" are emptied before, by missing.py."""

import re
from collections.abc import Iterable

import numpy as np

WORD = re.compile(r"\w+")


def has_title(title: str) -> bool:
    """Whether a product has a title; white space alone is none.

    >>> has_title("Nordvik Men Tshirt"), has_title("  ")
    (True, False)
    """
    return title.strip() != ""


def have_titles(titles: Iterable[str]) -> np.ndarray:
    """(N,) whether each product has a title."""
    return np.array([has_title(title) for title in titles], bool)


def split_words(title: str) -> list[str]:
    r"""The words of a title in lower case; a word is a run of letters, digits and underscores (``\w+``).

    >>> split_words("T-shirt, Size 42")
    ['t', 'shirt', 'size', '42']
    """
    return WORD.findall(title.lower())


def first_word(title: str) -> str:
    """The first word of a title, often its brand; "" where it has no word."""
    return next(iter(split_words(title)), "")
