"""The folder of a run: its files, and how it is begun, resumed and cleared.

Layout: config.yaml, split.json, synonyms.yaml, metrics.json, environment.json, log.jsonl, predictions/PART.parquet,
held_out/PART.parquet, as_unseen/PART.parquet, answers/PART.parquet, inputs/, checkpoints/ and model/. `config.yaml` is
written first and removed last; `metrics.json` is written last: a folder that has it is a finished run.
"""

import os
import platform
import re
import resource
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from fusionclf.errors import RunError, near_path
from fusionclf.files import LOCK, remove, sweep, sweep_below

Value = TypeVar("Value")
Built = TypeVar("Built")
AGAIN = "train again with --overwrite"
LONGEST_FAULT = 240  # characters of an error message, without its path
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)
INPUTS = "inputs"  # what the test products' inputs look like
BEGUN, FINISHED, CHECKPOINTS = "config.yaml", "metrics.json", "checkpoints"
MARKS = (BEGUN, FINISHED, CHECKPOINTS, "predictions")
# The files of a run, in the order of removal: after a kill, the rest can be resumed or removed.
LEFT = (
    FINISHED, "README.md", "environment.json", "predictions", "held_out", "as_unseen", "answers", INPUTS, "tensorboard",
    "log.jsonl", "model", CHECKPOINTS, "synonyms.yaml", "split.json", BEGUN,
)  # fmt: skip
# Cells that a spreadsheet would compute when it opens a CSV file; plain numbers are not among them.
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")
FORMULA = re.compile(r"^(?:[=@\t\r]|[+-](?!\d+(?:[.,]\d+)*$))")


def guarded(cell: str) -> str:
    """A cell of a CSV file that a spreadsheet reads as text: an apostrophe precedes what begins like a formula."""
    return f"'{cell}" if cell[:1] in FORMULA_BEGINS and FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """A cell without the apostrophe that `guarded` put before it.

    >>> unguarded(guarded("=1+1")), unguarded("'quoted'")
    ('=1+1', "'quoted'")
    """
    return cell[1:] if cell.startswith("'") and guarded(cell[1:]) == cell else cell


def one_line(fault: str, path: Path | None = None) -> str:
    """An error message of one short line: `path`, then the fault; the middle of a long fault is cut."""
    text = " ".join("".join(c if c.isprintable() else " " for c in fault).split())
    if len(text) > LONGEST_FAULT:
        half = LONGEST_FAULT // 2
        text = f"{text[:half]} … {text[-half:]}"
    return text if path is None or text.startswith(str(path)) else f"{path}: {text}"


