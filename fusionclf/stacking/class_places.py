"""Where classes are in the category graph."""

from collections.abc import Sequence

import numpy as np

from fusionclf.evaluation import CategoryGraph


def class_paths(graph: CategoryGraph, names: Sequence[str]) -> list[str]:
    """A text of each class's name and most frequent place in the category graph, nearest category first."""
    return [", ".join(filter(None, reversed(graph.best_path(name)))) for name in names]


def class_families(graph: CategoryGraph, names: Sequence[str]) -> np.ndarray:
    """The lowest category of each class; a number of its own where the catalog has no categories."""
    if len(graph.levels) == 1:
        return np.arange(len(names)).astype(str)
    return np.array([graph.best_path(name)[-2] for name in names], object).astype(str)
