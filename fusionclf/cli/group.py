"""The groups of commands: an error that a person can fix becomes one line and an exit code."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from fusionclf.cli.usage import is_help, usage_error
from fusionclf.errors import FusionclfError, Stopped, Terminated, UsageError, did_you_mean

RESUME_WITHOUT_OPTION = ("study", "demo")  # run again, these commands keep their finished runs


class Commands(TyperGroup):
    """A group whose error for a mistyped command names the near match."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            raise UsageError(f"unknown command {name!r}: {did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


class OneLineErrors(Commands):
    """The outermost group. Prints an error as one line and exits with its code: 2, or the shell's for a signal."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _one_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: typer.Context) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        before = signal.signal(signal.SIGTERM, _terminate) if _in_main_thread() else None
        try:
            with _one_line(lambda: self._how_to_resume(ctx)):
                return super().invoke(ctx)
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)

    def _how_to_resume(self, ctx: typer.Context) -> str:
        """How to resume the interrupted command; "" where that is not possible."""
        name = ctx.invoked_subcommand or ""
        if name in RESUME_WITHOUT_OPTION:
            return "; run the same command again to resume"
        command: Any = self.get_command(ctx, name)
        resumes = any(param.name == "resume" for param in getattr(command, "params", ()))
        return "; run the same command again with --resume" if resumes else ""


@contextmanager
def _one_line(how_to_resume: Callable[[], str] = str) -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        if is_help(error):
            raise
        _end(usage_error(error))
    except FusionclfError as error:
        _end(error)
    except OSError as error:
        if error.filename is None:
            raise
        _end(UsageError(f"{error.filename}: {error.strerror}; give another path"))
    except KeyboardInterrupt as interrupt:
        print(f"interrupted{how_to_resume()}", file=sys.stderr)
        raise SystemExit(143 if isinstance(interrupt, Terminated) else 130) from None


def _end(error: FusionclfError) -> None:
    from fusionclf.console import one_line  # rich takes time, and help does without

    label = "" if isinstance(error, Stopped) else "error: "
    print(one_line(f"{label}{error}"), file=sys.stderr)
    raise SystemExit(error.exit_code) from None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _terminate(*_: Any) -> None:
    raise Terminated
