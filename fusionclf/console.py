"""Printed text: safe for a terminal; progress as a rich bar on a terminal, as plain lines elsewhere."""

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unicodedata import category

import rich.console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

PLAIN_EVERY_S = 30.0
LONGEST_LINE = 400  # characters of an error message
CUT = " … "


def printable(text: str) -> str:
    """Text of any origin, safe to print.

    "?" stands for each character that could steer a terminal, reverse its text, hide, or fail to be encoded: control
    and format characters, line separators, lone surrogates. Spaces of other widths become ordinary ones.
    """
    return "".join(
        character if character.isprintable() else " " if category(character) == "Zs" else "?"
        for character in text
    )


def one_line(text: str, longest: int = LONGEST_LINE) -> str:
    """Printable text on one line; of a text longer than `longest` characters the middle is cut."""
    line = printable(" ".join(text.split()))
    if len(line) <= longest:
        return line
    end = longest // 3  # characters of the end, where an error message has its remedy
    return f"{line[: longest - end - len(CUT)]}{CUT}{line[-end:]}"


def json_text(value: Any) -> str:
    """Indented JSON in printable ASCII: everything else is escaped."""
    return json.dumps(value, indent=2, allow_nan=False).replace("\x7f", "\\u007f")


class Console:
    """Prints messages to standard error, so that standard output only holds results."""

    def __init__(self, quiet: bool = False) -> None:
        self.rich = rich.console.Console(stderr=True, highlight=False)
        self.quiet = quiet

    def info(self, text: str) -> None:
        """One line of plain text."""
        if not self.quiet:
            self.rich.print(Text(printable(text)), soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line that begins with `warning`."""
        if not self.quiet:
            self.rich.print(Text.assemble(("warning", "yellow"), f": {printable(text)}"), soft_wrap=True)

    @contextmanager
    def bar(self, title: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
        """A function to call with (done, total); shows a bar on a terminal, elsewhere a line every half minute."""
        if self.quiet or not self.rich.is_terminal:
            yield self._plain_steps(title)
            return
        with self._rich_progress() as progress:
            task = progress.add_task(printable(title), total=total)

            def step(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            yield step

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[], None]]:
        """A function to call after each of `total` steps; shows the same as `bar`."""
        with self.bar(title, total) as step:
            done = itertools.count(1)
            yield lambda: step(next(done), total)

    def _plain_steps(self, title: str) -> Callable[[int, int], None]:
        began = last = time.monotonic()

        def step(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last > PLAIN_EVERY_S:
                last, left = now, (now - began) * (total - done) / max(done, 1) / 60
                self.info(f"{title}: {done} of {total}, about {left:.1f} min left")

        return step

    def _rich_progress(self) -> RichProgress:
        return RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.rich,
            transient=True,
        )

    def stage(self, name: str, train_rows: int, validation_rows: int, epochs: int) -> None:
        """Announce a stage."""
        self.info(f"{name}: {train_rows} train rows, {validation_rows} validation rows, {epochs} epochs")

    @contextmanager
    def training(
        self, name: str, epochs: int, track: Callable[..., None] = lambda values, step: None
    ) -> Iterator[Any]:
        """The functions that a training stage calls: `step`, `epoch` and `warn`.

        Args:
            name: of the stage.
            epochs: how many it has.
            track: called with the numbers of every epoch, as (values, step).
        """
        if self.quiet or not self.rich.is_terminal:
            yield TrainingLines(self, name, epochs, track)
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self.rich, transient=True) as progress:
            yield TrainingLines(self, name, epochs, track, progress)


class TrainingLines:
    """A bar on a terminal, elsewhere a line every half minute; one line an epoch on both."""

    def __init__(
        self,
        console: Console,
        name: str,
        epochs: int,
        track: Callable[..., None],
        progress: RichProgress | None = None,
    ) -> None:
        self.console, self.name, self.epochs, self.track = console, name, epochs, track
        self.progress, self.warn = progress, console.warn
        self.task = progress.add_task(printable(name), total=None, status="") if progress else None
        self.last_line = time.monotonic()
        self.score = ""

    def step(self, epoch: int, step: int, steps: int, loss: float, rate: float) -> None:
        """Show the progress of the stage."""
        done, total = (epoch - 1) * steps + step, self.epochs * steps
        status = f"epoch {epoch}/{self.epochs}, loss {loss:.4f}{self.score}, {rate:.0f} products/s"
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=done, total=total, status=status)
        elif time.monotonic() - self.last_line > PLAIN_EVERY_S:
            self.last_line = time.monotonic()
            self.console.info(f"{self.name} step {step}/{steps}, {status}")

    def epoch(self, row: dict[str, Any]) -> None:
        """Print the result of an epoch."""
        left = row["seconds"] * (self.epochs - row["epoch"]) / 60
        name = "top-1" if "val_top1" in row else "average precision"
        score = row["val_top1"] if "val_top1" in row else row["val_average_precision"]
        has_score = math.isfinite(score)  # there may be no validation rows
        self.score = f", {name} {score:.2f} %" if has_score else ""
        scores = f"validation loss {row['val_loss']:.4f}{self.score}, " if has_score else ""
        self.console.info(
            f"{self.name} epoch {row['epoch']}/{self.epochs}: loss {row['train_loss']:.4f}, {scores}"
            f"{row['pictures_per_second']:.0f} products/s, about {left:.1f} min left"
        )
        values = {f"{self.name}/{key}": value for key, value in row.items() if key not in ("stage", "epoch")}
        self.track(values, step=row["epoch"])


SILENT = Console(quiet=True)


def size_text(count: float) -> str:
    """A number of bytes with its unit, such as 2.9 MB."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit / 10:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1e3:.1f} kB"
