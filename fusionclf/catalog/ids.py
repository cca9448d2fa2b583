"""Product ids: text, unique, and safe as a file name where pictures are named by id."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from fusionclf.catalog.missing import is_missing
from fusionclf.catalog.picture_paths import pattern_fields
from fusionclf.catalog.tables import Rows
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, quoted

LONGEST_ID = 200  # characters; file systems allow names of 255 bytes
EXAMPLES = 3  # faulty rows that an error message names
LONGEST_EXAMPLES = 120  # characters of all their values together


def checked_ids(file: Path, rows: Rows, columns: CatalogConfig) -> pd.Series:
    """The ids, each unique; each a bare file name where pictures are named by id."""
    ids = cast(pd.Series, rows.table[columns.id])
    names_files = columns.id in pattern_fields(columns.picture)
    unsafe = [place for place, value in enumerate(ids) if not _is_usable_id(value, names_files)]
    if unsafe:
        shown = example_cells(rows, ids, unsafe)
        fault, rule, other = "cannot be used", "", ""
        if names_files:
            fault, rule = "cannot name a picture file", " without / or \\"
            other = ", or name another column in catalog.picture"
        raise CatalogError(
            f"{file}: {len(unsafe)} id(s) {fault} ({shown}); an id is a text of 1 to {LONGEST_ID} characters{rule}: "
            f"fix these rows{other}"
        )
    double = np.flatnonzero(ids.duplicated())
    if len(double):
        raise CatalogError(
            f"{file}: {len(double)} row(s) have the id of an earlier row ({example_cells(rows, ids, double)}); "
            "keep one row of each id"
        )
    return ids


def _is_usable_id(value: str, names_files: bool) -> bool:
    if is_missing(value) or len(value) > LONGEST_ID:
        return False
    if names_files and (value in (".", "..") or "/" in value or "\\" in value):
        return False
    return value.isprintable()  # no line break, no terminal control sequence


def example_cells(rows: Rows, values: pd.Series, places: Sequence[int] | np.ndarray) -> str:
    """The values of the first few of some rows, with their lines, for an error message."""
    limit = LONGEST_EXAMPLES // min(len(places), EXAMPLES)
    named = [f"{rows.place(place)}: {quoted(values.iloc[place], limit)}" for place in places[:EXAMPLES]]
    return ", ".join([*named, "…"] if len(places) > EXAMPLES else named)
