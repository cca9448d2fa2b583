"""Runs many small cases, each in a forked process with limits on time and memory, and counts how they end.

The fuzzers beside this file share it: fuzz_csv.py, fuzz_pictures.py, fuzz_settings.py and fuzz_runs.py.
"""

import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

LONGEST_LINE = 400  # characters of an error message, without the command's prefix
SECONDS, MEBIBYTES = 60.0, 1536


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        kind: "done" (exit code 0 or 1), "refused" (one line, exit code 2), or a failure: "traceback", "hang",
            "memory", "crash", "long message" or "no message".
        output: the end of what it printed.
        seconds: how long it took.
        peak_mib: its peak resident memory.
    """

    kind: str
    output: str
    seconds: float
    peak_mib: float

    @property
    def failed(self) -> bool:
        """Whether this must not happen."""
        return self.kind not in ("done", "refused")


@dataclass
class Tally:
    """Outcomes of many cases.

    Attributes:
        kinds: outcome → number of cases.
        failures: the first failures, each as (case, outcome).
        seconds, peak_mib: the largest of any case.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, Outcome]] = field(default_factory=list)
    seconds: float = 0.0
    peak_mib: float = 0.0

    def add(self, case: str, outcome: Outcome) -> None:
        """Count an outcome, and keep it if it is one of the first failures."""
        self.kinds[outcome.kind] += 1
        self.seconds = max(self.seconds, outcome.seconds)
        self.peak_mib = max(self.peak_mib, outcome.peak_mib)
        if outcome.failed and len(self.failures) < 20:
            self.failures.append((case, outcome))

    def report(self, title: str) -> int:
        """Print one table row and the failures; the exit code, 1 where there is a failure."""
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kinds.items()))
        print(
            f"{title}: {self.kinds.total()} cases; {counts}; slowest {self.seconds:.1f} s; peak {self.peak_mib:.0f} MiB"
        )
        for case, outcome in self.failures:
            print(f"--- {outcome.kind}: {case}\n{outcome.output}")
        return 1 if self.failures else 0


def run_case(case: Callable[[], int], seconds: float = SECONDS, mebibytes: float = MEBIBYTES) -> Outcome:
    """Run `case` in a forked process.

    Args:
        case: returns an exit code, or raises SystemExit as the command line does.
        seconds: after so many it is killed, as a hang.
        mebibytes: more resident memory than this is a failure.
    """
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _run(case, output.fileno())
        status, usage, hung = _wait(child, started + seconds)
        output.seek(0)
        text = output.read().decode(errors="replace")
    peak = usage.ru_maxrss / 1024
    return Outcome(
        _kind(status, text, hung, peak > mebibytes), text[-1500:], time.monotonic() - started, peak
    )


def run_command(words: Iterable[str]) -> int:
    """Run `fusionclf WORDS` in this process; its exit code."""
    from fusionclf.cli import app

    try:
        app(list(words), prog_name="fusionclf")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _run(case: Callable[[], int], output: int) -> None:
    """In the child: never returns."""
    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        try:
            code = case()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait(child: int, until: float) -> tuple[int, resource.struct_rusage, bool]:
    hung = False
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return status, usage, hung
        if time.monotonic() > until and not hung:
            hung = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def _kind(status: int, text: str, hung: bool, large: bool) -> str:
    if hung:
        return "hang"
    if "Traceback (most recent call last)" in text:
        return "traceback"
    if not os.WIFEXITED(status):
        return "crash"
    if large:
        return "memory"
    code = os.WEXITSTATUS(status)
    if code in (0, 1):
        return "done"
    if code != 2:
        return "crash"
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    if len(errors) != 1:
        return "no message"
    return "refused" if len(errors[0]) <= LONGEST_LINE else "long message"
