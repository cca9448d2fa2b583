"""An explanation as a picture: the product, the drop by each cell and word, the prediction by one modality."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fusionclf.console import printable

if TYPE_CHECKING:
    from fusionclf.explanation.attribution import Explanation

WIDTH, MARGIN, LINE = 720, 20, 26  # pixels
PICTURE = (330, 440)  # at most
FOR, AGAINST = (214, 84, 30), (38, 107, 176)  # colour-blind readers can distinguish them
STRONGEST = 0.75  # opacity of the piece with the largest drop
LONGEST = 400  # characters of one line that are drawn


def draw(explanation: "Explanation") -> Image.Image:
    """All parts of an explanation, one below the other, on white."""
    parts = [_lines([f"{explanation.label}: {100 * explanation.probability:.1f} %"], 24)]
    if explanation.picture is not None and explanation.cells is not None:
        parts.append(_pictures(explanation.picture, explanation.cells))
    if explanation.words:
        parts.append(_words(explanation))
    parts.append(_lines(list(_modality_lines(explanation)), 16))
    parts.append(_lines(["orange: the probability falls without it; blue: it rises"], 13))
    height = sum(part.height for part in parts) + MARGIN * (len(parts) + 1)
    page = Image.new("RGB", (WIDTH, height), "white")
    top = MARGIN
    for part in parts:
        page.paste(part, (MARGIN, top))
        top += part.height + MARGIN
    return page


def _modality_lines(explanation: "Explanation") -> Iterator[str]:
    for name, without in (explanation.modalities | explanation.fields).items():
        if without.drop is None or without.probability is None:
            yield f"without the {name} there is no answer"
        else:
            yield (
                f"drop without the {name}: {100 * without.drop:+.1f} points, to {without.label} "
                f"{100 * without.probability:.1f} %"
            )
    for number, drop in enumerate(explanation.pictures):
        note = ", shown above" if number == explanation.shown else ""
        yield f"drop without picture {number + 1}: {100 * drop:+.1f} points{note}"
    if explanation.cells is not None:
        yield f"the strongest colour in the picture is {100 * np.abs(explanation.cells).max():.2f} points"


def _pictures(picture: Image.Image, cells: np.ndarray) -> Image.Image:
    """The picture, and beside it the same under its cells' colours."""
    scale = min(PICTURE[0] / picture.width, PICTURE[1] / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    shown = picture.resize(size, Image.Resampling.BICUBIC)
    colours = np.array([[_colour(value, np.abs(cells).max()) for value in row] for row in cells], np.uint8)
    over = Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)  # (rows, columns, 4), RGBA
    both = Image.new("RGB", (WIDTH - 2 * MARGIN, size[1]), "white")
    both.paste(shown, (0, 0))
    both.paste(Image.alpha_composite(shown.convert("RGBA"), over).convert("RGB"), (PICTURE[0] + MARGIN, 0))
    return both


def _colour(value: float, largest: float) -> tuple[int, int, int, int]:
    share = abs(value) / largest if largest > 0 else 0.0
    return (*(FOR if value > 0 else AGAINST), round(255 * STRONGEST * share))


def _words(explanation: "Explanation") -> Image.Image:
    """The title's pieces on their colours, in as many lines as they need, each above its drop."""
    font, small = ImageFont.load_default(16), ImageFont.load_default(11)
    largest = max((abs(piece.drop) for piece in explanation.words if piece.drop is not None), default=0.0)
    placed, left, top = [], 0, 0
    for piece in explanation.words:
        text = _drawable(piece.text)
        width = round(font.getlength(text)) + 12
        if left and left + width > WIDTH - 2 * MARGIN:
            left, top = 0, top + 2 * LINE
        placed.append((left, top, width, text, piece.drop))
        left += width + 6
    image = Image.new("RGBA", (WIDTH - 2 * MARGIN, top + 2 * LINE), "white")
    for left, top, width, text, drop in placed:
        box = Image.new("RGBA", (width, LINE), _colour(drop or 0.0, largest))
        image.alpha_composite(box, (left, top)) if left + width <= image.width else image.paste(
            box, (left, top)
        )
        pen = ImageDraw.Draw(image)
        pen.text((left + 6, top + 3), text, fill="black", font=font)
        points = "" if drop is None else f"{100 * drop:+.1f}"
        pen.text((left + 6, top + LINE + 2), points, fill="black", font=small)
    return image.convert("RGB")


def _lines(texts: list[str], size: int) -> Image.Image:
    image = Image.new("RGB", (WIDTH - 2 * MARGIN, max(1, len(texts)) * (size + 8)), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for number, text in enumerate(texts):
        pen.text((0, number * (size + 8)), _drawable(text), fill="black", font=font)
    return image


def _drawable(text: str) -> str:
    return printable(text[:LONGEST])
