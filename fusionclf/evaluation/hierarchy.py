"""How far the answered category paths are right, and how far wrong answers are from the label."""

from typing import Any

import numpy as np
import pandas as pd

from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.predictions import CATEGORY, CATEGORY_PROB, TRUE_CATEGORY, level_columns


def category_names(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(N, L) true and answered categories, the coarsest first."""
    return tuple(  # pyright: ignore[reportReturnType]
        frame[level_columns(frame, prefix)].to_numpy(object) for prefix in (TRUE_CATEGORY, CATEGORY)
    )


def right_to_level(frame: pd.DataFrame) -> np.ndarray:
    """(N, L + 1) whether the answered path is right down to each level, the class last.

    The class is right whatever its path: a class is right, and its path may be another one that occurs.
    """
    true, answered = category_names(frame)
    categories = np.logical_and.accumulate(true == answered, axis=1)
    right = (frame["label_1"] == frame["label"]).to_numpy(bool)
    return np.concatenate([categories.astype(bool), right[:, None]], axis=1)


def level_probs(frame: pd.DataFrame) -> np.ndarray:
    """(N, L + 1) probability of the answer at each level, the class last."""
    return frame[[*level_columns(frame, CATEGORY_PROB), "prob_1"]].to_numpy(np.float64)


def has_paths(frame: pd.DataFrame, graph: CategoryGraph) -> bool:
    """Whether a predictions file holds the answered path at each of the graph's levels."""
    wanted = len(graph.levels) - 1
    found = {len(level_columns(frame, prefix)) for prefix in (TRUE_CATEGORY, CATEGORY, CATEGORY_PROB)}
    return found == {wanted} and "path_prob" in frame


def hierarchy(frame: pd.DataFrame, graph: CategoryGraph) -> dict[str, Any]:
    """What metrics.json says of a part's answered paths.

    Returns:
        n; levels: column and top1 (percent of the products whose answered path is right down to that level; of
        the class as everywhere); errors: how many answers are wrong; distance: mean number of edges of the graph
        between label and wrong answer, None where there is none; histogram: that number → errors.
    """
    right = right_to_level(frame)
    wrong = frame.loc[~right[:, -1]]
    ways = graph.distances(wrong["label"].tolist(), wrong["label_1"].tolist())
    numbers, counts = np.unique(ways, return_counts=True)
    return {
        "n": len(frame),
        "levels": [
            {"column": name, "top1": 100 * float(right[:, level].mean()) if len(frame) else None}
            for level, name in enumerate(graph.levels)
        ],
        "errors": len(wrong),
        "distance": float(ways.mean()) if len(ways) else None,
        "histogram": {str(n): int(count) for n, count in zip(numbers, counts, strict=True)},
    }
