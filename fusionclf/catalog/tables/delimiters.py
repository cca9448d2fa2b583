"""What separates the cells of a CSV file: given by a setting, or recognised from its first rows."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fusionclf.errors import CatalogError

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
PLURALS = {"comma": "commas", "semicolon": "semicolons", "tab": "tabs", "bar": "bars"}
SIGN_LINE = re.compile(r'\s*"?sep=([,;\t|])"?(?:[\r\n]|$)', re.IGNORECASE)
SAMPLE_CHARACTERS, SAMPLE_ROWS = 2**18, 50
MOSTLY = 0.9  # share of rows that have the width of the header


@dataclass(frozen=True)
class _Candidate:
    """One way to read the first rows: cells of the header, whether rows have as many, wanted columns found."""

    name: str
    width: int
    is_regular: bool
    found: int


def given_sign(text: str) -> str:
    """The separator that a text begins with, as spreadsheets read and write it; "" where it begins otherwise.

    >>> given_sign("sep=;\\nid;title"), given_sign("id;title")
    (';', '')
    """
    found = SIGN_LINE.match(text)
    return found[1] if found else ""


def find_delimiter(path: Path, sample: str, wanted: Sequence[str]) -> str:
    """The delimiter's name.

    A first line such as sep=; decides; then wanted columns, where one delimiter alone finds most of them; then a header
    that only one divides; then rows that have as many cells as the header.

    Args:
        path: for messages.
        sample: the beginning of the file.
        wanted: columns that the file should have.

    Raises:
        CatalogError: several delimiters fit.
    """
    if sign := given_sign(sample):
        return next(name for name in DELIMITERS if DELIMITERS[name] == sign)
    candidates = [_candidate(name, sample, wanted) for name in DELIMITERS]
    most = max(candidate.found for candidate in candidates)
    leaders = [candidate for candidate in candidates if candidate.found == most]
    if most and len(leaders) == 1:
        return leaders[0].name
    fitting = [candidate for candidate in leaders if candidate.width > 1]
    if len(fitting) > 1:
        fitting = [candidate for candidate in fitting if candidate.is_regular] or fitting
    if len(fitting) > 1:
        ways = " or ".join(f"{PLURALS[each.name]} ({each.width} columns)" for each in fitting)
        settings = " or ".join(f"catalog.delimiter={each.name}" for each in fitting)
        raise CatalogError(f"{path}: its cells may be separated by {ways}; set {settings}")
    return fitting[0].name if fitting else "comma"


def _candidate(name: str, sample: str, wanted: Sequence[str]) -> _Candidate:
    rows = [cells for cells in _first_rows(sample, DELIMITERS[name]) if "".join(cells).strip()]
    header, rest = (rows[0], rows[1:]) if rows else ([], [])
    regular = sum(len(cells) == len(header) for cells in rest)
    return _Candidate(name, len(header), regular >= MOSTLY * len(rest), len({*wanted}.intersection(header)))


def _first_rows(sample: str, sign: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for cells in islice(csv.reader(io.StringIO(sample, newline=""), delimiter=sign), SAMPLE_ROWS):
            rows.append(cells)
    except csv.Error:  # a huge cell, or a NUL character
        pass
    # The last row of a sample may be cut.
    return rows[:-1] if len(sample) >= SAMPLE_CHARACTERS and 1 < len(rows) < SAMPLE_ROWS else rows
