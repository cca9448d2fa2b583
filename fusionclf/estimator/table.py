"""Rows of a table → pictures and texts as a Predictor takes them, and as a catalog on disk."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import pandas as pd
from PIL import Image

from fusionclf.catalog import open_picture
from fusionclf.catalog.fields import have_texts
from fusionclf.catalog.picture_paths import is_url
from fusionclf.errors import PictureError, TableError
from fusionclf.estimator.roles import Roles, free_names, listed
from fusionclf.prediction.answers import Answers
from fusionclf.prediction.io.frames import FrameTable
from fusionclf.prediction.io.products import Picture

SHOWN = 3  # faulty rows that an error message shows
FILE, LINKED, WRITTEN = "products.parquet", "pictures", "images"


@dataclass(frozen=True)
class TableRows:
    """The inputs of n rows.

    Attributes:
        pictures: of each row; () where there is none.
        texts: the columns of words and numbers as text; "" where a cell is missing.
    """

    pictures: list[tuple[Picture, ...]]
    texts: pd.DataFrame


def check_frame(table: Any) -> pd.DataFrame:
    """The table, if it can be used as X.

    Raises:
        TableError: it is no pandas table, has no rows, or its columns' names are not text, or not different.
    """
    if not isinstance(table, pd.DataFrame):
        raise TableError(
            f"X is a {type(table).__name__}; give a pandas DataFrame with columns of texts and of pictures"
        )
    if not len(table) or not len(table.columns):
        raise TableError(f"X has {len(table)} rows and {len(table.columns)} columns; give one or more")
    for name in table.columns:
        if not isinstance(name, str) or not name.strip():
            raise TableError(f"X: a column is called {name!r}; rename it: names of columns must be text")
    if twice := [name for name in table.columns if (table.columns == name).sum() > 1]:
        raise TableError(f"X: column {twice[0]!r} occurs twice; rename one")
    return table


def read_rows(frame: pd.DataFrame, roles: Roles) -> TableRows:
    """The inputs of a table's rows.

    Raises:
        TableError: the table lacks a column, a picture is missing, or a row has no input.
    """
    if lacking := [name for name in roles.read if name not in frame.columns]:
        found = ", ".join(map(str, frame.columns))
        raise TableError(f"X has no column {lacking[0]!r}, which the model reads; columns found: {found}")
    columns = [listed_pictures(cast(pd.Series, frame[name])) for name in roles.picture]
    pictures = [tuple(item for cell in row for item in cell) for row in zip(*columns, strict=True)]
    pictures = pictures or [()] * len(frame)
    texts = pd.DataFrame(index=range(len(frame)))
    if wanted := list(dict.fromkeys([*roles.texts, *(n for n in roles.group_by if n in frame.columns)])):
        texts = next(FrameTable(frame).chunks(wanted)).table
    has_text = have_texts(cast(pd.DataFrame, texts[roles.texts]))
    faults = {}
    for row, (own, text) in enumerate(zip(pictures, has_text.tolist(), strict=True)):
        if not own and not text:
            faults[row] = "no picture and no text"
        elif fault := next(filter(None, map(_fault, own)), None):
            faults[row] = fault
    if faults:
        raise_faults(faults, len(frame))
    return TableRows(pictures, texts)


def listed_pictures(cells: pd.Series) -> list[list[Picture]]:
    """The pictures of each cell of a column, paths as text without blanks at their ends."""
    texts = (
        [str(item).strip() if isinstance(item, str | Path) else item for item in listed(cell)]
        for cell in cells
    )
    return [[item for item in items if item != ""] for items in texts]


def _fault(picture: Any) -> str | None:
    """Why a picture cannot be read; None where its file exists."""
    if isinstance(picture, Image.Image):
        return None
    if not isinstance(picture, str):
        return f"a picture is a {type(picture).__name__}, not a path or a PIL image"
    if is_url(picture):
        return f"{picture!r} is a URL: download the picture"
    return None if os.path.isfile(picture) else f"no file {picture!r}"


def raise_faults(faults: Mapping[int, str], count: int) -> NoReturn:
    """Raise TableError with the number of faulty rows, the first three of them, and the remedy."""
    shown = "; ".join(f"row {row}: {faults[row]}" for row in list(faults)[:SHOWN])
    more = "; …" if len(faults) > SHOWN else ""
    raise TableError(
        f"X: {len(faults):,} of {count:,} rows cannot be read (counted from 0: {shown}{more}); fix them or leave them "
        "out; relative paths start at the working folder"
    )


def check_answers(answers: Answers, rows: TableRows) -> None:
    """Raise TableError where a row has no answer, or one without its picture."""
    faults: dict[int, str] = {}
    read = zip(rows.pictures, answers.picture_status, answers.reasons, strict=True)
    for row, (own, status, reason) in enumerate(read):
        if reason:
            faults[row] = reason
        elif own and status in ("missing", "unreadable"):
            faults[row] = f"its picture cannot be decoded ({own[0]})"
    if faults:
        raise_faults(faults, len(rows.pictures))


def write_catalog(rows: TableRows, labels: Sequence[str], roles: Roles, folder: Path) -> dict[str, Any]:
    """Write rows as a catalog; what the section `catalog` of its settings holds.

    Pictures that are files stay where they are: the catalog links the folder that has all of them.

    Args:
        rows: n rows.
        labels: their classes.
        roles: of their columns.
        folder: to make.
    """
    folder.mkdir(parents=True)
    row, label, picture = free_names(rows.texts, "row", "label", "picture")
    table = rows.texts.assign(**{row: [f"{n:09d}" for n in range(len(rows.texts))], label: list(labels)})
    if roles.picture:
        table[picture] = _place_pictures(rows.pictures, folder)
    table.to_parquet(folder / FILE, index=False)
    return {
        "file": FILE, "id": row, "label": label, "title": roles.title, "text": list(roles.text),
        "attributes": list(roles.attributes), "picture": f"{{{picture}}}" if roles.picture else None,
        "picture_separator": None, "label_separator": None, "label_level": None, "categories": [], "metadata": [],
        "year": None, "missing_picture": "keep", "join_spellings": False,
    }  # fmt: skip


def _place_pictures(pictures: Sequence[Sequence[Picture]], folder: Path) -> list[list[str]]:
    """Each row's pictures as paths below the catalog's folder."""
    files = {path: os.path.abspath(path) for own in pictures for path in own if isinstance(path, str)}
    shared = os.path.commonpath([os.path.dirname(path) for path in files.values()]) if files else ""
    if files:
        (folder / LINKED).symlink_to(shared, target_is_directory=True)
    faults: dict[int, str] = {}
    placed: list[list[str]] = []
    for row, own in enumerate(pictures):
        placed.append([])
        for number, picture in enumerate(own):
            if isinstance(picture, str):
                placed[-1].append(f"{LINKED}/{os.path.relpath(files[picture], shared)}")
                continue
            path = folder / WRITTEN / f"{row:09d}-{number}.png"
            path.parent.mkdir(exist_ok=True)
            try:
                open_picture(picture).save(path, compress_level=1)
            except PictureError as error:
                faults[row] = str(error)
            placed[-1].append(f"{WRITTEN}/{path.name}")
    if faults:
        raise_faults(faults, len(pictures))
    return placed
