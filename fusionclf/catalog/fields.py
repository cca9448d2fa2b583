"""What is written about a product, field by field: title, further texts, attributes."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape

import numpy as np
import pandas as pd

from fusionclf.catalog.missing import cell_text
from fusionclf.catalog.titles import has_title, have_titles
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError

TITLE = "title"  # the name of the title among the fields, whatever its column is called
TAG = re.compile(r"<(?:/?[A-Za-z][^<>]*|!--.*?--)>", re.DOTALL)
HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)


def plain_text(cell: str) -> str:
    """A cell without markup: no tags, scripts or entities, and one blank between words.

    >>> plain_text("<p>Warm &amp; light.</p><ul><li>Zip<br/>Hood</li></ul>")
    'Warm & light. Zip Hood'
    """
    if "<" in cell:
        cell = TAG.sub(" ", HIDDEN.sub(" ", cell))
    if "&" in cell:
        cell = unescape(cell)
    return " ".join(unicodedata.normalize("NFC", cell).split())


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

    def __bool__(self) -> bool:
        return bool(self.text or self.attributes)


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
    """The fields of some rows of a file, in the order of `field_names`; "" where a cell is missing.

    The title stays as it is written; further texts lose their markup.

    Raises:
        CatalogError: as of `field_names`.
    """
    found = {name: [""] * len(rows) for name in field_names(columns)}
    if columns.title:
        found[TITLE] = [cell_text(cell) for cell in rows[columns.title]]
    for name in columns.text:
        found[name] = [plain_text(cell_text(cell)) for cell in rows[name]]
    for name in columns.attributes:
        found[name] = [cell_text(cell).strip() for cell in rows[name]]
    return pd.DataFrame(found, dtype="str")


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
        titles = [title if has_title(title) else other for title, other in zip(titles, fields[name], strict=True)]
    return titles
