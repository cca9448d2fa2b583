"""The report's tables of further columns and of the parts of fusions."""

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


def fusion_parts(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    """A row for each fusion and each of its parts: top-1 over held-out products, by slice."""
    found = {run.name: run.metrics.get("fusion_parts", {}).get(part) for run in runs}
    return [
        {"run": run, "part": name, "answers": name == own["answers_by"], "n": own["n"], "top1": top1}
        for run, own in found.items()
        if own
        for name, top1 in own["parts"].items()
    ]
