"""Variants of one product, such as its colours and sizes: how many a split has on both sides, and the remedy."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from fusionclf.catalog.fields import TITLE
from fusionclf.catalog.location import open_catalog_table
from fusionclf.catalog.records import OWN_COLUMNS, Catalog
from fusionclf.catalog.split_record import Split
from fusionclf.catalog.tables import Table, joined_rows
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
FIRST_ROWS = 200  # whose cells show whether a column holds long texts
LONG_CELLS = 100  # characters on average of a long text, which does not name a style
READ_TOGETHER = 16  # columns that are held in memory
MOST_SKIPPED = 5  # columns that a message names


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
        skipped: columns of the file that were not searched → why.
    """

    rows: int
    equal: int
    test_rows: int
    examples: list[str]
    column: str | None = None
    searched: bool = False
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def matters(self) -> bool:
        """Whether so many test products are variants of train products that metrics say little."""
        return self.rows >= max(WARN_SHARE * self.test_rows, 2)

    def __str__(self) -> str:
        share = 100 * self.rows / max(self.test_rows, 1)
        shown = "; ".join(self.examples)
        return (
            f"{self.rows:,} of {self.test_rows:,} test products ({share:.1f} %) are variants of train products: their "
            f"titles differ in colours, sizes or numbers alone ({shown}); a model that remembers titles looks too "
            f"good; {self._remedy}"
        )

    @property
    def _remedy(self) -> str:
        if self.column:
            return f"set split.group_by={self.column}"
        remedy = "set split.group_by to the column of the style, if there is one"
        if not self.searched:
            return f"{remedy}; fusionclf data check looks for it"
        skipped = [f"{name} ({why})" for name, why in self.skipped.items()]
        more = ", …" if len(skipped) > MOST_SKIPPED else ""
        return f"{remedy}; not searched: {', '.join(skipped[:MOST_SKIPPED])}{more}" if skipped else remedy


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
    column, skipped = _group_column(catalog, keys)
    return replace(leaks, column=column, searched=True, skipped=skipped)


def _group_column(catalog: Catalog, keys: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The column of the file that keeps variants together, or None; and why other columns were not searched.

    The columns of id, title, label, categories and texts are no candidates.
    """
    columns = catalog.columns
    own = {columns.id, columns.title or "", columns.label, *columns.categories, *columns.text}
    known = _known_columns(catalog).drop(columns=[*own], errors="ignore")
    table = open_catalog_table(catalog.root, columns, [*own, *known])
    names = [name for name in table.readable_columns() if name not in own and name not in known]
    skipped = dict.fromkeys(table.binary_columns(), "binary data")
    skipped |= {name: reason for name in names if (reason := _why_skipped(table, name))}
    names = [name for name in names if name not in skipped]
    found = style_columns(known, keys)
    for start in range(0, len(names), READ_TOGETHER):
        some = names[start : start + READ_TOGETHER]
        try:
            found += style_columns(_cells(table, some, catalog), keys)
        except CatalogError as error:  # such as a damaged file
            skipped |= dict.fromkeys(some, str(error))
    return (min(found)[2] if found else None), skipped


def style_columns(table: pd.DataFrame, keys: Sequence[str]) -> list[tuple[bool, float, str]]:
    """The columns whose cells hold variants together and other products apart.

    Args:
        table: cells as text, N rows.
        keys: (N,) as of `variant_key`; "" for none.

    Returns:
        Whether the cells are texts, their mean length, and the name of each; the least is the best.
    """
    pairs, several = _neighbours(keys)
    found = []
    for name in table.columns:
        cells = table[name].to_numpy(object)
        distinct = {cell for cell in cells if cell}
        if not len(pairs) or not several / 2 <= len(distinct) < len(cells):
            continue
        together = np.mean((cells[pairs[:, 0]] == cells[pairs[:, 1]]) & (cells[pairs[:, 0]] != ""))
        if together >= TOGETHER and _apart(cells, keys) >= APART:
            text = sum(not cell.isascii() or " " in cell for cell in distinct) > len(distinct) / 2
            found.append((text, float(np.mean([len(cell) for cell in distinct])), str(name)))
    return found


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


def _known_columns(catalog: Catalog) -> pd.DataFrame:
    """The columns that the catalog holds under their own names."""
    table = catalog.table.drop(columns=[*OWN_COLUMNS])
    fields = catalog.fields.drop(columns=[TITLE, *table.columns], errors="ignore")
    return pd.concat([table, fields], axis=1)


def _why_skipped(table: Table, name: str) -> str:
    """Why a column is not searched; "" where it is."""
    try:
        rows = next(table.chunks([name], FIRST_ROWS))
    except CatalogError as error:  # such as of a column that occurs twice
        return str(error)
    lengths = [len(cell) for cell in rows.table[name] if cell]
    return "long texts" if sum(lengths) > LONG_CELLS * len(lengths) else ""


def _cells(table: Table, names: Sequence[str], catalog: Catalog) -> pd.DataFrame:
    """Some columns of the catalog's file, in the order of its products."""
    columns = catalog.columns
    rows = joined_rows(table.chunks([columns.id, *names], last=columns.title)).table
    rows.index = pd.Index(rows[columns.id].str.strip())
    return rows.loc[~rows.index.duplicated(), [*names]].reindex(catalog.table["id"]).fillna("")
