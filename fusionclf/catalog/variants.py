"""Variants of one product, such as its colours and sizes: how many a split has on both sides, and the remedy."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from fusionclf.catalog.location import open_catalog_table
from fusionclf.catalog.records import Catalog
from fusionclf.catalog.split_record import Split
from fusionclf.catalog.tables import joined_rows
from fusionclf.catalog.titles import split_words
from fusionclf.errors import CatalogError, quoted

COLOURS = (
    "black white grey gray silver gold golden red blue navy green olive yellow orange purple violet pink brown beige "
    "cream ivory turquoise teal khaki maroon burgundy multicolor multicolour charcoal natural light dark medium deep "
    "schwarz weiß weiss grau silber rot blau grün gelb lila rosa braun creme türkis hell dunkel natur "
    "noir noire blanc blanche gris grise argent doré rouge bleu bleue vert verte jaune rose marron brun brune ivoire "
    "violette clair claire foncé foncée mate moyen moyenne légèrement "
    "negro negra blanco blanca plata dorado rojo roja azul verde amarillo amarilla naranja morado morada marrón claro "
    "oscuro nero nera bianco bianca grigio grigia argento oro rosso rossa blu giallo giallo arancione viola marrone "
    "zwart wit grijs zilver goud rood blauw groen geel oranje paars roze bruin preto preta branco branca cinza prata "
    "vermelho vermelha amarelo amarela laranja roxo roxa marrom"
)
SIZES = (
    "xs xl xxl xxxl small medium large extra size one pack of set cm mm kg ml gb inch inches oz gr groß gross klein "
    "mittel größe grand grande petit petite taille grande pequeño pequeña talla grande piccolo piccola taglia maat"
)
DROPPED = frozenset(f"{COLOURS} {SIZES}".split())
LEAST_WORDS = 2  # that a title must keep, or it says too little about the product
WARN_SHARE = 0.05  # of the test rows
TOGETHER = 0.9  # share of neighbouring variants that have one cell of a column
APART = 0.3  # share of neighbours with one cell of a column that must be variants
EXAMPLES = 3


@dataclass(frozen=True)
class VariantLeaks:
    """Test products of which a train or validation product is a variant.

    Attributes:
        rows: test products whose title only differs in colours, sizes, numbers or single letters from a train title.
        equal: test products with exactly a train title, which `rows` does not count.
        test_rows: all test products.
        examples: "test title ~ train title" of the first three of `rows`.
        column: the column whose cells keep variants together, where one was found.
        searched: whether the file was searched for it.
    """

    rows: int
    equal: int
    test_rows: int
    examples: list[str]
    column: str | None = None
    searched: bool = False

    @property
    def matters(self) -> bool:
        """Whether so many test products are variants of train products that metrics say little."""
        return self.rows >= max(WARN_SHARE * self.test_rows, 2)

    def __str__(self) -> str:
        share = 100 * self.rows / max(self.test_rows, 1)
        shown = "; ".join(self.examples)
        remedy = (
            f"set split.group_by={self.column}"
            if self.column
            else "set split.group_by to the column of the style, if there is one"
            + ("" if self.searched else "; fusionclf data check looks for it")
        )
        return (
            f"{self.rows:,} of {self.test_rows:,} test products ({share:.1f} %) are variants of train products: their "
            f"titles differ in colours, sizes or numbers alone ({shown}); a model that remembers titles looks too "
            f"good; {remedy}"
        )


def variant_key(title: str) -> str:
    """A title without colours, sizes, numbers and single letters; "" where fewer than two words are left.

    >>> variant_key("Chaz Kangeroo Hoodie-XS-Black"), variant_key("Chair 42")
    ('chaz kangeroo hoodie', '')
    """
    words = [word for word in split_words(title.replace("_", " ")) if _is_kept(word)]
    return " ".join(words) if len(words) >= LEAST_WORDS else ""


def _is_kept(word: str) -> bool:
    return word not in DROPPED and len(word) > 1 and not any(sign.isdigit() for sign in word)


def find_leaks(catalog: Catalog, split: Split, *, search_columns: bool = False) -> VariantLeaks:
    """The test products of which a train or validation product is a variant.

    Args:
        catalog: the products.
        split: their division.
        search_columns: whether to read the whole file for a column whose cells keep variants together.
    """
    titles = catalog.table["title"].where(catalog.has_title, "").tolist()
    keys = [variant_key(title) for title in titles]
    train = split.rows(catalog, None, "train", "validation")
    test = split.rows(catalog, None, "test")
    known = {titles[row] for row in train} - {""}
    first: dict[str, int] = {}
    for row in train:
        first.setdefault(keys[row], row)
    equal = [row for row in test if titles[row] in known]
    found = [row for row in test if keys[row] and keys[row] in first and titles[row] not in known]
    examples = [f"{quoted(titles[row])} ~ {quoted(titles[first[keys[row]]])}" for row in found[:EXAMPLES]]
    leaks = VariantLeaks(len(found), len(equal), len(test), examples)
    if not (search_columns and leaks.matters):
        return leaks
    column = group_column(_whole_table(catalog), keys, catalog)
    return VariantLeaks(leaks.rows, leaks.equal, leaks.test_rows, leaks.examples, column, searched=True)


def group_column(table: pd.DataFrame, keys: Sequence[str], catalog: Catalog) -> str | None:
    """The column whose cells hold variants together and other products apart; None where there is none.

    Args:
        table: cells as text, N rows.
        keys: (N,) as of `variant_key`; "" for none.
        catalog: whose id, title and label columns are no candidates.
    """
    columns = catalog.columns
    own = {columns.id, columns.title, columns.label, *columns.categories, *columns.text}
    pairs, several = _neighbours(keys)
    found = []
    for name in table.columns:
        cells = table[name].to_numpy(object)
        distinct = {cell for cell in cells if cell}
        if name in own or not len(pairs) or not several / 2 <= len(distinct) < len(cells):
            continue
        together = np.mean((cells[pairs[:, 0]] == cells[pairs[:, 1]]) & (cells[pairs[:, 0]] != ""))
        if together >= TOGETHER and _apart(cells, keys) >= APART:
            text = sum(not cell.isascii() or " " in cell for cell in distinct) > len(distinct) / 2
            found.append((text, float(np.mean([len(cell) for cell in distinct])), str(name)))
    return min(found)[2] if found else None


def _neighbours(values: Sequence[str]) -> tuple[np.ndarray, int]:
    """(P, 2) pairs of successive rows with one value, "" left out; and how many values several rows have."""
    groups = defaultdict(list)
    for row, value in enumerate(values):
        if value:
            groups[value].append(row)
    several = [rows for rows in groups.values() if len(rows) > 1]
    return np.array([pair for rows in several for pair in pairwise(rows)], np.int64).reshape(-1, 2), len(
        several
    )


def _apart(cells: np.ndarray, keys: Sequence[str]) -> float:
    """The share of successive products with one cell that are variants; a low one means a category, not a style."""
    pairs, _ = _neighbours(cells.tolist())
    return float(np.mean([keys[first] == keys[second] for first, second in pairs])) if len(pairs) else 0.0


def _whole_table(catalog: Catalog) -> pd.DataFrame:
    """All columns of the catalog's file, in the order of its products; those that were read where it cannot be read."""
    columns = catalog.columns
    try:
        table = open_catalog_table(catalog.root, columns, [columns.id, columns.label])
        rows = joined_rows(table.chunks(last=columns.title)).table
    except CatalogError:
        return catalog.table.drop(columns=["id", "title", "label", "picture"]).astype("str")
    rows.index = pd.Index(rows[columns.id].str.strip())
    return rows.loc[~rows.index.duplicated()].reindex(catalog.table["id"]).fillna("")
