"""The predictions file of a model of several labels: one row a product, with the probabilities of all labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusionclf.catalog import Catalog, Split
from fusionclf.errors import RunError
from fusionclf.evaluation.predictions import (
    GROUP,
    LEAKED_PICTURE,
    STATUSES,
    check_status,
    fitted_rows,
    group_numbers,
    product_facts,
)
from fusionclf.runfolder import AGAIN, one_line

LABELS, PREDICTED, PROBABILITIES = "labels", "predicted", "probabilities"
TEXTS = ("id", "picture_status", "title_status")
COLUMNS = (
    "id",
    LABELS,
    PREDICTED,
    PROBABILITIES,
    "title_group",
    "leaked_title",
    "picture_status",
    "title_status",
)
LARGEST_FILE = 4 * 2**30  # bytes of all columns, decoded


@dataclass(frozen=True)
class LabelSetPredictions:
    """What a predictions file says, as arrays.

    Attributes:
        names: K labels.
        is_label: (N, K) whether each product has each label.
        predicted: (N, K) whether the model predicts it.
        probabilities: (N, K).
        groups: (N,) equal numbers for products that are not independent.
    """

    names: tuple[str, ...]
    is_label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame, names: tuple[str, ...]) -> "LabelSetPredictions":
        """The arrays of a frame.

        Args:
            frame: as of `make_label_set_predictions`.
            names: all labels, in the order of the probabilities.
        """
        probabilities = np.array(frame[PROBABILITIES].tolist(), np.float32).reshape(len(frame), len(names))
        is_label, predicted = (_indicator(frame[column].tolist(), names) for column in (LABELS, PREDICTED))
        return cls(names, is_label, predicted, probabilities, group_numbers(frame))

    def __len__(self) -> int:
        return len(self.is_label)


def _indicator(lists: list[Any], names: tuple[str, ...]) -> np.ndarray:
    place = {name: number for number, name in enumerate(names)}
    found = np.zeros((len(lists), len(names)), bool)
    for row, labels in enumerate(lists):
        found[row, [place[label] for label in labels]] = True
    return found


def label_set_context(
    catalog: Catalog,
    split: Split,
    subset: Literal["test", "validation"] = "test",
    rows: np.ndarray | None = None,
    pictures: np.ndarray | None = None,
) -> pd.DataFrame:
    """What the metrics use about each product: columns id, labels, title_group, leaked_title, leaked_picture, group.

    Args:
        catalog: products that can have several labels.
        split: their division.
        subset: test, or validation for held-out predictions.
        rows: catalog rows; default: those of the subset.
        pictures: as of `product_context`.
    """
    assert catalog.label_sets is not None, "products with several labels"
    rows = split.rows(catalog, None, subset) if rows is None else rows
    facts = product_facts(catalog, split, rows, fitted_rows(catalog, split, subset), pictures)
    labels = [list(catalog.label_sets.of[row]) for row in rows.tolist()]
    frame = pd.DataFrame({"id": facts.pop("id"), LABELS: labels, **facts})
    return frame.astype({"id": "str", "leaked_title": bool})


def make_label_set_predictions(
    context: pd.DataFrame,
    names: tuple[str, ...],
    probabilities: np.ndarray,
    predicted: np.ndarray,
    status: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """A model's predictions, joined with what is known about the products.

    Args:
        context: `label_set_context`, N rows.
        names: K labels.
        probabilities: (N, K), each from 0 to 1.
        predicted: (N, K) whether a product gets a label.
        status: modality status: columns picture_status and title_status, N rows; default: both ignored.

    Returns:
        `context` with `predicted`, a list of the predicted labels, the most likely first; `probabilities`, a list of
        those of all labels in the order of `names`; picture_status and title_status.

    Raises:
        ValueError: the arrays have another shape, or hold no probabilities.
    """
    shape = (len(context), len(names))
    if probabilities.shape != shape or predicted.shape != shape:
        raise ValueError(
            f"probabilities are {probabilities.shape}, predicted {predicted.shape}, expected {shape}"
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("probabilities must be from 0 to 1")
    if status is not None:
        check_status(status, len(context))
    frame = context.reset_index(drop=True)
    frame[PREDICTED] = ranked_labels(names, probabilities, predicted)
    frame[PROBABILITIES] = list(probabilities.astype(np.float32))
    for column in ("picture_status", "title_status"):
        frame[column] = "ignored" if status is None else status[column].to_numpy(object)
    return frame.astype({"picture_status": "str", "title_status": "str"})


def ranked_labels(
    names: tuple[str, ...], probabilities: np.ndarray, predicted: np.ndarray
) -> list[list[str]]:
    """The predicted labels of each product, the most likely first."""
    found = []
    for own, chosen in zip(probabilities, predicted, strict=True):
        places = np.flatnonzero(chosen)
        found.append([names[place] for place in places[np.argsort(-own[places], kind="stable")].tolist()])
    return found


def read_label_set_predictions(path: Path, names: tuple[str, ...]) -> pd.DataFrame:
    """A predictions file.

    Args:
        path: the file.
        names: all labels, in the order of the probabilities.

    Returns:
        Rows as from `make_label_set_predictions`. Unknown columns are dropped.

    Raises:
        RunError: the file is missing, damaged or not valid; the message names the column.
    """
    if not path.is_file():
        raise RunError(f"{path}: no such file; {AGAIN}")
    try:
        frame = _read(path)
        _check(frame, names)
    except (OSError, ValueError, KeyError, TypeError, MemoryError, pa.ArrowException) as error:
        raise RunError(one_line(f"cannot be used ({error}); {AGAIN}", path)) from error
    return frame


def _read(path: Path) -> pd.DataFrame:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        for name in COLUMNS:
            if schema.names.count(name) != 1:
                raise ValueError(f"{'no column' if name not in schema.names else 'two columns'} {name!r}")
        for name in (LABELS, PREDICTED, PROBABILITIES):
            if not pa.types.is_list(schema.field(name).type):
                raise ValueError(f"column {name!r} holds {schema.field(name).type}, not lists")
        groups = range(file.metadata.num_row_groups)
        if sum(file.metadata.row_group(group).total_byte_size for group in groups) > LARGEST_FILE:
            raise ValueError("it is too large")
        wanted = [*COLUMNS, *(name for name in (LEAKED_PICTURE, GROUP) if name in schema.names)]
        table = file.read(columns=wanted)
    for name in wanted:
        column = table.column(name)
        if column.null_count or (pa.types.is_list(column.type) and pc.list_flatten(column).null_count):  # pyright: ignore
            raise ValueError(f"column {name!r} lacks a value")
    frame = table.replace_schema_metadata().to_pandas()
    for name in (LABELS, PREDICTED):
        frame[name] = [list(labels) for labels in frame[name]]
    return frame.astype(dict.fromkeys(TEXTS, "str"))


def _check(frame: pd.DataFrame, names: tuple[str, ...]) -> None:
    known = set(names)
    for name in (LABELS, PREDICTED):
        for labels in frame[name]:
            if odd := [label for label in labels if label not in known]:
                raise ValueError(f"column {name!r} holds {odd[0]!r}, which is not a label of the run's split")
            if len(set(labels)) < len(labels):
                raise ValueError(f"column {name!r} names a label twice")
    for values in frame[PROBABILITIES]:
        if len(values) != len(names) or not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"column {PROBABILITIES!r} does not hold {len(names)} probabilities in each row")
    if (twice := frame["id"].duplicated().to_numpy()).any():
        raise ValueError(f"product {frame['id'].tolist()[int(twice.argmax())]!r} occurs twice")
    for name in ("picture_status", "title_status"):
        if odd_status := sorted(set(frame[name]) - set(STATUSES)):
            raise ValueError(f"column {name!r} holds {odd_status[0]!r}; allowed: {', '.join(STATUSES)}")
