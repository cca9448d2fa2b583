"""The report's table of further columns: what the auxiliary heads of the runs are worth."""

from collections.abc import Sequence
from typing import Any

from fusionclf.report.collect import Run


def further_columns(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    """A row for each column and run that predicts it: its metrics, columns in the order in which runs name them."""
    scores = {run.name: run.metrics.get("answers", {}).get(part, {}) for run in runs if part in run.frames}
    names = dict.fromkeys(column for own in scores.values() for column in own)
    return [
        {"column": column, "run": run, **own[column]}
        for column in names
        for run, own in scores.items()
        if column in own
    ]
