"""Predicted category paths and decisions by thresholds, from metrics.json of each run."""

from collections.abc import Sequence
from typing import Any

from fusionclf.report.collect import Run


def hierarchy(runs: Sequence[Run], part: str) -> dict[str, Any]:
    """Accuracy at each level, and the distance of wrong classes from the label.

    Returns:
        columns: the levels' names, the coarsest first; edges: the distances that occur, as text, ascending;
        runs: for each run with paths run, levels (column → top1), errors, distance and histogram. All are empty
        without such a run.
    """
    rows = [
        {
            "run": run.name,
            "levels": {level["column"]: level["top1"] for level in found["levels"]},
            **{key: found[key] for key in ("errors", "distance", "histogram")},
        }
        for run in runs
        if part in run.frames and (found := run.metrics["hierarchy"].get(part))
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row["levels"]))
    edges = sorted({edge for row in rows for edge in row["histogram"]}, key=int)
    return {"columns": columns, "edges": edges, "runs": rows}


def decisions(runs: Sequence[Run], part: str) -> dict[str, Any]:
    """The decisions of each run by thresholds for a target precision.

    Returns:
        columns: the levels' names, the coarsest first; runs: for each run with held-out predictions and each target
        run, levels (column → answered, precision) and the other values of metrics.json.
    """
    rows = [
        {
            "run": run.name,
            "largest": None,
            **row,
            "levels": {level["column"]: level for level in row["levels"]},
        }
        for run in runs
        if part in run.frames
        for row in run.metrics["decisions"].get(part, [])
    ]
    return {"columns": list(dict.fromkeys(name for row in rows for name in row["levels"])), "runs": rows}
