"""The elements of charts: axes, lines, marks. Inline SVG that takes its colours from the page."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

COLOURS = 8
FEW = 6  # lines in one chart; with more, each run gets a small chart of its own
# A mark for each colour, so that lines do not only differ by colour: (dx, dy) in radii, None for a circle.
SHAPES: tuple[Sequence[tuple[float, float]] | None, ...] = (
    None,
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.15), (1.1, 0.9), (-1.1, 0.9)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    ((0, 1.15), (1.1, -0.9), (-1.1, -0.9)),
    ((-1.3, -0.5), (1.3, -0.5), (1.3, 0.5), (-1.3, 0.5)),
    ((-0.5, -1.3), (0.5, -1.3), (0.5, 1.3), (-0.5, 1.3)),
    ((-1.15, 0), (0.9, -1.1), (0.9, 1.1)),
)


@dataclass(frozen=True)
class Size:
    """A chart's extent and the room around its data, in pixels; the style sheet knows it by its name."""

    name: str
    width: int
    height: int
    left: int = 40
    right: int = 14
    top: int = 10
    bottom: int = 36


LARGE = Size("large", 520, 260)
MEDIUM = Size("medium", 370, 230, right=22)
SMALL = Size("small", 240, 150, left=34, right=10, top=8, bottom=32)


class Axes:
    """Maps data to a chart's pixels, and draws the frame."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], *, log_x: bool = False, size: Size = LARGE
    ) -> None:
        self.log_x, self.size = log_x, size
        self.x = (math.log10(x[0]), math.log10(x[1])) if log_x else x
        self.y = y

    def px(self, x: float) -> float:
        """Pixels from the left edge."""
        low, high = self.x
        room = self.size.width - self.size.left - self.size.right
        return self.size.left + ((math.log10(x) if self.log_x else x) - low) / (high - low) * room

    def py(self, y: float) -> float:
        """Pixels from the top edge."""
        low, high = self.y
        room = self.size.height - self.size.bottom - self.size.top
        return self.size.height - self.size.bottom - (y - low) / (high - low) * room

    def frame(
        self,
        x_label: str,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        x_names: Sequence[str] | None = None,
    ) -> str:
        """Grid lines, numbers (or `x_names`) and the name of the x axis."""
        size = self.size
        lines = []
        for tick in y_ticks:
            y = self.py(tick)
            ends = f'x1="{size.left}" x2="{size.width - size.right}" y1="{y:.1f}" y2="{y:.1f}"'
            lines.append(f'<line class="grid" {ends}/>')
            lines.append(f'<text x="{size.left - 6}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
        for tick, name in zip(x_ticks, x_names or [short(tick) for tick in x_ticks], strict=True):
            place = f'x="{self.px(tick):.1f}" y="{size.height - size.bottom + 15}"'
            lines.append(f'<text {place} text-anchor="middle">{escape(name)}</text>')
        middle = (size.left + size.width - size.right) / 2
        place = f'x="{middle}" y="{size.height - 3}" text-anchor="middle"'
        lines.append(f"<text {place}>{escape(x_label)}</text>")
        return "".join(lines)


def short(value: float) -> str:
    """A number on an axis."""
    if value >= 1_000_000:
        return f"{value / 1e6:g}M"
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most `count` + 1 of them."""
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9) / count))
    step = next(step * m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= count)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def svg(body: str, name: str, size: Size = LARGE) -> Markup:
    """The element around `body`, every text of which must be escaped already; `name` is its text for screen readers."""
    label = escape(name)
    box = f'class="{size.name}" viewBox="0 0 {size.width} {size.height}"'
    return Markup(f'<svg {box} role="img" aria-label="{label}">{body}</svg>')


def mark(colour: int, x: float, y: float, radius: float, tip: str = "", style: str = "dot") -> str:
    """A run's mark, with a shape by the number of its colour; `tip` is shown under the pointer."""
    inner = f"<title>{escape(tip)}</title>" if tip else ""
    shape = SHAPES[(colour + colour // COLOURS) % COLOURS]  # repeated colours have another shape
    if shape is None:
        return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">{inner}</circle>'
    corners = " ".join(f"{x + radius * dx:.1f},{y + radius * dy:.1f}" for dx, dy in shape)
    return f'<polygon class="{style}" points="{corners}">{inner}</polygon>'


def key_mark(colour: int) -> Markup:
    """The mark of a run, for a key."""
    return Markup(f'<svg class="mark" viewBox="0 0 12 12" aria-hidden="true">{mark(colour, 6, 6, 4.2)}</svg>')


@dataclass(frozen=True)
class Line:
    """One run's line in a chart.

    Attributes:
        name: of the run.
        colour: number of the run's colour.
        points: (x, y).
        tips: text under the pointer at each point; empty: its coordinates.
        dashed: whether this is a second metric of the same run.
    """

    name: str
    colour: int
    points: Sequence[tuple[float, float]]
    tips: Sequence[str] = ()
    dashed: bool = False


def drawn(axes: Axes, line: Line) -> str:
    """A line with its marks."""
    places = [(axes.px(x), axes.py(y)) for x, y in line.points]
    style = f"s{line.colour % COLOURS}" + (" dashed" if line.dashed else "")
    tips = line.tips or [f"{line.name}: {x:g}, {y:.2f}" for x, y in line.points]
    radius = 2.4 if axes.size is LARGE else 2
    marks = "".join(mark(line.colour, x, y, radius, tip) for (x, y), tip in zip(places, tips, strict=True))
    return f'<g class="{style}"><polyline points="{_path(places)}"/>{marks}</g>'


def behind(axes: Axes, line: Line) -> str:
    """A line of another run, in grey and without marks."""
    return f'<polyline class="behind" points="{_path([(axes.px(x), axes.py(y)) for x, y in line.points])}"/>'


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


@dataclass(frozen=True)
class Panel:
    """A chart, and its runs in colour: name → number of the colour."""

    chart: Markup
    runs: dict[str, int]


def panels(
    lines: Sequence[Line], title: str, axes: Callable[[Size], Axes], frame: Callable[[Axes], str]
) -> list[Panel]:
    """One chart of a few runs' lines, or a small one for each of many runs, the others behind it in grey.

    Args:
        lines: the lines of all runs; lines without a point are ignored.
        title: title of the chart.
        axes: size of a chart → its axes.
        frame: draws the background of the lines.
    """
    lines = [line for line in lines if line.points]
    runs = {line.name: line.colour for line in lines}
    if not runs:
        return []
    if len(runs) <= FEW:
        large = axes(LARGE)
        body = frame(large) + "".join(drawn(large, line) for line in lines)
        return [Panel(svg(body, f"{title}. {_spoken(lines)}"), runs)]
    small, found = axes(SMALL), []
    grid = frame(small)
    for run, colour in runs.items():
        own = [line for line in lines if line.name == run]
        others = "".join(behind(small, line) for line in lines if line.name != run and not line.dashed)
        body = grid + others + "".join(drawn(small, line) for line in own)
        found.append(Panel(svg(body, f"{title}. {_spoken(own)}", SMALL), {run: colour}))
    return found


def _spoken(lines: Sequence[Line]) -> str:
    """The lines as text, for screen readers."""
    ends = [f"{line.name}: {line.points[0][1]:.2f} to {line.points[-1][1]:.2f}" for line in lines]
    return "; ".join(ends)
