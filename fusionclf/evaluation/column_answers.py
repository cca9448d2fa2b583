"""Predictions of auxiliary heads for further columns, one row for each product and column, and their metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.evaluation.calibration import expected_calibration_error
from fusionclf.evaluation.metrics import correct, intervals, score

ANSWERS = "answers"  # the folder of these files in a run, and the key of their metrics
TEST, VALIDATION = "test", "validation"  # in the column `subset`
SCORED = ("top1", "macro_f1", "balanced_accuracy")


@dataclass(frozen=True)
class ColumnPredictions:
    """What a model predicts for one further column of n products.

    Attributes:
        column: its name in the catalog.
        classes: K values.
        targets: (n,) the products' own values as numbers; -1 for an empty cell.
        probabilities: (n, K); a row of NaN where a product has no input that the network reads.
        train_counts: (K,) training rows of each value.
    """

    column: str
    classes: tuple[str, ...]
    targets: np.ndarray
    probabilities: np.ndarray
    train_counts: np.ndarray


def column_answers(products: pd.DataFrame, subset: str, columns: Sequence[ColumnPredictions]) -> pd.DataFrame:
    """A row for each product and column.

    Args:
        products: n rows with id and title_group, as of `product_context`.
        subset: TEST or VALIDATION.
        columns: predictions for these products.

    Returns:
        Columns id, subset, group (equal for products that intervals draw together), column, value ("" for an empty
        cell), value_train_count, value_1 (the most likely value; "" where there is no answer), prob_1 and prob_value
        (of that value and of the product's own; missing where there is none), majority (the most frequent value of
        the training rows; "" without any).
    """
    return pd.concat([_rows(products, subset, each) for each in columns], ignore_index=True)


def _rows(products: pd.DataFrame, subset: str, found: ColumnPredictions) -> pd.DataFrame:
    names = np.array([*found.classes, ""], object)
    nothing, rows = len(found.classes), np.arange(len(products))
    answered = ~np.isnan(found.probabilities[:, 0])
    first = np.where(answered, np.nan_to_num(found.probabilities).argmax(axis=1), nothing)
    own = np.where(found.targets >= 0, found.targets, nothing)
    padded = np.concatenate([found.probabilities, np.full((len(rows), 1), np.nan)], axis=1)
    counts = np.append(found.train_counts, 0)
    majority = names[counts.argmax()] if counts.any() else ""
    frame = pd.DataFrame(
        {
            "id": products["id"].to_numpy(object),
            "subset": subset,
            "group": products["group" if "group" in products else "title_group"].to_numpy(np.int64),
            "column": found.column,
            "value": names[own],
            "value_train_count": counts[own].astype(np.int64),
            "value_1": names[first],
            "prob_1": padded[rows, first],
            "prob_value": padded[rows, own],
            "majority": majority,
        }
    )
    return frame.astype(dict.fromkeys(("id", "subset", "column", "value", "value_1", "majority"), "str"))


def score_columns(answers: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Column → its metrics over the test products whose cell is not empty.

    Returns:
        For each column n; empty (products that are left out because their cell is empty); unanswered (of the n, those
        without an input that the network reads: they count as wrong); top1, macro_f1 and balanced_accuracy as of
        `score`; ece over the answered products; majority, the top-1 of the most frequent training value; intervals,
        95 % bootstrap intervals of the first three. In per cent; None where a metric is not defined.

    >>> import pandas as pd
    >>> rows = [("a", "red", "red", 0.9), ("b", "blue", "red", 0.6), ("c", "", "red", 0.8)]
    >>> table = pd.DataFrame(rows, columns=["id", "value", "value_1", "prob_1"])
    >>> table = table.assign(subset="test", column="colour", group=[0, 1, 2], value_train_count=1, majority="red")
    >>> found = score_columns(table)["colour"]
    >>> found["n"], found["empty"], found["top1"], found["majority"]
    (2, 1, 50.0, 50.0)
    """
    test = answers.loc[answers["subset"] == TEST]
    names = dict.fromkeys(answers["column"].tolist())
    return {name: _score_column(test.loc[test["column"] == name]) for name in names}


def _score_column(rows: pd.DataFrame) -> dict[str, Any]:
    known = rows.loc[rows["value"] != ""]
    labelled = _as_labels(known)
    found, edges = score(labelled), intervals(labelled)
    answered = (known["value_1"] != "").to_numpy(bool)
    confidence, right = known["prob_1"].to_numpy(float)[answered], correct(labelled)[answered]
    hits = known["majority"].to_numpy(object) == known["value"].to_numpy(object)
    return {
        "n": len(known),
        "empty": len(rows) - len(known),
        "unanswered": int((~answered).sum()),
        **{name: found[name] for name in SCORED},
        "ece": 100 * expected_calibration_error(confidence, right) if answered.any() else None,
        "majority": 100 * float(hits.mean()) if len(hits) else None,
        "intervals": {name: edges[name] for name in SCORED},
    }


def _as_labels(known: pd.DataFrame) -> pd.DataFrame:
    """The rows as a predictions file of a label, whose metrics they share."""
    named = {"label": known["value"], "label_1": known["value_1"], "prob_1": known["prob_1"].fillna(0.0)}
    others = {f"label_{rank}": pd.Series(None, known.index, "str") for rank in range(2, 6)}
    context = {"label_train_count": known["value_train_count"], "title_group": known["group"]}
    return pd.DataFrame({**named, **others, **context})
