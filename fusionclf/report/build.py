"""`fusionclf compare`: run folders → report.html, report.md and report.json."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fusionclf.report import figures
from fusionclf.report.collect import read_runs
from fusionclf.report.value import METRICS, report_value
from fusionclf.runfolder import write_json, write_text

TITLES = {
    "top1": "top-1", "top5": "top-5", "seen": "seen", "unseen": "unseen", "harmonic": "harmonic",
    "macro_f1": "macro F1", "balanced_accuracy": "balanced", "ece": "ECE",
}  # fmt: skip


def compare(folders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Compare finished runs of one split.

    Args:
        folders: run folders.
        out: folder for the three files.

    Returns:
        report.json's content.

    Raises:
        RunError: the runs cannot be compared, or `out` cannot be written.
    """
    value = report_value(read_runs(folders))
    write_text(out / "report.html", render("report.html.j2", value))
    write_text(out / "report.md", render("report.md.j2", value))
    write_json(out / "report.json", value)
    return value


def render(template: str, value: dict[str, Any]) -> str:
    """Fill one of the templates; HTML is escaped by jinja2, Markdown by the filter `md`."""
    environment = Environment(
        loader=PackageLoader("fusionclf.report"),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"pct": percent, "md": markdown, "duration": duration, "count": count}
    return environment.get_template(template).render(
        **value, figures=figures, metric_names=METRICS, titles=TITLES, curve_stages=_by_stage(value["curves"]),
        cost_points=_cost_points(value),
    )  # fmt: skip


def percent(value: float | None, digits: int = 2) -> str:
    """A percentage for tables; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def count(value: float | None) -> str:
    """A number with thousands separators."""
    return "–" if value is None else f"{value:,.0f}"


def markdown(value: Any) -> str:
    """Catalog text for a Markdown table: markup characters are escaped, line breaks become spaces."""
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")


def _by_stage(curves: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    stages: dict[str, list[dict[str, Any]]] = {}
    for curve in curves:
        stages.setdefault(curve["stage"], []).append(curve)
    return stages


def _cost_points(value: dict[str, Any]) -> dict[str, list[tuple[str, float, float]]]:
    """Part → (run, training seconds, top-1), for runs that say what they cost."""
    points: dict[str, list[tuple[str, float, float]]] = {}
    for part in value["parts"]:
        for run in value["runs"]:
            scores, seconds = run["scores"].get(part), run["cost"]["train_seconds"]
            if scores and seconds:
                points.setdefault(part, []).append((run["name"], max(seconds, 0.01), scores["top1"]))
    return points
