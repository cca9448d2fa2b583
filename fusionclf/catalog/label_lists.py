"""Cells that list several labels, such as red|dress → the labels of each product."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from fusionclf.catalog.read_report import ReadReport
from fusionclf.catalog.spellings import joined_spelling
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, quoted

JSON = "json"  # catalog.label_list: cells are JSON lists alone
BETWEEN = " | "  # labels in a text for people


def listed_labels(cell: str, sign: str) -> list[str] | None:
    """The labels of a cell, with empty ones and repetitions; None where it is no list.

    Args:
        cell: labels with a sign between them, or a JSON list of texts or numbers.
        sign: that stands between two labels, or JSON.

    >>> listed_labels("red | dress", "|"), listed_labels('["red", 2]', "|"), listed_labels("red", "json")
    (['red', 'dress'], ['red', '2'], None)
    """
    cell = cell.strip()
    if not cell:
        return []
    if (values := _json_list(cell)) is not None:
        return values
    return None if sign == JSON else [label.strip() for label in cell.split(sign)]


def _json_list(cell: str) -> list[str] | None:
    if not cell.startswith("["):
        return None
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    plain = isinstance(values, list) and all(
        value is None or (isinstance(value, str | int | float) and not isinstance(value, bool))
        for value in values
    )
    return ["" if value is None else str(value).strip() for value in values] if plain else None


@dataclass(frozen=True)
class LabelSets:
    """The labels of N products.

    Attributes:
        of: N label sets, each sorted; a product without a label has an empty one.

    >>> sets = LabelSets((("dress", "red"), ("red",)))
    >>> sets.names, sets.indicator(np.array([0, 1]), ["dress", "red"]).tolist()
    (('dress', 'red'), [[True, True], [False, True]])
    """

    of: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All labels, sorted."""
        return tuple(sorted({label for labels in self.of for label in labels}))

    def counts(self, rows: Iterable[int] | None = None) -> Counter[str]:
        """Label → products of `rows` (default: of all products) that have it."""
        chosen = self.of if rows is None else [self.of[row] for row in rows]
        return Counter(label for labels in chosen for label in labels)

    def indicator(self, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """(n, K) whether each of n products has each of K labels; labels that are not among `names` do not count."""
        place = {name: number for number, name in enumerate(names)}
        found = np.zeros((len(rows), len(names)), bool)
        for line, row in enumerate(rows.tolist()):
            found[line, [place[label] for label in self.of[row] if label in place]] = True
        return found

    def rarest(self) -> np.ndarray:
        """(N,) the label of each product that the fewest products have, ties by name."""
        counts = self.counts()
        return np.array([min(labels, key=lambda label: (counts[label], label)) for labels in self.of], object)


@dataclass
class LabelLists:
    """The labels of n rows of a file.

    Attributes:
        lists: (n,) their labels in the order of the cells, each once; none for a row without a label.
        faulty: (n,) whether a cell is no list.
    """

    lists: pd.Series
    faulty: pd.Series

    def texts(self) -> pd.Series:
        """(n,) the labels of each row as one text, sorted; "" for a row without one."""
        found = [BETWEEN.join(sorted(labels)) for labels in self.lists]
        return pd.Series(found, self.lists.index, dtype="str")

    def sets(self, index: pd.Index) -> LabelSets:
        """The label sets of some rows, in this order."""
        return LabelSets(tuple(tuple(sorted(labels)) for labels in self.lists.loc[index]))

    def join_spellings(self, column: str, report: ReadReport) -> None:
        """Give labels that differ only in case, blanks or Unicode form one spelling, in place."""
        usual = joined_spelling(label for labels in self.lists for label in labels)
        if not usual:
            return
        report.joined[column] = sum(any(label in usual for label in labels) for labels in self.lists)
        joined: list[tuple[str, ...]] = []
        for labels in self.lists:
            joined.append(tuple(dict.fromkeys(str(usual.get(label, label)) for label in labels)))
        self.lists = _series(joined, self.lists.index)


def read_label_lists(cells: pd.Series, columns: CatalogConfig, report: ReadReport) -> LabelLists:
    """The labels of a column of lists.

    Args:
        cells: of the label's column.
        columns: the settings.
        report: gets cells with an empty or repeated label.

    Raises:
        CatalogError: no cell has two labels.
    """
    sign = columns.label_list
    assert sign is not None
    lists, faulty = [], []
    for cell in cells.tolist():
        found = listed_labels(cell, sign)
        labels = tuple(dict.fromkeys(label for label in found or () if label))
        if found and len(labels) < len(found):
            report.odd_label_lists.add(lambda cell=cell: quoted(cell))
        lists.append(labels)
        faulty.append(found is None)
    if lists and max(map(len, lists)) < 2:
        raise CatalogError(
            f"catalog.label_list={sign!r}: no cell of the column {columns.label!r} holds two labels "
            f"({quoted(str(cells.iloc[0]))}, …); give the sign between the labels, or leave it out"
        )
    return LabelLists(_series(lists, cells.index), pd.Series(faulty, cells.index, dtype=bool))


def _series(lists: Sequence[tuple[str, ...]], index: pd.Index) -> pd.Series:
    """A series whose values are tuples."""
    values = np.empty(len(lists), object)
    values[:] = lists
    return pd.Series(values, index, dtype=object)


def take_label_lists(table: pd.DataFrame, columns: CatalogConfig, report: ReadReport) -> LabelLists | None:
    """The labels of a table's rows where a product can have several, else None; the column `label` becomes their text.

    Args:
        table: of the rows; its column `label` has the cells.
        columns: the settings.
        report: gets what was repaired.

    Raises:
        CatalogError: as of `read_label_lists`.
    """
    if columns.label_list is None:
        return None
    lists = read_label_lists(cast(pd.Series, table["label"]), columns, report)
    if columns.join_spellings:
        lists.join_spellings(columns.label, report)
    table["label"] = lists.texts()
    return lists


def label_names(table: pd.DataFrame, lists: LabelLists | None) -> set[str]:
    """The labels of a table's rows, each name once."""
    if lists is not None:
        return set(lists.sets(table.index).names)
    return set(table["label"]) - {""}
