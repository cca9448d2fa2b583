"""Accuracy of predicted category paths by level, and the distance of wrong classes from the label."""

from typing import Any

import numpy as np
import pandas as pd

from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.predictions import CATEGORY, CATEGORY_PROB, TRUE_CATEGORY, level_columns


def category_names(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(N, L) true and predicted categories, the coarsest first."""
    return tuple(  # pyright: ignore[reportReturnType]
        frame[level_columns(frame, prefix)].to_numpy(object) for prefix in (TRUE_CATEGORY, CATEGORY)
    )


def right_to_level(frame: pd.DataFrame) -> np.ndarray:
    """(N, L + 1) whether the predicted path is right down to each level, the class last.

    The class counts as right with any of its paths.
    """
    true, predicted = category_names(frame)
    categories = np.logical_and.accumulate(true == predicted, axis=1)
    right = (frame["label_1"] == frame["label"]).to_numpy(bool)
    return np.concatenate([categories.astype(bool), right[:, None]], axis=1)


def level_probs(frame: pd.DataFrame) -> np.ndarray:
    """(N, L + 1) probability of the predicted name at each level, the class last."""
    return frame[[*level_columns(frame, CATEGORY_PROB), "prob_1"]].to_numpy(np.float64)


def has_paths(frame: pd.DataFrame, graph: CategoryGraph) -> bool:
    """Whether a predictions file holds the predicted path at each of the graph's levels."""
    wanted = len(graph.levels) - 1
    found = {len(level_columns(frame, prefix)) for prefix in (TRUE_CATEGORY, CATEGORY, CATEGORY_PROB)}
    return found == {wanted} and "path_prob" in frame


def hierarchy(frame: pd.DataFrame, graph: CategoryGraph) -> dict[str, Any]:
    """Metrics of a part's predicted paths, as in metrics.json.

    Returns:
        n; levels: column and top1 (percent of the products whose predicted path is right down to that level; for
        the class, plain top-1); errors: number of wrong classes; distance: mean number of edges of the graph
        between label and wrong class, None without errors; histogram: number of edges → errors.
    """
    right = right_to_level(frame)
    wrong = frame.loc[~right[:, -1]]
    distances = graph.distances(wrong["label"].tolist(), wrong["label_1"].tolist())
    numbers, counts = np.unique(distances, return_counts=True)
    return {
        "n": len(frame),
        "levels": [
            {"column": name, "top1": 100 * float(right[:, level].mean()) if len(frame) else None}
            for level, name in enumerate(graph.levels)
        ],
        "errors": len(wrong),
        "distance": float(distances.mean()) if len(distances) else None,
        "histogram": {str(n): int(count) for n, count in zip(numbers, counts, strict=True)},
    }
