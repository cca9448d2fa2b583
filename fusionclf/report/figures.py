"""Charts as inline SVG. They take their colours from the page, so they follow light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 420, 240, 44, 12, 36, 10
COLOURS = 8
LETTER = 6.3  # mean width of a letter at the charts' font size
CLEARANCE = 14  # between two labels' base lines
SHOWN_LETTERS = 20


class Axes:
    """Maps data to a chart's pixels, and draws the frame."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], log_x: bool = False) -> None:
        self.log_x = log_x
        self.x = (math.log10(x[0]), math.log10(x[1])) if log_x else x
        self.y = y

    def px(self, x: float) -> float:
        """Pixels from the left edge."""
        low, high = self.x
        return LEFT + ((math.log10(x) if self.log_x else x) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def py(self, y: float) -> float:
        """Pixels from the top edge."""
        low, high = self.y
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - BOTTOM - TOP)

    def frame(self, x_label: str, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
        """Grid lines, numbers and the name of the x axis."""
        lines = []
        for tick in y_ticks:
            y = self.py(tick)
            lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(tick)}</text>')
        for tick in x_ticks:
            place = f'x="{self.px(tick):.1f}" y="{HEIGHT - BOTTOM + 16}"'
            lines.append(f'<text {place} text-anchor="middle">{_short(tick)}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        lines.append(f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_label)}</text>')
        return "".join(lines)


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1e6:g}M"
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most `count` + 1 of them."""
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9) / count))
    step = next(step * m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= count)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _svg(body: str, title: str) -> Markup:
    # Every text that reaches `body` is escaped where it is put in.
    name = escape(title)
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}"><title>{name}</title>'
    return Markup(f"{head}{body}</svg>")


@dataclass(frozen=True)
class Line:
    """One run's line in a chart: (x, y) points, and the number of the run's colour."""

    colour: int
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def _polylines(axes: Axes, lines: Sequence[Line], dots: bool = True) -> str:
    body = ""
    for line in lines:
        places = [(axes.px(x), axes.py(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        style = f"s{line.colour % COLOURS}" + (" dashed" if line.dashed else "")
        body += f'<g class="{style}"><polyline points="{path}"/>'
        body += "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in places) if dots else ""
        body += "</g>"
    return body


def curves(lines: Sequence[Line], title: str) -> Markup:
    """A figure of each epoch (y) over epochs (x), one line a run."""
    lines = [line for line in lines if line.points]
    if not lines:
        return Markup("")
    values = [y for line in lines for _, y in line.points]
    longest = max(2.0, *(x for line in lines for x, _ in line.points))
    low, high = min(values), max(values)
    room = max(high - low, 1e-3) * 0.06
    axes = Axes((1, longest), (low - room, high + room))
    x_ticks = [tick for tick in _ticks(1, longest) if tick == int(tick)]
    return _svg(axes.frame("epoch", x_ticks, _ticks(*axes.y)) + _polylines(axes, lines), title)


def reliability(lines: Sequence[Line], title: str) -> Markup:
    """Accuracy against confidence, one line a run; a calibrated model lies on the diagonal."""
    axes = Axes((0, 100), (0, 100))
    body = axes.frame("confidence of the first answer, %", _ticks(0, 100), _ticks(0, 100))
    corners = f'x1="{axes.px(0)}" y1="{axes.py(0)}" x2="{axes.px(100)}" y2="{axes.py(100)}"'
    return _svg(f'{body}<line class="mark" {corners}/>' + _polylines(axes, lines), title)


@dataclass(frozen=True)
class Point:
    """One run in the cost chart: what it cost, and its accuracy in percent."""

    name: str
    colour: int
    cost: float
    accuracy: float


def against_cost(points: Sequence[Point], x_label: str, title: str) -> Markup:
    """Accuracy (y) against cost (x, log scale); runs far below the best lie as rings on the lower edge."""
    low_x = 10 ** math.floor(math.log10(min(point.cost for point in points)))
    high_x = 10 ** math.ceil(math.log10(max(point.cost for point in points) * 1.01))
    low, high = zoom([point.accuracy for point in points])
    axes = Axes((low_x, high_x), (low, high), log_x=True)
    decades = [10.0**n for n in range(round(math.log10(low_x)), round(math.log10(high_x)) + 1)]
    body = axes.frame(x_label, decades, _ticks(low, high))
    taken = [(axes.px(p.cost) - 5, axes.py(max(p.accuracy, low)) + 5, 10.0) for p in points]
    for point in sorted(points, key=lambda point: -point.accuracy):
        x, y, below = axes.px(point.cost), axes.py(max(point.accuracy, low)), point.accuracy < low
        ring = ' class="ring"' if below else ""
        tip = f"<title>{escape(point.name)}: {point.accuracy:.2f} %</title>"
        dot = f'<circle{ring} cx="{x:.1f}" cy="{y:.1f}" r="4.5">{tip}</circle>'
        body += f'<g class="s{point.colour % COLOURS}">{dot}</g>'
        text = point.name if len(point.name) <= SHOWN_LETTERS else f"{point.name[: SHOWN_LETTERS - 1]}…"
        body += _label(f"{text} {point.accuracy:.1f}" if below else text, x, y, taken)
    return _svg(body, title)


def _label(text: str, x: float, y: float, taken: list[tuple[float, float, float]]) -> str:
    """The text beside a dot, where it covers no other; nothing where there is no room (the key names it)."""
    width = LETTER * len(text)
    offers = [(x + 8, y + 4), (x - 8 - width, y + 4), (x - width / 2, y - 9), (x - width / 2, y + 17)]
    offers += [(left, base + up) for up in (-13, 13, -26, 26) for left, base in offers[:2]]
    for left, base in offers:
        inside = left >= LEFT and left + width <= WIDTH and TOP < base < HEIGHT - BOTTOM + 5
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
    """A range of percentages that shows the good runs apart: those of half the best value and more."""
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
    """One row of the overview: interval and value on a line from limits[0] to limits[1], with marks."""

    def place(number: float) -> float:
        share = 100 * (number - limits[0]) / (limits[1] - limits[0])
        return min(max(share, 0.0), 100.0)

    low, high = interval or (value, value)
    body = '<line class="rail" x1="0" x2="100" y1="8" y2="8"/>'
    for mark in marks:
        if limits[0] <= mark <= limits[1]:
            body += f'<line class="mark" x1="{place(mark):.2f}" x2="{place(mark):.2f}" y1="0" y2="16"/>'
    if value >= limits[0]:
        width = max(place(high) - place(low), 0.3)
        body += f'<rect class="range" x="{place(low):.2f}" y="5" width="{width:.2f}" height="6"/>'
        body += f'<line class="value" x1="{place(value):.2f}" x2="{place(value):.2f}" y1="2" y2="14"/>'
    else:
        body += '<polyline class="value" points="2,3 0.4,8 2,13"/>'
    style = f"row s{colour % COLOURS}"
    box = 'viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true"'
    return Markup(f'<svg class="{style}" {box}>{body}</svg>')


def lines_of(curves: Sequence[dict[str, Any]], figure: str, dashed: bool = False) -> list[Line]:
    """One line a curve: `figure` by epoch; epochs without that figure are left out."""
    return [
        Line(
            curve["colour"],
            [(row["epoch"], row[figure]) for row in curve["rows"] if None not in (row["epoch"], row[figure])],
            dashed,
        )
        for curve in curves
    ]
