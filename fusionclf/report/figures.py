"""Charts as inline SVG. They take their colours from the page, so they follow light and dark."""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 240, 46, 34, 12


class Axes:
    """Maps data to a chart's pixels, and draws the frame."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], log_x: bool = False) -> None:
        self.log_x = log_x
        self.x = tuple(math.log10(v) for v in x) if log_x else x
        self.y = y

    def px(self, x: float) -> float:
        x = math.log10(x) if self.log_x else x
        low, high = self.x
        return LEFT + (x - low) / max(high - low, 1e-9) * (WIDTH - LEFT - 12)

    def py(self, y: float) -> float:
        low, high = self.y
        return HEIGHT - BOTTOM - (y - low) / max(high - low, 1e-9) * (HEIGHT - BOTTOM - TOP)

    def frame(self, x_label: str, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
        lines = []
        for tick in y_ticks:
            y = self.py(tick)
            lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}"/>')
            lines.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(tick)}</text>')
        for tick in x_ticks:
            x = self.px(tick)
            lines.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_short(tick)}</text>')
        middle = (LEFT + WIDTH) / 2
        lines.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 3}" text-anchor="middle">{escape(x_label)}</text>')
        return "".join(lines)


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1e6:g}M"
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9) / count))
    step = next(step * m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= count)
    first = math.ceil(low / step)
    return [round(n * step, 10) for n in range(first, math.floor(high / step) + 1)]


def _svg(body: str, title: str) -> Markup:
    return Markup(  # every text that reaches `body` is escaped where it is put in
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def curves(stages: Sequence[dict[str, Any]], title: str) -> Markup:
    """Validation top-1 over epochs, one line a run."""
    values = [row["val_top1"] for stage in stages for row in stage["rows"]]
    longest = max(len(stage["rows"]) for stage in stages)
    low, high = math.floor(min(values)), math.ceil(max(values))
    axes = Axes((1, max(longest, 2)), (low, max(high, low + 1)))
    x_ticks = [tick for tick in _ticks(1, max(longest, 2)) if tick == int(tick)]
    body = axes.frame("epoch", x_ticks, _ticks(*axes.y))
    for number, stage in enumerate(stages):
        points = [(axes.px(row["epoch"]), axes.py(row["val_top1"])) for row in stage["rows"]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body += f'<g class="series s{number % 8}"><polyline points="{path}"/>'
        body += "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points) + "</g>"
    return _svg(body, title)


def against_cost(points: Sequence[tuple[str, float, float]], x_label: str, title: str) -> Markup:
    """Accuracy (y, percent) against a cost (x, log scale), one labelled dot a run."""
    xs, ys = [x for _, x, _ in points], [y for _, _, y in points]
    low_x, high_x = 10 ** math.floor(math.log10(min(xs))), 10 ** math.ceil(math.log10(max(xs) * 1.01))
    axes = Axes((low_x, high_x), (math.floor(min(ys)) - 1, math.ceil(max(ys)) + 1), log_x=True)
    decades = [10.0**n for n in range(round(math.log10(low_x)), round(math.log10(high_x)) + 1)]
    body = axes.frame(x_label, decades, _ticks(*axes.y))
    for number, (name, x, y) in enumerate(points):
        px, py = axes.px(x), axes.py(y)
        end = px > WIDTH * 0.7
        place = f'x="{px - 8 if end else px + 8:.1f}" y="{py + 4:.1f}" text-anchor="{"end" if end else "start"}"'
        body += f'<g class="series s{number % 8}"><circle cx="{px:.1f}" cy="{py:.1f}" r="4.5"/></g>'
        body += f'<text class="tick" {place}>{escape(name)}</text>'
    return _svg(body, title)


def diagonal(rows: Sequence[dict[str, Any]], title: str) -> Markup:
    """Accuracy against confidence, one line a run; a calibrated model lies on the diagonal."""
    axes = Axes((0, 100), (0, 100))
    body = axes.frame("confidence, %", _ticks(0, 100), _ticks(0, 100))
    body += f'<line class="grid" x1="{axes.px(0)}" y1="{axes.py(0)}" x2="{axes.px(100)}" y2="{axes.py(100)}"/>'
    for number, row in enumerate(rows):
        points = [(axes.px(100 * b["confidence"]), axes.py(100 * b["accuracy"])) for b in row["bins"] if b["n"] >= 5]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body += f'<g class="series s{number % 8}"><polyline points="{path}"/></g>'
    return _svg(body, title)


def interval_bar(value: float, interval: Sequence[float] | None) -> Markup:
    """A bar of 0 to 100 % with its interval."""
    low, high = interval or (value, value)
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rail" width="100" height="8"/><rect class="fill" width="{value:.2f}" height="8"/>'
        f'<rect class="range" x="{low:.2f}" width="{max(high - low, 0.4):.2f}" height="8"/></svg>'
    )
