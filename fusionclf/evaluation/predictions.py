"""The predictions file: one row per test product, with everything that the metrics need."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.groups import variant_groups
from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.topk import first_classes
from fusionclf.files import replacing

TOP = 5
STATUSES = ("used", "missing", "unreadable", "ignored")
SLACK = 1e-3  # rounding of single precision in a sum of probabilities
CONTEXT = ("id", "label", "label_train_count", "title_group", "title_names_label", "leaked_title")
LEAKED_PICTURE = "leaked_picture"  # a column of runs that read pictures
GROUP = "group"  # a column of runs whose split keeps the products of a column's cell together
# Followed by the level's number, 1 for the coarsest.
TRUE_CATEGORY, CATEGORY, CATEGORY_PROB = "true_category_", "category_", "category_prob_"
COLUMNS = (
    *CONTEXT,
    *(f"{kind}_{rank}" for rank in range(1, TOP + 1) for kind in ("label", "prob")),
    "prob_label",
    "picture_status",
    "title_status",
)


def product_context(
    catalog: Catalog,
    split: Split,
    part: str | None,
    subset: Literal["test", "validation"] = "test",
    rows: np.ndarray | None = None,
    pictures: np.ndarray | None = None,
) -> pd.DataFrame:
    """What the metrics use about each product, in the order of `split.rows(catalog, part, subset)`.

    Args:
        catalog: the products.
        split: their division.
        part: a part of the split; None for all parts.
        subset: test; or validation for held-out predictions, where only train rows count as training rows.
        rows: other catalog rows than those of the subset.
        pictures: (P,) digest of each of the catalog's pictures, in the order of `catalog.picture_owners`, 0 for none;
            None where pictures are not read.

    Returns:
        Columns id, label, label_train_count (rows of that class in train and validation), title_group (equal
        titles, equal numbers), title_names_label (the class name is in the title as whole words, singular
        or plural), leaked_title (another train or validation product, of any part, has that title; an
        empty title never counts), with `pictures` also leaked_picture (one of them has one of its pictures,
        pixel for pixel), with `split.group_by` of columns also group (equal for products that titles or cells of
        these columns link), and true_category_1, … (the product's cells of the category columns, the coarsest
        first). For a held-out train row all other train rows count, including those held out
        with it.
    """
    rows = split.rows(catalog, part, subset) if rows is None else rows
    table = catalog.table.iloc[rows]
    fitted = fitted_rows(catalog, split, subset)
    counts = Counter(catalog.table["label"].iloc[fitted])
    titles, labels = (table[column].tolist() for column in ("title", "label"))
    named = _name_patterns(set(labels))
    facts = product_facts(catalog, split, rows, fitted, pictures)
    categories = {
        f"{TRUE_CATEGORY}{level}": table[name].tolist()
        for level, name in enumerate(catalog.columns.categories, start=1)
    }
    kinds = {"id": "str", "label": "str", "title_names_label": bool, "leaked_title": bool}
    return pd.DataFrame(
        {
            "id": facts.pop("id"),
            "label": labels,
            "label_train_count": np.array([counts[label] for label in labels], np.int64),
            "title_group": facts.pop("title_group"),
            "title_names_label": [
                named[label].search(title) is not None for title, label in zip(titles, labels, strict=True)
            ],
            **facts,
            **categories,
        }
    ).astype(kinds | dict.fromkeys(categories, "str"))


def fitted_rows(catalog: Catalog, split: Split, subset: Literal["test", "validation"]) -> np.ndarray:
    """The rows on which the model that predicts a subset was fitted: for held-out predictions only train rows."""
    return split.rows(catalog, None, *(("train", "validation") if subset == "test" else ("train",)))


def product_facts(
    catalog: Catalog, split: Split, rows: np.ndarray, fitted: np.ndarray, pictures: np.ndarray | None
) -> dict[str, Any]:
    """Columns id, title_group, leaked_title, and where they apply leaked_picture and group, as of `product_context`."""
    ids, titles = (catalog.table[column].iloc[rows].tolist() for column in ("id", "title"))
    all_titles, has_title = catalog.table["title"].to_numpy(object), catalog.has_title
    leaked_picture = {}
    if pictures is not None:
        leaked_picture = {LEAKED_PICTURE: _others_share(pictures, catalog.picture_owners, rows, fitted)}
    return {
        "id": ids,
        "title_group": _title_groups(titles, has_title[rows], ids),
        "leaked_title": _others_have(all_titles, has_title, rows, fitted),
        **leaked_picture,
        **_groups(catalog, split, rows),
    }


def _others_have(values: np.ndarray, there: np.ndarray, rows: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Whether a fitted row other than the row itself has the same value, for each of `rows`.

    Args:
        values: (N,) of all catalog rows.
        there: (N,) whether the row has a value; missing values are never equal.
        rows, fitted: (n,) and (m,) catalog rows, each once.

    Returns:
        (n,) booleans.
    """
    counts = Counter(values[fitted].tolist())
    having = np.array([counts[value] for value in values[rows].tolist()], np.int64)
    return there[rows] & (having > np.isin(rows, fitted))


