"""Files that a run leaves: written beside their place, then renamed, so that none is ever half there.

Layout: config.yaml, split.json, metrics.json, environment.json, log.jsonl, predictions/PART.parquet,
held_out/PART.parquet, checkpoints/ and model/. `metrics.json` is written last: a folder that has it is a finished run.
"""

import json
import os
import platform
import re
import resource
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError

from fusionclf.errors import RunError

Value = TypeVar("Value")
FINISHED = "metrics.json"
AGAIN = "train again with --overwrite"
LONGEST_FAULT = 240  # characters of an error message, without its path
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)
MARKS = ("config.yaml", FINISHED, "checkpoints", "predictions")
# What a spreadsheet would compute when it opens a CSV file, but for plain numbers.
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")
FORMULA = re.compile(r"^(?:[=@\t\r]|[+-](?!\d+(?:[.,]\d+)*$))")
# It can only be read by setting it, which must not happen while another thread makes a file.
UMASK = os.umask(0o077)
os.umask(UMASK)


def guarded(cell: str) -> str:
    """A cell of a CSV file that a spreadsheet takes as text: an apostrophe goes before what begins like a formula."""
    return f"'{cell}" if cell[:1] in FORMULA_BEGINS and FORMULA.match(cell) else cell


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed onto `path` when the block ends well, removed when not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); choose another output folder"
        ) from error
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        # mkstemp makes the file private; give it what the umask would have given.
        aside.chmod(0o666 & ~UMASK)
        os.replace(aside, path)
    except (OSError, SafetensorError) as error:
        aside.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise RunError(
            f"{path}: cannot be written ({reason}); free space or choose another folder"
        ) from error
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def one_line(fault: str, path: Path | None = None) -> str:
    """An error message of one short line: `path`, then the fault, whose middle is left out where it is long."""
    text = " ".join("".join(c if c.isprintable() else " " for c in fault).split())
    if len(text) > LONGEST_FAULT:
        half = LONGEST_FAULT // 2
        text = f"{text[:half]} … {text[-half:]}"
    return text if path is None or text.startswith(str(path)) else f"{path}: {text}"


def read_bytes(path: Path, remedy: str = AGAIN) -> bytes:
    """Raises RunError where there is no such file or it cannot be read. A device or a pipe is no file."""
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
        schema: what it holds, such as run_schema.METRICS.
        remedy: the end of an error message.

    Raises:
        RunError: the file is missing, is not JSON, or holds something else; the message names the field.
    """
    return parse_json_as(read_bytes(path, remedy), schema, path, remedy)


def parse_json_as(text: str | bytes, schema: TypeAdapter[Value], path: Path, remedy: str = AGAIN) -> Value:
    """As `read_json_as`, of text that was read from `path`."""
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
    """A value for an error message: a container by its type alone."""
    return f"a {type(value).__name__}" if isinstance(value, dict | list) else ascii(str(value)[:40])


def read_json(path: Path) -> Any:
    """Raises RunError where the file is missing or is not JSON."""
    return read_json_as(path, ANYTHING)


def open_run(folder: Path, *, overwrite: bool = False, resume: bool = False) -> Path:
    """Make `folder` ready for a run, without touching a run that is in it unless told so.

    Raises:
        RunError: the folder holds a run and neither `overwrite` nor `resume` is given, or is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: is a file; give a folder for the run")
    present = [name for name in MARKS if (folder / name).exists()]
    if present and not (overwrite or resume):
        raise RunError(f"{folder}: holds a run already; --resume goes on with it, --overwrite replaces it")
    if folder.exists() and not present and any(folder.iterdir()):
        raise RunError(f"{folder}: holds other files; give a new or empty folder for the run")
    if present and overwrite:
        clear_run(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error
    return folder


def clear_run(folder: Path) -> None:
    """Remove what a run leaves, and nothing else."""
    for name in ("config.yaml", "split.json", "environment.json", "log.jsonl", "README.md", FINISHED):
        (folder / name).unlink(missing_ok=True)
    for name in ("predictions", "held_out", "checkpoints", "model", "tensorboard"):
        for path in sorted((folder / name).rglob("*"), reverse=True):
            path.unlink() if not path.is_dir() else path.rmdir()
        if (folder / name).is_dir():
            (folder / name).rmdir()


def is_finished(folder: Path) -> bool:
    return (folder / FINISHED).is_file()


def environment(**figures: Any) -> dict[str, Any]:
    """What environment.json holds: versions, machine, command line, peak memory, and the given figures."""
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
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        **figures,
    }


def first_difference(old: Any, new: Any, path: str = "") -> str:
    """The first setting in which two trees differ, with both values; "" where none does."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            found = first_difference(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
            if found:
                return found
        return ""
    return "" if old == new else f"{path}: {old!r} there, {new!r} now"
