"""The error tree. The command line prints these as one line and exits with code 2."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import accumulate
from pathlib import Path

LONGEST_NAME = 60  # characters of a name or a cell that a message shows
MOST_COMPARED = 10_000  # names that a wrong one is compared with
LISTED = 200  # characters of the names that a message lists


class FusionclfError(Exception):
    """A mistake that the user can fix. The message names the thing, the value and the remedy."""

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
    """Pretrained weights cannot be loaded, or do not fit the network."""


class RunError(FusionclfError):
    """A run folder exists already, is incomplete, or belongs to another catalog or split."""


class TrainingError(FusionclfError):
    """Training cannot continue."""


class PredictionError(FusionclfError):
    """Products cannot be predicted as they were given."""


class TableError(FusionclfError, ValueError):
    """A table or its labels cannot be used by FusionClassifier. A ValueError, as scikit-learn raises."""


class Stopped(TrainingError):
    """A signal stopped the command, and all work is saved. `exit_code` is the shell's for that signal."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class Terminated(KeyboardInterrupt):
    """SIGTERM as an exception, so that it is cleaned up after like Ctrl-C."""


def did_you_mean(value: str, allowed: Iterable[str]) -> str:
    """The end of an error message: the name nearest to `value`, then the allowed names, cut if there are many."""
    names = list(allowed)
    near = near_name(value, names)
    hint = f"did you mean {quoted(near)}? " if near else ""
    return f"{hint}allowed: {_first_names(names)}"


def near_name(value: str, names: Sequence[str]) -> str | None:
    """The name most similar to `value` in any case; None where no name is similar."""
    folded: dict[str, str] = {}
    for name in names[:MOST_COMPARED]:
        folded.setdefault(name.casefold(), name)
    if value in names:
        return value
    wanted = value.casefold()
    near = get_close_matches(wanted, folded, n=1) or [
        name for name in folded if wanted and name.startswith(wanted)
    ]
    return folded[near[0]] if near else None


def _first_names(names: Sequence[str]) -> str:
    """Names, comma-separated; of many names the first ones, and their number."""
    cut = [repr(_cut(name))[1:-1] for name in names]
    shown = [
        name
        for name, end in zip(cut, accumulate(len(name) + 2 for name in cut), strict=True)
        if end <= LISTED
    ]
    more = f", … ({len(names):,} in all)" if len(shown) < len(names) else ""
    return ", ".join(shown) + more


def quoted(text: str, limit: int = LONGEST_NAME) -> str:
    """A text in quotes, at most about `limit` characters of it, without characters that could steer a terminal."""
    return repr(_cut(text, limit))


def _cut(text: str, limit: int = LONGEST_NAME) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def near_path(path: Path) -> str:
    """The end of an error message on a missing path: the file beside it with the nearest name, or ""."""
    if path.exists():
        return ""
    try:
        there = [other.name for other in path.parent.iterdir()]
    except OSError:
        return ""
    near = near_name(path.name, there)
    return f"; did you mean {str(path.with_name(near))!r}?" if near else ""
