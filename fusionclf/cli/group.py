"""The group of all commands: an error becomes one line and an exit code."""

import signal
import sys
import threading
from typing import Any

import typer
from typer.core import TyperGroup

from fusionclf.errors import FusionclfError, Stopped, Terminated


class OneLineErrors(TyperGroup):
    """Prints a FusionclfError as one line and exits with its code: 2, or the shell's for a signal."""

    def invoke(self, ctx: typer.Context) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        before = signal.signal(signal.SIGTERM, _terminate) if _in_main_thread() else None
        try:
            return super().invoke(ctx)
        except FusionclfError as error:
            label = "" if isinstance(error, Stopped) else "error: "
            print(f"{label}{' '.join(str(error).split())}", file=sys.stderr)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt as asked:
            print("interrupted; give the same command with --resume to go on", file=sys.stderr)
            raise SystemExit(143 if isinstance(asked, Terminated) else 130) from None
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _terminate(*_: Any) -> None:
    raise Terminated