def read_bytes(path: Path, remedy: str = AGAIN) -> bytes:
    """A file's content.

    Raises:
        RunError: there is no such file, or it cannot be read. A device or a pipe is not a file.
    """
    if not path.is_file():
        raise RunError(f"{path}: no such file; is {path.parent} a finished run? If so, {remedy}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(one_line(f"cannot be read ({error.strerror}); {remedy}", path)) from error


def read_json_as(path: Path, schema: TypeAdapter[Value], remedy: str = AGAIN) -> Value:
    """A JSON file, validated strictly.

    Args:
        path: the file.
        schema: the type of its content, such as run_schema.SPLIT.
        remedy: the end of an error message.

    Raises:
        RunError: the file is missing, is not JSON, or does not match the schema; the message names the field.
    """
    return parse_json_as(read_bytes(path, remedy), schema, path, remedy)


def load_json_object(path: Path, schema: TypeAdapter[Value], build: Callable[[Value], Built]) -> Built:
    """What `build` makes of a JSON file, validated strictly.

    Raises:
        RunError: the file is missing or damaged, or `build` refuses it; the message names the file.
    """
    value = read_json_as(path, schema)
    try:
        return build(value)
    except RunError as error:
        raise RunError(one_line(str(error), path)) from error


def parse_json_as(text: str | bytes, schema: TypeAdapter[Value], path: Path, remedy: str = AGAIN) -> Value:
    """As `read_json_as`, of text that was already read from `path`."""
    try:
        return schema.validate_json(text, strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
    if fault["type"] == "json_invalid":
        raise RunError(one_line(f"cannot be read as JSON ({fault['msg']}); {remedy}", path))
    field = ".".join(str(key)[:40] for key in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        message = "is missing"
    elif fault["type"] != "value_error":
        message += f", found {_shown(fault['input'])}"
    raise RunError(one_line(f"{field}: {message}; {remedy}" if field else f"{message}; {remedy}", path))


def _shown(value: Any) -> str:
    """A value for an error message; of a container only its type."""
    return f"a {type(value).__name__}" if isinstance(value, dict | list) else ascii(str(value)[:40])


def read_json(path: Path) -> Any:
    """Any JSON file.

    Raises:
        RunError: the file is missing or is not JSON.
    """
    return read_json_as(path, ANYTHING)


def open_run(folder: Path, *, overwrite: bool = False, resume: bool = False) -> Path:
    """Prepare `folder` for a run; a run that is in it is only touched with `overwrite` or `resume`. Hold its lock.

    Raises:
        RunError: the folder holds a run and neither `overwrite` nor `resume` is given, it is not a folder, or its
            content cannot be resumed.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: is a file; give a folder for the run")
    sweep_run(folder)
    present = [name for name in MARKS if holds(folder / name)]
    if present and not (overwrite or resume):
        raise RunError(f"{folder}: holds a run already; --resume continues it, --overwrite replaces it")
    if present and BEGUN not in present and not overwrite:
        raise RunError(
            f"{folder}: {BEGUN} is missing or empty, so the run's settings are unknown; --overwrite replaces the run"
        )
    if not present and any(path.name not in (LOCK, BEGUN) for path in _entries(folder)):
        raise RunError(f"{folder}: holds other files; give a new or empty folder for the run")
    try:
        if present and overwrite:
            clear_run(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be prepared ({error.strerror}: {error.filename}); choose another folder"
        ) from error
    return folder


def holds(path: Path) -> bool:
    """Whether there is a folder, or a file that is not empty; a power cut may leave an empty file."""
    return path.is_dir() or (path.is_file() and path.stat().st_size > 0)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def sweep_run(folder: Path) -> None:
    """Remove the partial files of killed commands from a run folder. Hold its lock."""
    sweep(*(folder / name for name in LEFT))
    for name in LEFT:
        if (folder / name).is_dir():
            sweep_below(folder / name)


def clear_run(folder: Path) -> None:
    """Remove the files of a run, and no others."""
    for name in LEFT:
        remove(folder / name)


def drop_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a finished run. Hold its lock."""
    if is_finished(folder):
        remove(folder / CHECKPOINTS)


def check_begun(folder: Path) -> None:
    """Raise RunError where config.yaml of a run that is being written is gone."""
    if not (folder / BEGUN).is_file():
        raise RunError(f"{folder}: its files were removed while the command ran; run the command again")


def is_finished(folder: Path) -> bool:
    return (folder / FINISHED).is_file()


def check_is_run(folder: Path) -> None:
    """Raise RunError unless a folder holds a run, finished or not."""
    if not holds(folder / BEGUN):
        runs = sorted(str(child) for child in _entries(folder) if is_finished(child))
        near = f"; did you mean {runs[0]!r}?" if runs else near_path(folder)
        remedy = near or "; give the folder that a training was given as --out"
        raise RunError(f"{folder}: no run folder (no {BEGUN}){remedy}")


def check_finished(*folders: Path) -> None:
    """Raise RunError unless all folders are finished runs; the error names each run that is not finished."""
    unfinished = [folder for folder in folders if not is_finished(folder)]
    for folder in unfinished:
        check_is_run(folder)
    if unfinished:
        names = ", ".join(map(str, unfinished))
        omit = ", or omit it" if len(folders) > 1 else ""
        raise RunError(f"{names}: not finished (no {FINISHED}); continue the training with --resume{omit}")


def peak_memory_mib() -> float:
    """The peak memory of this process in MiB.

    On Linux, since the program started. Elsewhere by `getrusage`, which on some systems includes the peak of the
    parent process.
    """
    status = Path("/proc/self/status")
    if status.is_file() and (found := re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)):
        return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)  # bytes on macOS, KiB elsewhere


def environment(**cost: Any) -> dict[str, Any]:
    """What environment.json holds: versions, machine, command line, peak memory and `cost`."""
    versions = {"python": platform.python_version()}
    for name in (
        "fusionclf",
        "torch",
        "torchvision",
        "transformers",
        "accelerate",
        "scikit-learn",
        "pandas",
        "timm",
    ):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "versions": versions,
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "peak_memory_mib": round(peak_memory_mib(), 1),
        **cost,
    }


def first_difference(old: Any, new: Any, path: str = "") -> str:
    """The first setting in which two trees differ, with both values; "" where they are equal."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            found = first_difference(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
            if found:
                return found
        return ""
    return "" if old == new else f"{path}: {old!r} there, {new!r} now"
