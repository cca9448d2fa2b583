"""The charts of the report: learning curves, calibration, coverage, rare classes, cost, and the overview."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from fusionclf.report.svg import (
    COLOURS,
    LARGE,
    MEDIUM,
    Axes,
    Line,
    Panel,
    Size,
    mark,
    panels,
    short,
    svg,
    ticks,
)
from fusionclf.report.text import percent, rows_range

LETTER = 6.3  # mean width of a letter at the charts' font size
CLEARANCE = 14  # pixels between the base lines of two labels
SHOWN_LETTERS = 20
HOLLOW_LIFT = 8  # pixels between the axis and the mark of a run far below the others
FEWEST_IN_BIN = 10  # products behind a point of the reliability chart


def curves(rows: Sequence[dict[str, Any]], metrics: Sequence[tuple[str, bool]], title: str) -> list[Panel]:
    """Metrics (y) by epoch (x).

    Args:
        rows: curves of runs, each with run, colour and rows.
        metrics: names of metrics, each with whether its line is dashed.
        title: title of the chart.
    """
    lines = [_curve(row, name, dashed) for name, dashed in metrics for row in rows]
    values = [y for line in lines for _, y in line.points]
    longest = max([2.0, *(x for line in lines for x, _ in line.points)])
    low, high = min(values, default=0), max(values, default=0)
    room = max(high - low, 1e-3) * 0.06

    def frame(axes: Axes) -> str:
        whole = [tick for tick in ticks(1, longest) if tick == int(tick)]
        return axes.frame("epoch", whole, ticks(*axes.y))

    return panels(lines, title, lambda size: Axes((1, longest), (low - room, high + room), size=size), frame)


def _curve(row: dict[str, Any], metric: str, dashed: bool) -> Line:
    """`metric` by epoch; epochs without it are skipped."""
    known = [r for r in row["rows"] if None not in (r["epoch"], r[metric])]
    words = metric.replace("val_", "validation ").replace("train_", "training ").replace("top1", "top-1")
    tips = [f"{row['run']}, epoch {r['epoch']:g}: {words} {r[metric]:.4g}" for r in known]
    return Line(row["run"], row["colour"], [(r["epoch"], r[metric]) for r in known], tips, dashed)


def reliability(rows: Sequence[dict[str, Any]], title: str) -> list[Panel]:
    """Accuracy against confidence; a calibrated model lies on the diagonal."""
    lines = []
    for row in rows:
        bins = [b for b in row["bins"] if b["n"] >= FEWEST_IN_BIN]
        tips = [
            f"{row['run']} at {b['confidence']:.1f} % confidence: {b['accuracy']:.1f} % of {b['n']:,} right"
            for b in bins
        ]
        lines.append(Line(row["run"], row["colour"], [(b["confidence"], b["accuracy"]) for b in bins], tips))

    def frame(axes: Axes) -> str:
        corners = f'x1="{axes.px(0)}" y1="{axes.py(0)}" x2="{axes.px(100)}" y2="{axes.py(100)}"'
        label = "confidence of the predicted class, %" if axes.size is LARGE else "confidence, %"
        return axes.frame(label, ticks(0, 100), ticks(0, 100)) + f'<line class="mark" {corners}/>'

    return panels(lines, title, lambda size: Axes((0, 100), (0, 100), size=size), frame)


def coverage(rows: Sequence[dict[str, Any]], title: str) -> list[Panel]:
    """Accuracy among the products of highest confidence (y) against their share (x)."""
    lines = []
    for row in rows:
        points = list(zip(row["shares"], row["accuracy"], strict=True))
        tips = [f"{row['run']}: of its most confident {x:g} %, {y:.2f} % right" for x, y in points]
        lines.append(Line(row["run"], row["colour"], points, tips))
    low, _ = zoom([y for line in lines for _, y in line.points] or [0.0])

    def frame(axes: Axes) -> str:
        label = "share of products, most confident first, %" if axes.size is LARGE else "share, %"
        return axes.frame(label, ticks(0, 100), ticks(low, 100))

    for number, line in enumerate(lines):  # a run far below the others starts at the lower edge
        inside = [(point, tip) for point, tip in zip(line.points, line.tips, strict=True) if point[1] >= low]
        points, tips = [point for point, _ in inside], [tip for _, tip in inside]
        lines[number] = Line(line.name, line.colour, points, tips)
    return panels(lines, title, lambda size: Axes((0, 100), (low, 100), size=size), frame)


def by_training_rows(rows: Sequence[dict[str, Any]], title: str) -> list[Panel]:
    """Top-1 (y) by number of training rows of the class (x, in bins)."""
    bins = bins_of(rows)
    names = [rows_range(*b) for b in bins]
    lines = []
    for row in rows:
        points = [(float(bins.index((b["first"], b["last"]))), b["top1"]) for b in row["bins"]]
        tips = [
            f"{row['run']}: {b['top1']:.2f} % of {b['n']:,} products of {b['classes']} classes with "
            f"{rows_range(b['first'], b['last'])} training rows"
            for b in row["bins"]
        ]
        lines.append(Line(row["run"], row["colour"], points, tips))
    edge = max(len(bins) - 1, 1) + 0.3

    def frame(axes: Axes) -> str:
        shown = names if axes.size is LARGE else [short(first) for first, _ in bins]
        return axes.frame("training rows of the class", range(len(bins)), ticks(0, 100), shown)

    return panels(lines, title, lambda size: Axes((-0.3, edge), (0, 100), size=size), frame)


def bins_of(rows: Sequence[dict[str, Any]]) -> list[tuple[int, int | None]]:
    """The bins of training rows, first and last, with products of any run."""
    return sorted({(b["first"], b["last"]) for row in rows for b in row["bins"]}, key=lambda b: b[0])


@dataclass(frozen=True)
class Point:
    """One run in a cost chart: its cost, and its accuracy in percent."""

    name: str
    colour: int
    cost: float
    accuracy: float


def against_cost(points: Sequence[Point], x_label: str, title: str) -> Markup:
    """Accuracy (y) against cost (x, log scale); runs far below the best have hollow marks on the lower edge."""
    low_x = 10 ** math.floor(math.log10(min(point.cost for point in points)))
    high_x = 10 ** math.ceil(math.log10(max(point.cost for point in points) * 1.01))
    low, high = zoom([point.accuracy for point in points])
    floor = low - 0.15 * (high - low) if min(point.accuracy for point in points) < low else low
    axes = Axes((low_x, high_x), (floor, high), log_x=True, size=MEDIUM)
    decades = [10.0**n for n in range(round(math.log10(low_x)), round(math.log10(high_x)) + 1)]
    body = axes.frame(x_label, decades, ticks(low, high))
    taken = [(axes.px(p.cost) - 5, _height(axes, p.accuracy, low) + 5, 10.0) for p in points]
    for point in sorted(points, key=lambda point: -point.accuracy):
        x, y, below = axes.px(point.cost), _height(axes, point.accuracy, low), point.accuracy < low
        tip = f"{point.name}: {percent(point.accuracy)} %, {short(float(f'{point.cost:.3g}'))} {x_label}"
        dot = mark(point.colour, x, y, 4.5, tip, "dot hollow" if below else "dot")
        body += f'<g class="s{point.colour % COLOURS}">{dot}</g>'
        text = point.name if len(point.name) <= SHOWN_LETTERS else f"{point.name[: SHOWN_LETTERS - 1]}…"
        body += _label(f"{text} {point.accuracy:.1f}" if below else text, x, y, taken, MEDIUM)
    values = "; ".join(f"{p.name}: {percent(p.accuracy)} at {p.cost:,.4g}" for p in points)
    return svg(body, f"{title}. {values}", MEDIUM)


def _height(axes: Axes, accuracy: float, low: float) -> float:
    """The y coordinate of a run's mark; all marks below `low` are just above the axis."""
    return axes.py(accuracy) if accuracy >= low else axes.py(axes.y[0]) - HOLLOW_LIFT


