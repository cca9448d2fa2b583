"""`fusionclf compare`: run folders → report.html, report.md and report.json."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fusionclf.evaluation.metrics import JOINT, METRICS
from fusionclf.report import figures
from fusionclf.report.collect import read_runs
from fusionclf.report.value import report_value
from fusionclf.runfolder import write_json, write_text

TITLES = {
    "top1": "top-1", "top5": "top-5", "seen": "seen", "unseen": "unseen", "harmonic": "harmonic",
    "macro_f1": "macro F1", "balanced_accuracy": "balanced", "ece": "ECE",
}  # fmt: skip
NONE = "\N{EN DASH}"  # in place of a figure that does not exist
FEWEST_IN_BIN = 10  # products that a point of the reliability chart stands for


def compare(runs: Sequence[Path], out: Path) -> dict[str, Any]:
    """Compare finished runs of one split.

    Args:
        runs: run folders.
        out: folder for the three files.

    Returns:
        report.json's content.

    Raises:
        RunError: the runs cannot be compared, or `out` cannot be written.
    """
    value = report_value(read_runs(runs))
    page = render("report.html.j2", value)
    text = re.sub(r"\n{3,}", "\n\n", render("report.md.j2", value))  # jinja leaves empty lines behind
    write_text(out / "report.html", page)
    write_text(out / "report.md", text)
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
    environment.filters |= {
        "pct": percent, "signed": signed, "count": count, "duration": duration, "p": p_value,
        "md": markdown, "code": code,
    }  # fmt: skip
    return environment.get_template(template).render(
        **value, figures=figures, metric_names=METRICS, titles=TITLES, joint=JOINT,
        overview=_overview(value), charts=_charts(value),
    )  # fmt: skip


def percent(value: float | None, digits: int = 2) -> str:
    """A percentage for tables; a dash where there is none."""
    return NONE if value is None else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference in points."""
    return NONE if value is None else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def p_value(value: float) -> str:
    """A probability as papers print it."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them."""
    if seconds is None:
        return NONE
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def count(value: float | None) -> str:
    """A number with thousands separators."""
    return NONE if value is None else f"{value:,.0f}"


def markdown(value: Any) -> str:
    """Foreign text in Markdown: markup characters are escaped, line breaks and the like become spaces."""
    text = re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(value)).strip()
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text)


def code(value: Any) -> str:
    """Foreign text in a fenced Markdown block: one line, without the fence's own character."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(value)).strip().replace("`", "'")


def _overview(value: dict[str, Any]) -> list[dict[str, Any]]:
    """For each part its runs, best first, with the range of the line they are drawn on, and its marks."""
    found = []
    for part in value["parts"]:
        rows = [run for run in value["runs"] if run["scores"][part]]
        rows.sort(key=lambda run: -run["scores"][part]["top1"])
        edges = [edge for run in rows for edge in run["intervals"][part].get("top1") or []]
        facts = next(row for row in value["split"]["parts"] if row["part"] == part)
        marks = {"ceiling": facts["ceiling"]}
        known = [row[part]["top1"] for row in value["published"] if part in row]
        if known:
            marks["reference"] = max(known)
        tops = [run["scores"][part]["top1"] for run in rows]
        limits = figures.zoom(tops, [*edges, *marks.values()])
        found.append({"part": part, "runs": rows, "marks": marks, "limits": limits, "facts": facts})
    return found


def _charts(value: dict[str, Any]) -> dict[str, Any]:
    """Points and lines of the charts, by part or stage."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for curve in value["curves"]:
        stages.setdefault(curve["stage"], []).append(curve)
    cost: dict[str, list[figures.Point]] = {}
    for part in value["parts"]:
        for run in value["runs"]:
            scores, seconds = run["scores"][part], run["cost"]["train_seconds"]
            if scores and seconds is not None:
                point = figures.Point(run["name"], run["colour"], max(float(seconds), 0.01), scores["top1"])
                cost.setdefault(part, []).append(point)
    calibration = {
        part: [
            figures.Line(
                row["colour"],
                [(b["confidence"], b["accuracy"]) for b in row["bins"] if b["n"] >= FEWEST_IN_BIN],
            )
            for row in rows
        ]
        for part, rows in value["calibration"].items()
    }
    return {"stages": stages, "cost": cost, "calibration": calibration}
