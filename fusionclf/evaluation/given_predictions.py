"""A file of another program's predictions → ids, labels and probabilities as in the file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusionclf.catalog.tables import Rows, Table, joined_rows, open_table
from fusionclf.errors import LISTED, PredictionError, quoted
from fusionclf.runfolder import unguarded

EXAMPLES = 3
SHOWN = 40  # characters of a value in a message
Kind = Literal["labels", "best", "all"]
FORMS = "label; label_1, prob_1, …; or one column a class"


@dataclass(frozen=True)
class GivenPredictions:
    """The predictions of a file, one row per product.

    Attributes:
        path: the file.
        kind: "labels" without probabilities, "best" with those of the best classes, "all" with those of all classes.
        ids: (N,) ids of the products.
        labels: (N, k) classes, the most likely first, "" where a row has fewer; for "all" (K,) names of the columns.
        probabilities: (N, k) or (N, K), as in the file; NaN where a cell is not a number; None for "labels".
        unread: names of the columns that are not read.
    """

    path: Path
    kind: Kind
    ids: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray | None
    unread: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, rows: np.ndarray) -> "GivenPredictions":
        """Some of the rows."""
        labels = self.labels if self.kind == "all" else self.labels[rows]
        shares = None if self.probabilities is None else self.probabilities[rows]
        return GivenPredictions(self.path, self.kind, self.ids[rows], labels, shares, self.unread)

    def refuse(self, what: str, faulty: npt.ArrayLike, examples: np.ndarray, remedy: str) -> None:
        """Raise PredictionError where a row is faulty, with their number and three examples.

        Args:
            what: what is wrong with the rows, such as "have no id".
            faulty: (N,) whether a row is.
            examples: (N,) a value of each row that shows it.
            remedy: the end of the message.
        """
        places = np.flatnonzero(np.asarray(faulty))
        if count := len(places):
            shown = [f"{quoted(str(self.ids[row]), SHOWN)}: {examples[row]}" for row in places[:EXAMPLES]]
            more = ", …" if count > EXAMPLES else ""
            raise PredictionError(
                f"{self.path}: {count:,} of {len(self):,} rows {what} ({', '.join(shown)}{more}); {remedy}"
            )


def read_given(
    path: Path, id_names: tuple[str, ...], label_names: tuple[str, ...], classes: tuple[str, ...]
) -> GivenPredictions:
    """The predictions of a CSV, Parquet or JSON lines file.

    Args:
        path: the file.
        id_names: names that the column of the ids may have, the preferred one first.
        label_names: names that a column of labels without ranks may have.
        classes: all classes, the names of columns of probabilities.

    Raises:
        PredictionError: the file has no column of ids or predictions, or a row that cannot be read.
        CatalogError: it is not a table.
    """
    table = open_table(path, wanted=id_names[:1])
    key = next((name for name in id_names if name in table.columns), None)
    if key is None:
        raise PredictionError(
            f"{path}: no column of ids; call it {quoted(id_names[0])} (found: {', '.join(table.columns)[:LISTED]})"
        )
    ranked = _ranks(table, "label_")
    known = set(classes)
    own = [name for name in table.columns if name in known and name != key]
    if ranked:
        shares = _ranks(table, "prob_")
        if shares and len(shares) != len(ranked):
            raise PredictionError(
                f"{path}: has {len(ranked)} columns label_1, … and {len(shares)} columns prob_1, …; give as many"
            )
        return _of_ranks(table, key, ranked, shares)
    if "labels" in table.columns:
        return _of_lists(table, key)
    if len(own) > 1:
        rows = _read(table, [key, *own])
        return _given(table, key, "all", rows, np.array(own, object), _numbers(rows, own))
    label = next((name for name in label_names if name in table.columns and name != key), None)
    if label is None:
        raise PredictionError(
            f"{path}: no predictions among its columns ({', '.join(table.columns)[:LISTED]}); give {FORMS}"
        )
    shares = [name for name in ("prob", "probability") if name in table.columns][:1]
    return _of_ranks(table, key, [label], shares)


def _ranks(table: Table, prefix: str) -> list[str]:
    names = []
    while f"{prefix}{len(names) + 1}" in table.columns:
        names.append(f"{prefix}{len(names) + 1}")
    return names


def _read(table: Table, names: list[str]) -> Rows:
    rows = joined_rows(table.chunks(names))
    if rows.dropped:
        reason, places = next(iter(rows.dropped.items()))
        raise PredictionError(
            f"{table.path}: {len(places):,} rows cannot be read ({reason}: {', '.join(places[:EXAMPLES])}); fix them"
        )
    return rows


def _numbers(rows: Rows, names: list[str]) -> np.ndarray:
    """(N, k) numbers of columns; NaN where a cell is not a number."""
    columns = [np.asarray(pd.to_numeric(rows.table[name], errors="coerce"), np.float64) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows.table), 0))


def _of_ranks(table: Table, key: str, labels: list[str], shares: list[str]) -> GivenPredictions:
    rows = _read(table, [key, *labels, *shares])
    cells = np.stack(
        [np.array([unguarded(cell.strip()) for cell in rows.table[name]], object) for name in labels], axis=1
    )
    kind: Kind = "best" if shares else "labels"
    return _given(table, key, kind, rows, cells, _numbers(rows, shares) if shares else None)


def _of_lists(table: Table, key: str) -> GivenPredictions:
    """Predictions whose rows hold lists `labels` and `probabilities`, as JSON lines have them."""
    with_shares = "probabilities" in table.columns
    rows = _read(table, [key, "labels", *(["probabilities"] if with_shares else [])])
    labels = [_list(table.path, rows, place, "labels") for place in range(len(rows.table))]
    shares = (
        [_list(table.path, rows, p, "probabilities") for p in range(len(labels))] if with_shares else None
    )
    width = max(map(len, labels), default=0)
    cells = np.full((len(labels), width), "", object)
    numbers = np.full((len(labels), width), np.nan)
    for place, names in enumerate(labels):
        cells[place, : len(names)] = [str(name).strip() for name in names]
        if shares is not None:
            if len(shares[place]) != len(names):
                raise PredictionError(
                    f"{table.path}: {rows.place(place)} has {len(names)} labels and {len(shares[place])} "
                    "probabilities; give as many"
                )
            numbers[place, : len(names)] = pd.to_numeric(
                pd.Series(shares[place], dtype=object), errors="coerce"
            )
    return _given(
        table, key, "best" if with_shares else "labels", rows, cells, numbers if with_shares else None
    )


def _list(path: Path, rows: Rows, place: int, name: str) -> list[object]:
    try:
        found = json.loads(rows.table[name].iloc[place] or "[]")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise PredictionError(
            f'{path}: {rows.place(place)}: {name!r} is not a JSON list, such as ["Dresses"]; call a single '
            "label 'label'"
        )
    return found


def _given(
    table: Table, key: str, kind: Kind, rows: Rows, labels: np.ndarray, shares: np.ndarray | None
) -> GivenPredictions:
    unread = tuple(name for name in table.columns if name not in rows.table.columns)
    ids = np.array([unguarded(product) for product in rows.table[key]], object)
    return GivenPredictions(table.path, kind, ids, labels, shares, unread)
