"""The scores of compared runs, on the console."""

from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.console import printable
from fusionclf.run_schema import ALL_CLASSES

LABEL_SETS = {"micro_f1": "micro F1", "macro_f1": "macro F1", "mean_average_precision": "mAP"}


def print_scores(report: dict[str, Any]) -> None:
    """Print a row for each run: its scores and its training time.

    The scores are top-1 of each part and over unseen classes, or for several labels per product F1 and mAP.

    Args:
        report: report.json's content.
    """
    several = report.get("task") == "multilabel"
    titles = [*LABEL_SETS.values()] if several else [*map(_column, report["parts"]), "unseen classes"]
    table = Table(box=None, pad_edge=False)
    table.add_column("%" if several else "top-1, %")
    for title in (*titles, "trained in"):
        table.add_column(title, justify="right")
    for run in report["runs"]:
        scores, seconds = run["scores"], run["cost"].get("train_seconds")
        if several:
            cells = [_percent(scores, metric) for metric in LABEL_SETS]
        else:
            cells = [_percent(scores.get(part), "top1") for part in report["parts"]]
            cells.append(_percent(scores.get(ALL_CLASSES), "unseen"))
        time = "" if seconds is None else f"{seconds:.1f} s"
        table.add_row(escape(printable(run["name"])), *cells, time)
    RichConsole(highlight=False).print(table)


def _column(part: str) -> str:
    return "all classes" if part == ALL_CLASSES else escape(printable(part))


def _percent(scores: dict[str, Any] | None, metric: str) -> str:
    value = (scores or {}).get(metric)
    return "" if value is None else f"{value:.1f}"
