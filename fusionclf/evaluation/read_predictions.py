"""Predictions files → data frames; the type of every column and every value are checked."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusionclf.errors import RunError
from fusionclf.evaluation.predictions import (
    CATEGORY,
    CATEGORY_PROB,
    COLUMNS,
    GROUP,
    LEAKED_PICTURE,
    SLACK,
    STATUSES,
    TOP,
    TRUE_CATEGORY,
)
from fusionclf.evaluation.ranks import has_probabilities
from fusionclf.runfolder import AGAIN, one_line

LONGEST_TEXT = 10_000  # bytes of a cell
TEXT, WHOLE, FLAG, PROBABILITY = "texts", "whole numbers", "true or false", "probabilities"
KINDS = {
    "label_train_count": WHOLE,
    "title_group": WHOLE,
    "title_names_label": FLAG,
    "leaked_title": FLAG,
    LEAKED_PICTURE: FLAG,
    GROUP: WHOLE,
}
ARROW_TYPES = {
    TEXT: lambda type_: pa.types.is_string(type_) or pa.types.is_large_string(type_),
    WHOLE: pa.types.is_signed_integer,
    FLAG: pa.types.is_boolean,
    PROBABILITY: pa.types.is_floating,
}
# With fewer than TOP candidates the last ranks are missing.
MAY_BE_MISSING = {f"{kind}_{rank}" for rank in range(2, TOP + 1) for kind in ("label", "prob")}


def read_predictions(path: Path, classes: Collection[str] | None = None) -> pd.DataFrame:
    """A predictions file.

    Args:
        path: the file.
        classes: the candidates; None: not checked.

    Returns:
        Rows as from `make_predictions`. Unknown columns are dropped.

    Raises:
        RunError: the file is missing, damaged or not valid; the message names the column.
    """
    if not path.is_file():
        raise RunError(f"{path}: no such file; {AGAIN}")
    try:
        frame = _read(path)
        _check(frame)
        if classes is not None:
            _check_classes(frame, classes)
    except (OSError, ValueError, KeyError, TypeError, MemoryError, pa.ArrowException) as error:
        raise RunError(one_line(f"cannot be used ({error}); {AGAIN}", path)) from error
    return frame


def _read(path: Path) -> pd.DataFrame:
    """The known columns; types and sizes are checked before values are decoded."""
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        for name in COLUMNS:
            if names.count(name) != 1:
                raise ValueError(f"{'no column' if name not in names else 'two columns'} {name!r}")
        further = [name for name in (LEAKED_PICTURE, GROUP) if name in names]
        columns = [*COLUMNS, *further, *_levels(names)]
        for name in columns:
            type_, kind = file.schema_arrow.field(name).type, _kind(name)
            if not ARROW_TYPES[kind](type_):
                raise ValueError(f"column {name!r} holds {type_}, not {kind}")
        rows, size = file.metadata.num_rows, path.stat().st_size
        if rows > size:  # a row takes several bytes
            raise ValueError(f"{rows} rows in {size} bytes")
    texts = [name for name in columns if _kind(name) == TEXT]
    # A text that many rows share is stored once; decoded, it could fill the memory.
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        table = file.read(columns=columns)
    for name in texts:
        _check_lengths(name, table.column(name))
        table = table.set_column(
            table.column_names.index(name), name, table.column(name).cast(pa.large_string())
        )
    table = table.select([name for name in names if name in columns]).replace_schema_metadata()
    return table.to_pandas().astype(dict.fromkeys(texts, "str"))


def _kind(name: str) -> str:
    if name.startswith((CATEGORY_PROB, "prob_", "path_prob")):
        return PROBABILITY
    return KINDS.get(name, TEXT)


def _levels(names: list[str]) -> list[str]:
    """The columns of category levels: of true and predicted paths, or without predicted paths the true ones."""
    depth = 0
    while f"{TRUE_CATEGORY}{depth + 1}" in names:
        depth += 1
    kinds = (TRUE_CATEGORY, CATEGORY, CATEGORY_PROB) if "path_prob" in names else (TRUE_CATEGORY,)
    wanted = [f"{kind}{level}" for kind in kinds for level in range(1, depth + 1)]
    wanted += ["path_prob"] if "path_prob" in names else []
    found = [name for name in names if name.startswith((TRUE_CATEGORY, CATEGORY)) or name == "path_prob"]
    if odd := sorted({*wanted} ^ {*found}):
        raise ValueError(f"column {odd[0]!r} is {'missing' if odd[0] in wanted else 'of no category level'}")
    if len(found) != len(wanted):
        raise ValueError("two columns of one category level")
    return wanted


def _check_lengths(name: str, column: pa.ChunkedArray) -> None:
    for chunk in column.chunks:
        longest = pc.max(pc.binary_length(chunk.dictionary)).as_py()  # pyright: ignore
        if longest is not None and longest > LONGEST_TEXT:
            raise ValueError(f"column {name!r} holds a text of {longest} bytes")


def _check(frame: pd.DataFrame) -> None:
    with_probabilities = has_probabilities(frame)
    for name in frame:
        missing = frame[name].isna().to_numpy()
        if not with_probabilities and _kind(str(name)) == PROBABILITY:
            if not missing.all():
                raise ValueError(f"column {name!r} holds probabilities, and 'prob_1' holds none")
            continue
        if missing.any() and name not in MAY_BE_MISSING:
            raise ValueError(f"column {name!r} lacks a value in row {int(missing.argmax()) + 1}")
        if _kind(str(name)) == PROBABILITY:
            values = frame[name].to_numpy(np.float64)
            odd = ~missing & ~((values >= 0) & (values <= 1 + SLACK))
            if odd.any():
                raise ValueError(f"column {name!r} holds {values[odd][0]}, which is not a probability")
    if (twice := frame["id"].duplicated().to_numpy()).any():
        raise ValueError(f"product {frame['id'].tolist()[int(twice.argmax())]!r} occurs twice")
    if (frame["label_train_count"].to_numpy() < 0).any():
        raise ValueError("column 'label_train_count' holds a negative number")
    for name in ("picture_status", "title_status"):
        if odd_status := sorted(set(frame[name]) - set(STATUSES)):
            raise ValueError(f"column {name!r} holds {odd_status[0]!r}; allowed: {', '.join(STATUSES)}")
    _check_order(frame, with_probabilities)


def _check_order(frame: pd.DataFrame, with_probabilities: bool) -> None:
    """Raise ValueError where the classes are not ranked by probability; the last ranks may be missing."""
    probs = frame[[f"prob_{rank}" for rank in range(1, TOP + 1)]].to_numpy(np.float64)
    there = frame[[f"label_{rank}" for rank in range(1, TOP + 1)]].notna().to_numpy()
    if (with_probabilities and (there != ~np.isnan(probs)).any()) or (there[:, 1:] & ~there[:, :-1]).any():
        raise ValueError("a rank has a class without a probability, or the rank before it is missing")
    if (np.nan_to_num(probs[:, 1:]) > np.nan_to_num(probs[:, :-1])).any():
        raise ValueError("columns 'prob_1' to 'prob_5' do not fall")


def _check_classes(frame: pd.DataFrame, classes: Collection[str]) -> None:
    known = set(classes)
    for name in ("label", *(f"label_{rank}" for rank in range(1, TOP + 1))):
        if odd := sorted(set(frame[name].dropna()) - known):
            raise ValueError(f"column {name!r} holds {odd[0]!r}, which is not a class of the run's split")