def _others_share(values: np.ndarray, owners: np.ndarray, rows: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """As `_others_have`, for catalog rows that may have several values: whether another row has one of them.

    Args:
        values: (P,) of all catalog rows; 0 for none.
        owners: (P,) the catalog row of each value, ascending.
        rows, fitted: as of `_others_have`.
    """
    own: dict[int, set[int]] = defaultdict(set)
    for row, value in zip(owners.tolist(), values.tolist(), strict=True):
        if value:
            own[row].add(value)
    counts = Counter(value for row in fitted.tolist() for value in own.get(row, ()))
    known = set(fitted.tolist())
    return np.array(
        [any(counts[v] > (row in known) for v in own.get(row, ())) for row in rows.tolist()], bool
    )


def _title_groups(titles: Sequence[str], has_title: np.ndarray, ids: Sequence[str]) -> np.ndarray:
    """(n,) numbers, equal for equal titles; each product without a title is its own group."""
    keys = [t if there else f"\0{i}" for t, there, i in zip(titles, has_title, ids, strict=True)]
    return np.array([_number(key) for key in keys], np.int64)


def _groups(catalog: Catalog, split: Split, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The column `group`, where the split's settings name columns: equal numbers for linked products."""
    groups = variant_groups(catalog, split.spec)
    if groups is None:
        return {}
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    numbers = [_number(catalog.table["id"].iloc[row]) for row in first]  # the same in each part and run
    return {GROUP: np.array(numbers, np.int64)[member[rows]]}


def group_numbers(frame: pd.DataFrame) -> np.ndarray:
    """(N,) equal numbers for products that are not independent: those of one group or, without groups, of one title."""
    return frame[GROUP if GROUP in frame else "title_group"].to_numpy()


def _number(text: str) -> int:
    return int.from_bytes(
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True
    )


def _name_patterns(labels: Iterable[str]) -> dict[str, re.Pattern[str]]:
    """For each class a pattern of its name as whole words, singular or plural, in any case."""
    patterns = {}
    for label in labels:
        forms = [label]
        if re.search(r"(ss|sh|ch|x|z)es$", label, re.IGNORECASE):
            forms.append(label[:-2])  # dresses, watches
        elif re.search(r"[^s]s$", label, re.IGNORECASE):
            forms.append(label[:-1])
            if label.lower().endswith("ies"):
                forms.append(label[:-3] + "y")
        choice = "|".join(re.escape(form) for form in forms)
        patterns[label] = re.compile(rf"(?<!\w)(?:{choice})(?:e?s)?(?!\w)", re.IGNORECASE)
    return patterns


def make_predictions(
    context: pd.DataFrame,
    classes: Sequence[str],
    probabilities: np.ndarray,
    status: pd.DataFrame | None = None,
    graph: CategoryGraph | None = None,
) -> pd.DataFrame:
    """A model's predictions, joined with what is known about the products.

    Args:
        context: `product_context`, N rows.
        classes: the K candidates.
        probabilities: (N, K), finite, not negative; a row adds up to 1, or to less where the rest belongs to
            classes that are not candidates.
        status: modality status: columns picture_status and title_status, N rows; default: both ignored.
        graph: of the catalog; None for no category path.

    Returns:
        `context` with label_1 … label_5, prob_1 … prob_5 (missing where there are fewer candidates),
        prob_label (0 where the label is not a candidate), picture_status and title_status; with a graph also
        the category path: category_1, …, category_prob_1, … (the coarsest first) and path_prob. Of equal
        probabilities the class that comes first wins.

    Raises:
        ValueError: the probabilities have another shape or are not probabilities, a class occurs twice or is
            not in the graph, or `status` has other values than STATUSES or another number of rows.
    """
    if probabilities.shape != (len(context), len(classes)):
        raise ValueError(f"probabilities are {probabilities.shape}, expected {(len(context), len(classes))}")
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise ValueError("probabilities must be finite and not negative")
    if (probabilities.sum(axis=1) > 1 + SLACK).any():
        raise ValueError("a product's probabilities must not add up to more than 1")
    if len(set(classes)) != len(classes) or not len(classes):
        raise ValueError("the candidates must be one class or more, each named once")
    if status is not None:
        check_status(status, len(context))
    probabilities = probabilities.astype(np.float64, copy=False)
    names = np.array(classes, object)
    order = first_classes(probabilities, TOP)
    further = [name for name in (LEAKED_PICTURE, GROUP) if name in context]
    known = [*CONTEXT, *further, *level_columns(context, TRUE_CATEGORY)]
    frame = pd.DataFrame(context, columns=known).reset_index(drop=True)
    everyone = np.arange(len(frame))
    for rank in range(TOP):
        there = rank < order.shape[1]
        frame[f"label_{rank + 1}"] = pd.Series(
            names[order[:, rank]] if there else None, index=frame.index, dtype="str"
        )
        frame[f"prob_{rank + 1}"] = probabilities[everyone, order[:, rank]] if there else np.nan
    number = {name: n for n, name in enumerate(classes)}
    places = np.array([number.get(label, -1) for label in context["label"]], np.int64)
    frame["prob_label"] = np.where(places >= 0, probabilities[everyone, places], 0.0)
    for column in ("picture_status", "title_status"):
        frame[column] = "ignored" if status is None else status[column].to_numpy(object)
    frame = frame.astype({"picture_status": "str", "title_status": "str"})
    return (
        frame if graph is None else pd.concat([frame, category_path(graph, probabilities, classes)], axis=1)
    )


def category_path(graph: CategoryGraph, probabilities: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Columns category_1, …, category_prob_1, … and path_prob, as of `make_predictions`."""
    found = graph.predict_paths(probabilities, classes)
    columns: dict[str, pd.Series | np.ndarray] = {}
    for level in range(1, len(graph.levels)):
        names = np.array([path[level - 1] for path in graph.paths], object)[found.paths]
        columns[f"{CATEGORY}{level}"] = pd.Series(names, dtype="str")
        columns[f"{CATEGORY_PROB}{level}"] = found.category_probs[:, level - 1]
    return pd.DataFrame(columns | {"path_prob": found.path_prob})


def level_columns(frame: pd.DataFrame, prefix: str) -> list[str]:
    """The columns prefix1, prefix2, … that a frame has, the coarsest level first."""
    found = []
    while f"{prefix}{len(found) + 1}" in frame:
        found.append(f"{prefix}{len(found) + 1}")
    return found


def check_status(status: pd.DataFrame, rows: int) -> None:
    if len(status) != rows:
        raise ValueError(f"status has {len(status)} rows, expected {rows}")
    for column in ("picture_status", "title_status"):
        odd = sorted({str(value) for value in status[column]} - set(STATUSES))
        if odd:
            raise ValueError(f"{column}={odd[0]!r}; allowed: {', '.join(STATUSES)}")


def write_predictions(path: Path, frame: pd.DataFrame) -> None:
    """Write a predictions file as Parquet."""
    with replacing(path) as aside:
        frame.to_parquet(aside, index=False)
