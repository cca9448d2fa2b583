"""Drawn product pictures for the sample catalog: a silhouette in a colour, each one different.

Silhouettes are drawn on a canvas of 60×80 units whose origin is its centre.
"""

from collections.abc import Callable, Sequence
from math import cos, pi, sin
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 60, 80
FINER = 2  # drawn twice as large, then reduced, so that edges are smooth
NOISE = 9.0  # standard deviation of a pixel, of 255

Point = tuple[float, float]
Colour = tuple[int, int, int]

PALETTE: dict[str, Colour] = {
    "Black": (34, 34, 38),
    "White": (232, 232, 228),
    "Blue": (48, 84, 180),
    "Navy Blue": (28, 36, 92),
    "Red": (196, 40, 44),
    "Green": (52, 132, 72),
    "Grey": (128, 130, 134),
    "Brown": (118, 76, 44),
    "Pink": (226, 126, 164),
    "Yellow": (228, 190, 58),
}


class Pen:
    """Draws in canvas units, moved, turned and sized at random."""

    def __init__(self, canvas: Image.Image, colour: Colour, generator: np.random.Generator) -> None:
        self.draw = ImageDraw.Draw(canvas)
        self.colour = colour
        self.ground = canvas.getpixel((0, 0))
        self.size = generator.uniform(0.8, 1.08)
        self.turn = generator.normal(0, 0.09)  # radians
        self.move = generator.uniform(-3.5, 3.5, 2)
        self.flip = generator.choice([-1.0, 1.0])

    def area(self, points: Sequence[Point], shade: float = 1.0) -> None:
        """A filled polygon; `shade` scales its brightness."""
        fill = tuple(min(255, int(value * shade)) for value in self.colour)
        self._fill(points, fill)

    def hole(self, centre: Point, radii: Point) -> None:
        """An ellipse through which the background is seen."""
        self._fill(_ellipse(centre, radii), self.ground)

    def oval(self, centre: Point, radii: Point, shade: float = 1.0) -> None:
        """A filled ellipse."""
        self.area(_ellipse(centre, radii), shade)

    def box(self, left: float, top: float, right: float, bottom: float, shade: float = 1.0) -> None:
        """A filled rectangle."""
        self.area([(left, top), (right, top), (right, bottom), (left, bottom)], shade)

    def _fill(self, points: Sequence[Point], fill: Any) -> None:
        self.draw.polygon([self._place(point) for point in points], fill=fill)

    def _place(self, point: Point) -> Point:
        x, y = point[0] * self.flip * self.size, point[1] * self.size
        x, y = x * cos(self.turn) - y * sin(self.turn), x * sin(self.turn) + y * cos(self.turn)
        return ((x + self.move[0] + WIDTH / 2) * FINER, (y + self.move[1] + HEIGHT / 2) * FINER)


def _ellipse(centre: Point, radii: Point) -> list[Point]:
    turns = [2 * pi * n / 28 for n in range(28)]
    return [(centre[0] + radii[0] * cos(t), centre[1] + radii[1] * sin(t)) for t in turns]


def _upper(pen: Pen) -> None:
    right = [(9, -24), (24, -14), (19, -3), (13, -7), (13, 24)]
    pen.area([*right, *((-x, y) for x, y in reversed(right))])
    pen.oval((0, -24), (6, 4), 0.6)


def _legs(pen: Pen) -> None:
    pen.area([(-12, -30), (12, -30), (15, 30), (4, 30), (0, -12), (-4, 30), (-15, 30)])
    pen.box(-12, -30, 12, -26, 0.7)


def _flared(pen: Pen) -> None:
    pen.area([(-7, -28), (7, -28), (8, -8), (20, 30), (-20, 30), (-8, -8)])
    pen.box(-8, -9, 8, -6, 0.65)


def _shoe(pen: Pen) -> None:
    pen.area([(-24, 8), (-22, -12), (-10, -13), (2, -2), (20, 2), (25, 9)])
    pen.box(-25, 9, 26, 13, 0.5)


def _strapped(pen: Pen) -> None:
    pen.box(-25, 9, 25, 13, 0.55)
    pen.area([(-22, 9), (-13, -12), (-8, -12), (-15, 9)])
    pen.area([(6, 9), (12, -4), (18, -4), (22, 9)])


def _bag(pen: Pen) -> None:
    pen.oval((0, -12), (13, 17), 0.6)
    pen.hole((0, -12), (9, 13))
    pen.area([(-20, -10), (20, -10), (24, 22), (-24, 22)])


def _flat(pen: Pen) -> None:
    pen.box(-24, -13, 24, 15)
    pen.box(-24, -3, 24, -1, 0.6)


def _dial(pen: Pen) -> None:
    pen.box(-5, -32, 5, 32, 0.7)
    pen.oval((0, 0), (14, 14))
    pen.oval((0, 0), (9, 9), 1.6)


def _strip(pen: Pen) -> None:
    pen.area([(-4, -34), (4, -34), (8, 30), (0, 35), (-8, 30)])


def _lenses(pen: Pen) -> None:
    pen.oval((-13, 0), (11, 9))
    pen.oval((13, 0), (11, 9))
    pen.box(-27, -4, 27, -1, 0.6)


def _bottle(pen: Pen) -> None:
    pen.box(-5, -27, 5, -14, 0.55)
    pen.box(-12, -14, 12, 26)
    pen.box(-9, -2, 9, 10, 1.5)


SILHOUETTES: dict[str, Callable[[Pen], None]] = {
    "upper": _upper,
    "legs": _legs,
    "flared": _flared,
    "shoe": _shoe,
    "strapped": _strapped,
    "bag": _bag,
    "flat": _flat,
    "dial": _dial,
    "strip": _strip,
    "lenses": _lenses,
    "bottle": _bottle,
}


def draw_product(silhouette: str, colour: str, generator: np.random.Generator) -> Image.Image:
    """A 60×80 RGB picture of one product before a light background.

    Args:
        silhouette: a key of SILHOUETTES.
        colour: a key of PALETTE; any other name gives a mid grey.
        generator: source of place, size, turn, tint and noise.
    """
    ground = int(generator.integers(236, 256))
    canvas = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), (ground, ground, ground))
    base = PALETTE.get(colour, (150, 150, 150))
    red, green, blue = (int(np.clip(value + generator.normal(0, 10), 10, 240)) for value in base)
    SILHOUETTES[silhouette](Pen(canvas, (red, green, blue), generator))
    small = canvas.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float64) + generator.normal(0, NOISE, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
