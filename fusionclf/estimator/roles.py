"""Which columns of a table are pictures, title, further texts and attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from PIL import Image

from fusionclf.catalog.describing import describe_table
from fusionclf.catalog.describing.picture_guess import SUFFIXES
from fusionclf.catalog.describing.sample import sample_rows
from fusionclf.catalog.missing import is_missing
from fusionclf.errors import TableError, did_you_mean, quoted
from fusionclf.prediction.io.frames import FrameTable

ROLES = ("picture", "title", "text", "attributes")
LOOKED_AT = 200  # cells of a column that may hold pictures
MOSTLY = 0.8  # share of them that must be pictures
NOT_OF_VARIANT = {"picture": "the variant reads no pictures", "title": "the variant reads no texts"}


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are.

    Attributes:
        picture: columns of pictures: paths, PIL images, or lists of them.
        title: column of the title.
        text: columns of further texts.
        attributes: columns that are read as categories or numbers.
        group_by: `split.group_by`: what variants of one product have in common.
        unused: column → why it is not read.
    """

    picture: tuple[str, ...] = ()
    title: str | None = None
    text: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        """The columns of words and numbers that are read."""
        return [*([self.title] if self.title else []), *self.text, *self.attributes]

    @property
    def read(self) -> list[str]:
        """All columns that are read."""
        return [*self.picture, *self.texts]

    def to_dict(self) -> dict[str, Any]:
        """Role → its columns, as the parameter `columns` takes them."""
        return {name: getattr(self, name) for name in ROLES}


def find_roles(
    frame: pd.DataFrame, labels: Sequence[str], given: Mapping[str, Any], modalities: Sequence[str]
) -> Roles:
    """The roles of a table's columns; what is not given is guessed as `fusionclf data describe` guesses it.

    Args:
        frame: n rows; its columns have different names.
        labels: the class of each row.
        given: role → its column or columns; None or () for none.
        modalities: what the variant reads: picture, title.

    Raises:
        TableError: a role or a column is unknown, or the table lacks what the variant reads.
    """
    pinned = _check_given(frame, given)
    pictures = pinned.pop("picture", None)
    if pictures is None:
        pictures = tuple(str(name) for name in frame.columns if holds_pictures(cast(pd.Series, frame[name])))
    found = _describe(frame.drop(columns=list(pictures)), labels, pinned)
    settings = found.settings
    texts = {"title": settings["catalog.title"], "text": tuple(settings["catalog.text"])}
    texts["attributes"] = tuple(settings["catalog.attributes"])
    unused = dict(found.unused)
    if "picture" not in modalities:
        unused |= dict.fromkeys(pictures, NOT_OF_VARIANT["picture"])
        pictures = ()
    if "title" not in modalities:
        unused |= dict.fromkeys(Roles(**texts).texts, NOT_OF_VARIANT["title"])
        texts = {}
    groups = [*(["title"] if texts.get("title") else []), *(["picture"] if pictures else [])]
    groups += [name for name in settings["split.group_by"] if name in frame.columns]
    roles = Roles(picture=pictures, **texts, group_by=tuple(dict.fromkeys(groups)))
    others = [str(name) for name in frame.columns if name not in roles.read]
    roles = Roles(**{**vars(roles), "unused": {name: unused.get(name, "no input") for name in others}})
    _check_inputs(roles, modalities)
    return roles


def _describe(rest: pd.DataFrame, labels: Sequence[str], pinned: Mapping[str, Any]) -> Any:
    """The description of a table without pictures."""
    row, label = free_names(rest, "row", "label")
    numbers = [f"{n:09d}" for n in range(len(rest))]
    table = rest.assign(**{row: numbers, label: list(labels)})
    rows, _ = sample_rows(FrameTable(table))
    fixed = {"id": row, "label": label, "picture": None, "categories": (), "metadata": ()}
    return describe_table(
        rows, Path(), "X", {f"catalog.{name}": value for name, value in {**pinned, **fixed}.items()}
    )


def free_names(frame: pd.DataFrame, *wanted: str) -> list[str]:
    """Names of new columns: the wanted ones, with _ behind them until no column has the name.

    >>> free_names(pd.DataFrame({"label": ["a"]}), "row", "label")
    ['row', 'label_']
    """
    found = []
    for name in wanted:
        while name in frame.columns:
            name += "_"
        found.append(name)
    return found


def _check_given(frame: pd.DataFrame, given: Mapping[str, Any]) -> dict[str, Any]:
    """Role → column (title) or columns, each of them in the table."""
    found: dict[str, Any] = {}
    for role, value in given.items():
        if role not in ROLES:
            raise TableError(f"columns: unknown role {quoted(str(role))}; {did_you_mean(str(role), ROLES)}")
        names = () if value is None else (value,) if isinstance(value, str) else tuple(value)
        for name in names:
            if name not in frame.columns:
                raise TableError(
                    f"columns: {role}={quoted(str(name))} is not a column of X; "
                    f"{did_you_mean(str(name), frame.columns)}"
                )
        if role == "title" and len(names) > 1:
            raise TableError(f"columns: title names {len(names)} columns; give one, and the others as text")
        found[role] = names if role != "title" else names[0] if names else None
    return found


def _check_inputs(roles: Roles, modalities: Sequence[str]) -> None:
    """Raise TableError where a table lacks what the variant reads."""
    there = {"picture": bool(roles.picture), "title": bool(roles.texts)}
    for modality, other, role, words in (
        ("picture", "text", "picture", "pictures (paths or PIL images)"),
        ("title", "image", "title", "texts"),
    ):
        if modality in modalities and not there[modality]:
            raise TableError(
                f'X has no column of {words}; give it by columns={{"{role}": …}}, or set variant="{other}"'
            )


def holds_pictures(cells: pd.Series) -> bool:
    """Whether most cells of a column are PIL images or paths of picture files, or lists of them."""
    if not pd.api.types.is_object_dtype(cells) and not pd.api.types.is_string_dtype(cells):
        return False
    present = [cell for cell in cells.iloc[: 10 * LOOKED_AT].tolist() if listed(cell)][:LOOKED_AT]
    fitting = sum(all(map(_is_picture, listed(cell))) for cell in present)
    return bool(present) and fitting >= MOSTLY * len(present)


def listed(cell: Any) -> list[Any]:
    """The items of a cell, those that are missing left out."""
    items = list(cell) if isinstance(cell, list | tuple | np.ndarray) else [cell]
    return [item for item in items if not is_missing(item)]


def _is_picture(item: Any) -> bool:
    if isinstance(item, str):
        return "\n" not in item and Path(item.strip()).suffix.lower() in SUFFIXES
    return isinstance(item, Path | Image.Image)
