"""Confused classes, accuracy on rare classes, and the products on which two models differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.evaluation.metrics import correct
from fusionclf.evaluation.predictions import group_numbers

# Training rows of a class, first and last of each bin; 20 and 200 also separate tail, middle and head classes.
TRAIN_ROW_BINS = ((0, 0), (1, 4), (5, 19), (20, 49), (50, 199), (200, 999), (1000, None))
PER_CLASS = 2  # products of one class in a list of examples


def by_training_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Top-1 by how many training rows the class has, over TRAIN_ROW_BINS.

    Returns:
        A row for each bin that holds a product: first and last number of training rows (None: no limit),
        classes, n (products), top1 in percent.
    """
    counts, right = frame["label_train_count"].to_numpy(), correct(frame)
    labels = frame["label"].to_numpy(object)
    rows = []
    for first, last in TRAIN_ROW_BINS:
        members = (counts >= first) & (counts <= (np.inf if last is None else last))
        if members.any():
            classes = len(set(labels[members]))
            top1 = 100 * float(right[members].mean())
            rows.append(
                {"first": first, "last": last, "classes": classes, "n": int(members.sum()), "top1": top1}
            )
    return rows


def confused_pairs(frame: pd.DataFrame) -> dict[tuple[str, str], int]:
    """(label, wrong class) → number of products, most frequent first."""
    wrong = frame.loc[~correct(frame), ["label", "label_1"]].astype("str")
    counts = wrong.value_counts(sort=False)
    pairs = [((str(label), str(answer)), int(n)) for (label, answer), n in counts.items()]  # pyright: ignore[reportGeneralTypeIssues]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def disagreements(first: pd.DataFrame, second: pd.DataFrame, most: int) -> tuple[int, list[str]]:
    """Products that the first model gets right and the second one wrong, among those that both scored.

    Args:
        first, second: predictions of two models on one part.
        most: maximum number of ids.

    Returns:
        Their number, and the ids of those on which the second model was most confident.
    """
    rivals = second[["id", "label_1", "prob_1"]]
    own = first[["id", "label", "label_1"]].assign(together=group_numbers(first))
    both = own.merge(rivals, on="id", suffixes=("", "_other"))
    right = (both["label_1"] == both["label"]).to_numpy(bool)
    right_other = (both["label_1_other"] == both["label"]).to_numpy(bool)
    found = both.loc[right & ~right_other]
    return len(found), _varied(found, most)


def confident_errors(frame: pd.DataFrame, most: int) -> tuple[int, list[str]]:
    """The number of products that a model gets wrong, and the ids of those on which it was most confident."""
    wrong = frame.loc[~correct(frame)]
    return len(wrong), _varied(wrong.assign(together=group_numbers(wrong)), most)


def _varied(frame: pd.DataFrame, most: int) -> list[str]:
    """Ids by falling `prob_1`; one product per group and at most PER_CLASS per class, for variety."""
    order = frame.sort_values(["prob_1", "id"], ascending=[False, True]).drop_duplicates("together")
    place = order.groupby("label").cumcount()
    return order.loc[place < PER_CLASS, "id"].astype("str").tolist()[:most]


def ranked_classes(
    frame: pd.DataFrame, ids: Sequence[str], ranks: int = 3
) -> dict[str, list[tuple[str, float | None]]]:
    """id → its most likely classes, each with its probability or None; ids that the frame lacks are skipped."""
    columns = [f"{kind}_{rank}" for rank in range(1, ranks + 1) for kind in ("label", "prob")]
    rows = frame.loc[frame["id"].isin(ids), ["id", *columns]]
    found: dict[str, list[tuple[str, float | None]]] = {}
    for product, *cells in rows.itertuples(index=False, name=None):
        pairs = zip(cells[::2], cells[1::2], strict=True)
        found[str(product)] = [
            (str(label), None if pd.isna(prob) else float(prob))
            for label, prob in pairs
            if not pd.isna(label)
        ]
    return found
