"""The error tree. The command line prints these as one line and exits with code 2."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import accumulate
from pathlib import Path

LISTED = 200  # characters of the names that a message lists


class FusionclfError(Exception):
    """A mistake that a person can mend. The message names the thing, the value and the remedy."""

    exit_code = 2


class UsageError(FusionclfError):
    """A command, an option or an argument is unknown, missing or not allowed."""


class CatalogError(FusionclfError):
    """The catalog's files cannot be used as they are."""


class SettingsError(FusionclfError):
    """A setting is unknown, or its value is not allowed."""


class PictureError(FusionclfError):
    """A picture is missing, unreadable or too large."""


class WeightsError(FusionclfError):
    """Pretrained weights cannot be had, or do not fit the network."""


class RunError(FusionclfError):
    """A run folder is in the way, incomplete, or of another catalog or split."""


class TrainingError(FusionclfError):
    """Training cannot go on."""


class PredictionError(FusionclfError):
    """Products cannot be answered as they were given."""


class Stopped(TrainingError):
    """A signal asked to stop, and all work is saved. `exit_code` is the shell's for that signal."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class Terminated(KeyboardInterrupt):
    """SIGTERM, as an exception: what cleans up after Ctrl-C does so here too."""


def did_you_mean(value: str, allowed: Iterable[str]) -> str:
    """The end of an error message: the near match of `value`, then what is allowed, or the first names of many."""
    names = list(allowed)
    near = get_close_matches(value, names, n=1) or [
        name for name in names if value and name.startswith(value)
    ]
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {_first_names(names)}"


def _first_names(names: Sequence[str]) -> str:
    ends = accumulate(len(name) + 2 for name in names)
    shown = [name for name, end in zip(names, ends, strict=True) if end <= LISTED] or list(names[:1])
    more = f", … ({len(names):,} in all)" if len(shown) < len(names) else ""
    return ", ".join(shown) + more


def near_path(path: Path) -> str:
    """The end of an error message on a path that is not there: what beside it has nearly its name, or ""."""
    try:
        there = [other.name for other in path.parent.iterdir()]
    except OSError:
        return ""
    near = get_close_matches(path.name, there, n=1)
    return f"; did you mean {str(path.with_name(near[0]))!r}?" if near else ""
