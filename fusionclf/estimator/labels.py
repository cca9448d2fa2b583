"""Labels of any type → class numbers and names of classes."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from fusionclf.catalog.missing import is_missing
from fusionclf.errors import TableError

SHOWN = 3


def encode_labels(y: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes, sorted, and the number of each row's class.

    Args:
        y: (n,) labels.
        rows: n.

    Raises:
        TableError: labels are missing or of several types, or there are fewer than two classes.
        ValueError: scikit-learn's: y has another number of rows or dimensions, or holds no classes.
    """
    if y is None:
        raise TableError("y is None: this estimator requires y to be passed, but the target y is None")
    labels = column_or_1d(y, warn=True)
    check_consistent_length(range(rows), labels)
    missing = np.flatnonzero(pd.isna(labels))
    if len(missing):
        shown = ", ".join(map(str, missing[:SHOWN]))
        more = ", …" if len(missing) > SHOWN else ""
        raise TableError(
            f"y: {len(missing)} of {rows} labels are missing (NaN or None; rows {shown}{more}); leave these rows out"
        )
    try:
        classes, codes = np.unique(labels, return_inverse=True)
    except TypeError as error:
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise TableError(f"y: labels are of several types ({kinds}); make all of them text") from error
    check_classification_targets(labels)
    if len(classes) < 2:
        raise TableError(f"y has one class, {str(classes[0])!r}; give rows of two classes or more")
    return classes, codes


def label_names(classes: np.ndarray) -> list[str]:
    """A name for each class, as a catalog has it: its text; a number is added if that is empty or not unique.

    >>> label_names(np.array(["", "NaN", "belt", "belt "]))
    ['class 0', 'NaN (class 1)', 'belt', 'belt (class 3)']
    """
    names: list[str] = []
    for number, label in enumerate(classes.tolist()):
        name = str(label).strip()
        if not name:
            name = f"class {number}"
        elif is_missing(name) or name in names:
            name = f"{name} (class {number})"
        names.append(name)
    return names
