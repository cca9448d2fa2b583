"""How far one column determines another."""

import numpy as np
import pandas as pd


def determines(source: pd.Series, target: pd.Series) -> float:
    """Goodman and Kruskal's lambda: by how much knowing `source` reduces the errors of guessing `target`.

    1: each value of `source` has one value of `target`; 0: it tells nothing more than the most frequent value does.
    Only rows with both cells count, and only values of `source` with at least two rows: a value of one row
    determines everything.

    Source: Goodman and Kruskal 1954, Measures of association for cross classifications, section 5.

    >>> child, parent = pd.Series(list("aabbcc")), pd.Series(list("XXXXYY"))
    >>> determines(child, parent), determines(parent, child)
    (1.0, 0.5)
    """
    both = ((source != "") & (target != "")).to_numpy()
    rows = _codes(source.to_numpy()[both])
    often = np.bincount(rows)[rows] > 1 if len(rows) else np.zeros(0, bool)
    rows, values = rows[often], _codes(target.to_numpy()[both])[often]
    if not len(rows):
        return 0.0
    top = int(np.bincount(values).max())
    if top == len(values):
        return 0.0
    return float((_largest(rows, values) - top) / (len(values) - top))


def repeats(cells: pd.Series) -> float:
    """Share of the rows with a value that share it with another row."""
    present = cells.to_numpy()[cells != ""]
    return float(pd.Series(present).duplicated(keep=False).mean()) if len(present) else 0.0


def _codes(cells: np.ndarray) -> np.ndarray:
    return pd.factorize(cells)[0].astype(np.int64)


def _largest(rows: np.ndarray, values: np.ndarray) -> int:
    """Sum, over the values of the first column, of the rows of the most frequent value of the second one."""
    width = int(values.max()) + 1
    pairs, counts = np.unique(rows * width + values, return_counts=True)
    most = np.zeros(int(rows.max()) + 1, np.int64)
    np.maximum.at(most, pairs // width, counts)
    return int(most.sum())
