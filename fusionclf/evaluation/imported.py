"""Another program's predictions → the frames of a run, checked against split and classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from fusionclf.catalog import Catalog, Split
from fusionclf.errors import PredictionError, near_name, quoted
from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.given_predictions import EXAMPLES, SHOWN, GivenPredictions
from fusionclf.evaluation.predictions import (
    CATEGORY_PROB,
    TOP,
    category_path,
    make_predictions,
    product_context,
)

ROUNDING = 0.01  # by which the probabilities of a product may miss 1
PAIRS_AT_ONCE = 2**24  # of a product and a class, whose probabilities are in memory together: 0.4 GB
AHEAD = 1e-12  # of probability, by which the first class counts as likelier than others that are as likely
Others = Literal["refuse", "ignore", "held-out"]


@dataclass(frozen=True)
class ImportedPredictions:
    """Frames of a run.

    Attributes:
        test: predictions of all test products, over all classes.
        held_out: predictions of other products; None where there are none.
        ignored: number of rows that were left out because they are not test products.
    """

    test: pd.DataFrame
    held_out: pd.DataFrame | None
    ignored: int


def import_given(
    given: GivenPredictions, catalog: Catalog, split: Split, others: Others = "refuse"
) -> ImportedPredictions:
    """The predictions of a file as the frames of a run.

    Args:
        given: the content of the file.
        catalog, split: the products.
        others: what to do with products that are not test products: "refuse" them, "ignore" them, or keep them as
            "held-out" predictions, by a model that was not trained on them.

    Raises:
        PredictionError: an id is unknown or occurs twice, a test product is missing, a label is not a class, or
            values are not probabilities; the message counts the rows and shows three.
    """
    given.refuse("have no id", given.ids == "", np.arange(1, len(given) + 1), "give the id of each product")
    twice = pd.Index(given.ids).duplicated()
    given.refuse("have the id of an earlier row", twice, given.ids, "keep one row of each product")
    tested = _tested(given, catalog, split, others)
    used = given.at(np.flatnonzero(tested)) if others == "ignore" else given
    classes = split.class_names(None)
    _check_labels(used, classes)
    used = _check_probabilities(used)
    graph = CategoryGraph.from_split(catalog, split)

    def frame(subset: Literal["test", "validation"], rows: np.ndarray) -> pd.DataFrame:
        context = product_context(catalog, split, None, subset, rows)
        return _frame(used, context, classes, graph)

    places = pd.Index(catalog.table["id"]).get_indexer(pd.Index(given.ids[~tested]))
    held_out = frame("validation", np.sort(places)) if others == "held-out" and len(places) else None
    ignored = int((~tested).sum()) if others == "ignore" else 0
    return ImportedPredictions(frame("test", split.rows(catalog, None, "test")), held_out, ignored)


def _tested(given: GivenPredictions, catalog: Catalog, split: Split, others: Others) -> np.ndarray:
    """(N,) whether each row is of a test product; every test product is among them."""
    products = pd.Index(catalog.table["id"])
    wanted = products[split.rows(catalog, None, "test")]
    keys = pd.Index(given.ids)
    remedy = "give the catalog of these predictions by --data, and the ids as its table has them"
    known = keys.isin(products)
    given.refuse("are of no product of the catalog", ~known, _words(~known, "unknown"), remedy)
    tested = np.asarray(keys.isin(wanted))
    if others == "refuse":
        remedy = "--others ignore leaves them out; --others held-out keeps them, if the model did not learn from them"
        given.refuse("are of no test product of the split", ~tested, _words(~tested, "train"), remedy)
    if len(lacking := wanted.difference(keys)):
        shown = ", ".join(quoted(name, SHOWN) for name in lacking[:EXAMPLES])
        raise PredictionError(
            f"{given.path}: lacks {len(lacking):,} of {len(wanted):,} test products ({shown}"
            f"{', …' if len(lacking) > EXAMPLES else ''}); predict them, too, because runs are compared on the same "
            "products (without an answer, give the most frequent class)"
        )
    return tested


def _words(mask: np.ndarray, word: str) -> np.ndarray:
    return np.full(len(mask), word, object)


def _check_labels(given: GivenPredictions, classes: Sequence[str]) -> None:
    """Raise PredictionError if a label is not a class, the first is missing, or a row has one twice."""
    if given.kind == "all":
        return
    known = {*classes, ""}
    first = given.labels[:, 0] if given.labels.shape[1] else _words(given.ids, "")
    given.refuse("have no label", first == "", _words(first, "no label"), "give each product a class")
    odd = np.array([name not in known for name in given.labels.flat], bool).reshape(given.labels.shape)
    shown = _words(given.ids, "")
    for row in np.flatnonzero(odd.any(axis=1))[:EXAMPLES]:
        shown[row] = _unknown(given.labels[row][odd[row]][0], classes)
    remedy = f"map them to the {len(classes)} classes of the catalog, in the same spelling"
    given.refuse("have a label that is no class", odd.any(axis=1), shown, remedy)
    gaps = (given.labels[:, 1:] != "") & (given.labels[:, :-1] == "")
    given.refuse("lack a label before another one", gaps.any(axis=1), first, "fill the ranks from label_1 on")
    repeated = np.array([len(set(row) - {""}) < (row != "").sum() for row in given.labels], bool)
    given.refuse("have a class twice", repeated, first, "give each class once")


def _unknown(name: str, classes: Sequence[str]) -> str:
    near = near_name(name, classes)
    return quoted(name, SHOWN) + (f" – did you mean {quoted(near, SHOWN)}?" if near else "")


def _check_probabilities(given: GivenPredictions) -> GivenPredictions:
    """The predictions, the probabilities of all classes divided by their sum, which may be a little off 1.

    Raises:
        PredictionError: a value is not a probability, or the values of a row do not add up.
    """
    shares = given.probabilities
    if shares is None:
        return given
    needed = np.ones(shares.shape, bool) if given.kind == "all" else given.labels != ""
    odd = needed & ~((shares >= 0) & (shares <= 1 + 1e-6))
    values = np.where(odd.any(axis=1), shares[np.arange(len(shares)), odd.argmax(axis=1)], 0)
    shown = np.array(["no number" if np.isnan(value) else f"{value:g}" for value in values], object)
    given.refuse("have a probability that is none", odd.any(axis=1), shown, "give numbers from 0 to 1")
    shares = np.where(needed, shares, 0.0)
    sums = shares.sum(axis=1)
    shown = np.array([f"{value:.4g}" for value in sums], object)
    if given.kind == "all":
        remedy = "give a column for each class, and divide each row by its sum"
        given.refuse("have probabilities that do not add up to 1", np.abs(sums - 1) > ROUNDING, shown, remedy)
        shares = shares / sums[:, None]
    else:
        remedy = "divide each row by the sum over all classes"
        given.refuse("have probabilities that add up to more than 1", sums > 1 + ROUNDING, shown, remedy)
        rising = (np.diff(shares, axis=1) > 1e-9).any(axis=1)
        given.refuse(
            "do not have the most likely class first", rising, shown, "order the classes of each row"
        )
        shares = np.minimum.accumulate(shares, axis=1) / np.maximum(sums, 1.0)[:, None]
    return GivenPredictions(given.path, given.kind, given.ids, given.labels, shares, given.unread)


def _frame(
    given: GivenPredictions, context: pd.DataFrame, classes: Sequence[str], graph: CategoryGraph
) -> pd.DataFrame:
    """Predictions of the products of `context`, a few at a time if there are thousands of classes."""
    places = pd.Index(given.ids).get_indexer(pd.Index(context["id"]))
    size = max(1, PAIRS_AT_ONCE // len(classes))
    chunks = [slice(start, start + size) for start in range(0, max(len(context), 1), size)]
    frames = [_predictions(given.at(places[rows]), context.iloc[rows], classes, graph) for rows in chunks]
    return pd.concat(frames, ignore_index=True)


def _predictions(
    given: GivenPredictions, context: pd.DataFrame, classes: Sequence[str], graph: CategoryGraph
) -> pd.DataFrame:
    """Predictions of the same products as `context`; a class without a probability has 0, and no rank."""
    place = {name: number for number, name in enumerate(classes)}
    spread = np.zeros((len(given), len(classes)))
    if given.kind == "all":
        assert given.probabilities is not None
        spread[:, [place[name] for name in given.labels]] = given.probabilities
        return make_predictions(context, classes, spread, None, graph)
    shares = given.probabilities
    if shares is None:  # 1 for the first class: for its category path alone
        shares = np.zeros(given.labels.shape)
        shares[:, 0] = 1.0
    for rank in range(given.labels.shape[1]):
        there = np.flatnonzero(given.labels[:, rank] != "")
        spread[there, [place[name] for name in given.labels[there, rank]]] = shares[there, rank]
    ranked = make_predictions(context, classes, spread)
    first = [place[name] for name in given.labels[:, 0]]
    spread[np.arange(len(given)), first] += AHEAD  # the category path is that of label_1
    frame = pd.concat([ranked, category_path(graph, spread, classes)], axis=1)
    return _with_given_ranks(frame, given)


def _with_given_ranks(frame: pd.DataFrame, given: GivenPredictions) -> pd.DataFrame:
    """The frame with the ranks that the file gives and no others; without probabilities, these are missing."""
    for rank in range(TOP):
        within = rank < given.labels.shape[1]
        labels = given.labels[:, rank] if within else _words(given.ids, "")
        none = labels == ""
        frame[f"label_{rank + 1}"] = pd.Series(labels, frame.index, "str").mask(none)
        shares = given.probabilities[:, rank] if given.probabilities is not None and within else np.nan
        frame[f"prob_{rank + 1}"] = np.where(none, np.nan, shares)
    if given.probabilities is None:
        unknown = [str(name) for name in frame if str(name).startswith(CATEGORY_PROB)]
        frame[["prob_label", *unknown, "path_prob"]] = np.nan
    return frame