def _label(text: str, x: float, y: float, taken: list[tuple[float, float, float]], size: Size) -> str:
    """The label of a dot where there is room for it, else "" (the tip names the run)."""
    width = LETTER * len(text)
    offers = [(x + 8, y + 4), (x - 8 - width, y + 4), (x - width / 2, y - 9), (x - width / 2, y + 17)]
    offers += [(left, base + up) for up in (-13, 13, -26, 26) for left, base in offers[:2]]
    for left, base in offers:
        inside = left >= size.left and left + width <= size.width
        inside = inside and size.top < base < size.height - size.bottom + 5
        free = all(
            left > other + wide or other > left + width or abs(base - line) >= CLEARANCE
            for other, line, wide in taken
            if (other, line) != (x - 5, y + 5)
        )
        if inside and free:
            taken.append((left, base, width))
            return f'<text x="{left:.1f}" y="{base:.1f}">{escape(text)}</text>'
    return ""


def zoom(values: Sequence[float], marks: Sequence[float] = ()) -> tuple[float, float]:
    """A range of percentages that separates the good runs: those with at least half of the best value."""
    best = max(values)
    shown = [value for value in values if value >= best / 2] + [mark for mark in marks if mark >= best / 2]
    room = max((max(shown) - min(shown)) * 0.08, 0.5)
    return max(0.0, min(shown) - room), min(100.0, max(shown) + room) if best > 0 else 1.0


def interval_row(
    value: float,
    interval: Sequence[float] | None,
    limits: tuple[float, float],
    marks: Sequence[float],
    colour: int,
) -> Markup:
    """A row of the overview: interval and value on a line from limits[0] to limits[1], with marks."""

    def place(number: float) -> float:
        share = 100 * (number - limits[0]) / (limits[1] - limits[0])
        return min(max(share, 0.0), 100.0)

    low, high = interval or (value, value)
    body = '<line class="rail" x1="0" x2="100" y1="8" y2="8"/>'
    for number in marks:
        if limits[0] <= number <= limits[1]:
            body += f'<line class="mark" x1="{place(number):.2f}" x2="{place(number):.2f}" y1="0" y2="16"/>'
    if value >= limits[0]:
        width = max(place(high) - place(low), 0.3)
        body += f'<rect class="range" x="{place(low):.2f}" y="5" width="{width:.2f}" height="6"/>'
        body += f'<line class="value" x1="{place(value):.2f}" x2="{place(value):.2f}" y1="2" y2="14"/>'
    else:
        body += '<polyline class="value" points="2,3 0.4,8 2,13"/>'
    tip = f"{percent(value)} %" + (f", 95 % interval {percent(low)} to {percent(high)}" if interval else "")
    style = f"row s{colour % COLOURS}"
    box = 'viewBox="0 0 100 16" preserveAspectRatio="none" role="img"'
    return Markup(f'<svg class="{style}" {box} aria-label="{tip}"><title>{tip}</title>{body}</svg>')
