"""What is written about a product, field by field: title, further texts, attributes."""

import re
import unicodedata
from html import unescape

import pandas as pd

from fusionclf.catalog.missing import cell_text
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
