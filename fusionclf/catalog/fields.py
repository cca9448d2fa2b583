"""What is written about a product, field by field: title, further texts, attributes."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.catalog.missing import cell_text
from fusionclf.catalog.titles import has_title, have_titles
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError

TITLE = "title"  # the name of the title among the fields, whatever its column is called
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
HIDDEN = re.compile(r"<(?:(script|style)\b|!--)", re.IGNORECASE)  # where what is not shown begins
SHOWN_AGAIN = {
    "": re.compile("-->"),
    "script": re.compile(r"</script\s*>", re.IGNORECASE),
    "style": re.compile(r"</style\s*>", re.IGNORECASE),
}


def plain_text(cell: str) -> str:
    """A cell without markup: no tags, scripts or entities, and one blank between words.

    >>> plain_text("<p>Warm &amp; light.</p><ul><li>Zip<br/>Hood</li></ul>")
    'Warm & light. Zip Hood'
    """
    if "<" in cell:
        cell = TAG.sub(" ", _shown(cell))
    if "&" in cell:
        cell = unescape(cell)
    return " ".join(unicodedata.normalize("NFC", cell).split())


def _shown(cell: str) -> str:
    """A cell without comments, scripts and styles; one that does not end is left as it is."""
    parts, place, endless = [], 0, set[str]()
    for start in HIDDEN.finditer(cell):
        kind = (start[1] or "").lower()
        if start.start() < place or kind in endless:
            continue
        end = SHOWN_AGAIN[kind].search(cell, start.end())
        if end is None:  # nor do later ones end
            endless.add(kind)
            continue
        parts.append(cell[place : start.start()])
        place = end.end()
    return " ".join([*parts, cell[place:]])


@dataclass(frozen=True)
class Fields:
    """Which fields a model reads besides the title.

    Attributes:
        text: names of further texts.
        attributes: names of attributes, categories or numbers.
    """

    text: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: CatalogConfig) -> "Fields":
        """Those that a catalog's settings name."""
        return cls(columns.text, columns.attributes)

    def clean(self, name: str, cells: Iterable[Any]) -> list[str]:
        """The cells of a further field as models read them: texts without markup; "" where one is missing."""
        texts = (cell_text(cell) for cell in cells)
        return [plain_text(text) if name in self.text else text.strip() for text in texts]

    @property
    def names(self) -> tuple[str, ...]:
        """The further texts, then the attributes."""
        return (*self.text, *self.attributes)

    def __bool__(self) -> bool:
        return bool(self.names)


def field_names(columns: CatalogConfig) -> tuple[str, ...]:
    """Names of the fields: `title`, then the columns of further texts and of attributes.

    Raises:
        CatalogError: a column is named twice, or is called like the title.

    >>> field_names(CatalogConfig(text=("description",), attributes=("brand",)))
    ('title', 'description', 'brand')
    """
    names = (TITLE, *columns.text, *columns.attributes)
    for name in (*columns.text, *columns.attributes):
        if names.count(name) > 1 or name == columns.title:
            raise CatalogError(
                f"catalog.text and catalog.attributes name the column {name!r} twice, or name the title's; "
                "give each column to one of title, text and attributes"
            )
    return names


def read_fields(rows: pd.DataFrame, columns: CatalogConfig) -> pd.DataFrame:
    """The fields of some rows of a file, in the order of `field_names`; "" where a cell or a column is missing.

    The title stays as it is written; further texts lose their markup.

    Raises:
        CatalogError: as of `field_names`.
    """
    found = {name: [""] * len(rows) for name in field_names(columns)}
    if columns.title and columns.title in rows:
        found[TITLE] = [cell_text(cell) for cell in rows[columns.title]]
    fields = Fields.of(columns)
    for name in fields.names:
        if name in rows:
            found[name] = fields.clean(name, rows[name])
    return pd.DataFrame(found, dtype="str")


def field_table(titles: Sequence[str], further: Mapping[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """The fields of n products as columns: `title`, then the further ones.

    >>> field_table(["Shoe", ""], {"brand": ["Nordvik", ""]}).columns.tolist()
    ['title', 'brand']
    """
    return pd.DataFrame({TITLE: list(titles), **(further or {})}, dtype="str")


def have_texts(fields: pd.DataFrame) -> np.ndarray:
    """(N,) whether each product has any field that is not blank.

    >>> have_texts(pd.DataFrame({"title": ["", " "], "brand": ["Nordvik", ""]})).tolist()
    [True, False]
    """
    found = np.zeros(len(fields), bool)
    for name in fields:
        found |= have_titles(fields[name])
    return found


def main_texts(fields: pd.DataFrame, text: Sequence[str]) -> list[str]:
    """What stands for the title of each product: its title, or where it has none the first further text.

    Args:
        fields: of n products.
        text: names of the further texts, the most important one first.
    """
    titles = fields[TITLE].tolist()
    for name in text:
        titles = [
            title if has_title(title) else other for title, other in zip(titles, fields[name], strict=True)
        ]
    return titles
