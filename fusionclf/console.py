"""What long work shows: a rich bar on a terminal, plain lines elsewhere."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rich.console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

PLAIN_EVERY_S = 30.0


class Console:
    """Messages go to standard error, so that standard output holds results alone."""

    def __init__(self, quiet: bool = False) -> None:
        self.rich = rich.console.Console(stderr=True, highlight=False)
        self.quiet = quiet

    def say(self, text: str) -> None:
        """One line of plain text."""
        if not self.quiet:
            self.rich.print(escape(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line that begins with `warning`."""
        if self.quiet:
            return
        self.rich.print(f"[yellow]warning[/]: {escape(text)}", soft_wrap=True)

    @contextmanager
    def bar(self, title: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
        """A function to tell of (done, to do); on a terminal a bar, elsewhere a line every half minute."""
        if self.quiet or not self.rich.is_terminal:
            yield self._plain_steps(title)
            return
        with self._progress() as progress:
            task = progress.add_task(escape(title), total=total)

            def step(done: int, to_do: int) -> None:
                progress.update(task, completed=done, total=to_do)

            yield step

    @contextmanager
    def counted(self, title: str, total: int) -> Iterator[Callable[[], None]]:
        """A function to call after each of `total` steps; it shows like `bar`."""
        with self.bar(title, total) as step:
            done = itertools.count(1)
            yield lambda: step(next(done), total)

    def _plain_steps(self, title: str) -> Callable[[int, int], None]:
        last = time.monotonic()

        def step(done: int, to_do: int) -> None:
            nonlocal last
            if time.monotonic() - last > PLAIN_EVERY_S:
                last = time.monotonic()
                self.say(f"{title}: {done} of {to_do}")

        return step

    def _progress(self) -> RichProgress:
        return RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.rich,
            transient=True,
        )

    def stage(self, name: str, train_rows: int, validation_rows: int, epochs: int) -> None:
        """Say what a stage will do."""
        self.say(f"{name}: {train_rows} train rows, {validation_rows} validation rows, {epochs} epochs")

    @contextmanager
    def training(
        self, name: str, epochs: int, track: Callable[..., None] = lambda values, step: None
    ) -> Iterator[Any]:
        """The functions that a training stage calls: `step`, `epoch` and `warn`.

        Args:
            name: of the stage.
            epochs: how many it has.
            track: told of every epoch's figures, as (values, step).
        """
        if self.quiet or not self.rich.is_terminal:
            yield TrainingLines(self, name, epochs, track)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
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
        self.task = progress.add_task(escape(name), total=None, figures="") if progress else None
        self.said = time.monotonic()
        self.score = ""

    def step(self, epoch: int, step: int, steps: int, loss: float, rate: float) -> None:
        """Show how far the stage is."""
        done, total = (epoch - 1) * steps + step, self.epochs * steps
        figures = f"epoch {epoch}/{self.epochs}, loss {loss:.4f}{self.score}, {rate:.0f} products/s"
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=done, total=total, figures=figures)
        elif time.monotonic() - self.said > PLAIN_EVERY_S:
            self.said = time.monotonic()
            self.console.say(f"{self.name} step {step}/{steps}, {figures}")

    def epoch(self, row: dict[str, Any]) -> None:
        """Say how an epoch went."""
        left = row["seconds"] * (self.epochs - row["epoch"]) / 60
        self.score = f", top-1 {row['val_top1']:.2f} %"
        self.console.say(
            f"{self.name} epoch {row['epoch']}/{self.epochs}: loss {row['train_loss']:.4f}, "
            f"validation loss {row['val_loss']:.4f}, top-1 {row['val_top1']:.2f} %, "
            f"{row['pictures_per_second']:.0f} products/s, about {left:.1f} min left"
        )
        values = {f"{self.name}/{key}": value for key, value in row.items() if key not in ("stage", "epoch")}
        self.track(values, step=row["epoch"])


SILENT = Console(quiet=True)


def size_text(count: float) -> str:
    """Bytes as a person reads them."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit / 10:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1e3:.1f} kB"
