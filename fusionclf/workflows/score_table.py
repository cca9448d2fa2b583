"""The scores of compared runs, on the console."""

from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.console import printable
from fusionclf.run_schema import ALL_CLASSES


def print_scores(report: dict[str, Any]) -> None:
    """Print a row for each run: top-1 of each part, top-1 over unseen classes, and training time.

    Args:
        report: report.json's content.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("top-1, %")
    for part in report["parts"]:
        table.add_column(_column(part), justify="right")
    table.add_column("unseen classes", justify="right")
    table.add_column("trained in", justify="right")
    for run in report["runs"]:
        scores = run["scores"]
        cells = [_percent(scores.get(part), "top1") for part in report["parts"]]
        seconds = run["cost"].get("train_seconds")
        time = "" if seconds is None else f"{seconds:.1f} s"
        table.add_row(
            escape(printable(run["name"])), *cells, _percent(scores.get(ALL_CLASSES), "unseen"), time
        )
    RichConsole(highlight=False).print(table)


def _column(part: str) -> str:
    return "all classes" if part == ALL_CLASSES else escape(printable(part))


def _percent(scores: dict[str, Any] | None, metric: str) -> str:
    value = (scores or {}).get(metric)
    return "" if value is None else f"{value:.1f}"
