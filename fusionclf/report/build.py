"""`fusionclf compare`: run folders → report.html, report.md and report.json."""

import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fusionclf.catalog.pictures import map_paths
from fusionclf.catalog.thumbnails import thumbnail
from fusionclf.evaluation.metrics import METRICS
from fusionclf.files import json_text, locked_folder, write_all
from fusionclf.report import charts, svg, text
from fusionclf.report.comparable import comparable_runs
from fusionclf.report.definitions import DEFINITIONS
from fusionclf.report.examples import picture_files
from fusionclf.report.multilabel import are_label_sets, compare_label_sets
from fusionclf.report.page import environment, script
from fusionclf.report.report_data import report_value
from fusionclf.run_schema import ALL_CLASSES

TITLES = {
    "top1": "top-1", "top5": "top-5", "seen": "seen", "unseen": "unseen", "harmonic": "harmonic",
    "macro_f1": "macro F1", "balanced_accuracy": "balanced", "ece": "ECE",
}  # fmt: skip
FOLDED_FROM = 8  # runs: of more, only so many columns are unfolded at first
SHOWN_SHARES = (25, 50, 75, 90, 100)  # percent of the products, in the tables of coverage
# The cost on the x axis of a chart: its key, its least value (the axis is logarithmic), its name.
COSTS = (
    ("train_seconds", 0.01, "training, seconds"),
    ("products_per_second", 0.01, "prediction, products/s"),
    ("parameters", 1, "parameters"),
)


def compare(runs: Sequence[Path], out: Path | None, data: Path | None = None) -> dict[str, Any]:
    """The comparison of finished runs of one split, written to files.

    Args:
        runs: run folders.
        out: folder for the three files; None: no files are written.
        data: the runs' catalog, for titles and pictures; default: its folder in their settings. Of runs before and
            after corrections, with the same test products: the catalog by whose labels all are scored; default: that
            of the run that finished last.

    Returns:
        report.json's content.

    Raises:
        RunError: the runs cannot be compared (some predict one label per product, others several), `data` is another
            catalog, another command writes to `out`, or it cannot be written.
        CatalogError: `data` is given and cannot be read.
    """
    with locked_folder(out) if out is not None else nullcontext():
        return _compare(runs, out, data)


def _compare(runs: Sequence[Path], out: Path | None, data: Path | None) -> dict[str, Any]:
    if are_label_sets(runs):
        return compare_label_sets(runs, out, data)
    found = comparable_runs(runs, data)
    catalog = found.catalog
    value = report_value(found.runs, catalog, found.note, found.remarks)
    if out is None:
        return value
    pictures: dict[str, str | None] = {}
    if catalog is not None:
        files = picture_files(value, catalog)
        pictures = dict(zip(files, map_paths(list(files.values()), thumbnail), strict=True))
    page = render("report.html.j2", value, pictures)
    markdown = re.sub(r"\n{3,}", "\n\n", render("report.md.j2", value))  # jinja leaves empty lines
    texts = {"report.html": page, "report.md": markdown, "report.json": json_text(value)}
    write_all(out, texts)
    return value


def render(template: str, value: dict[str, Any], pictures: dict[str, str | None] | None = None) -> str:
    """A template filled with the report's content."""
    templates = environment(template)
    return templates.get_template(template).render(
        **value, charts=charts, svg=svg, rows_range=text.rows_range, metric_names=METRICS,
        titles=TITLES, all_classes=ALL_CLASSES, overview=_overview(value), stages=_stages(value), costs=_costs(value),
        pictures=pictures or {}, shares=SHOWN_SHARES, folded=FOLDED_FROM, definitions=DEFINITIONS, **script(templates),
    )  # fmt: skip


def _overview(value: dict[str, Any]) -> list[dict[str, Any]]:
    """For each part its runs, best first, with the limits and the marks of their lines."""
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
        limits = charts.zoom(tops, [*edges, *marks.values()])
        found.append({"part": part, "runs": rows, "marks": marks, "limits": limits, "facts": facts})
    return found


def _stages(value: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Learning curves by the name of their stage."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for curve in value["curves"]:
        stages.setdefault(curve["stage"], []).append(curve)
    return stages


def _costs(value: dict[str, Any]) -> list[tuple[str, str, Markup]]:
    """(part, cost, chart) of accuracy against each cost, for the runs that report it."""
    found = []
    for part in value["parts"]:
        for key, least, label in COSTS:
            points = [
                charts.Point(run["name"], run["colour"], max(float(cost), least), run["scores"][part]["top1"])
                for run in value["runs"]
                if run["scores"][part] and (cost := run["cost"][key]) is not None
            ]
            if points:
                title = f"{part}: top-1 against {label}"
                found.append((part, label, charts.against_cost(points, f"{label} (log scale)", title)))
    return found
