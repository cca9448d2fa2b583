"""Kills this process before a change that it makes below a folder, and compares two folders but for times.

kill_everywhere.py beside this file uses it.
"""

import json
import os
import signal
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import safetensors.torch
from safetensors import safe_open

from fusionclf.batches.text import Tokeniser

EVENTS = (
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.chmod",
    "os.link",
    "os.symlink",
    "os.truncate",
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# Keys and tensors that hold times, memory or the command line, and what a report makes of them.
TIMES = {
    "seconds", "train_seconds", "predict_seconds", "products_per_second", "pictures_per_second", "finished_at",
    "peak_memory_mib", "epoch_seconds", "command", "cost", "costs", "making",
}  # fmt: skip
TEXTS_WITH_TIMES = ("README.md", "report.html", "report.md")


class Changes:
    """Counts the changes of this process below a folder, and kills it before one of them."""

    def __init__(self, box: Path, kill_at: int | None) -> None:
        self.box, self.kill_at, self.count = str(box), kill_at, 0
        self.lock = threading.Lock()

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """For sys.addaudithook."""
        if event == "open":
            path, mode, flags = args
            if set(mode) & set("wax+") if isinstance(mode, str) else flags & WRITES:
                self.before(path)
        elif event in EVENTS:
            handles = [arg for arg in args[1:] if isinstance(arg, int)]
            self.before(args[0], handles[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1)

    def before(self, path: Any, handle: int = -1) -> None:
        """A change of `path` comes next."""
        if self._is_at(path, handle):
            os.kill(os.getpid(), signal.SIGKILL)

    def half_way(self, path: Any) -> None:
        """`path` was written by another library: that may have been cut off, too."""
        if self._is_at(path, -1):
            self.kill_at = None
            os.truncate(path, Path(path).stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_at(self, path: Any, handle: int) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        name = os.fsdecode(path)
        if handle >= 0 and not os.path.isabs(name):
            name = os.path.join(os.readlink(f"/proc/self/fd/{handle}"), name)
        if not os.path.abspath(name).startswith(self.box + os.sep):
            return False
        with self.lock:
            self.count += 1
            return self.count == self.kill_at

    def watch(self) -> None:
        """See all changes of this process from here on."""
        sys.addaudithook(self.hook)
        targets: list[tuple[Any, str, int]] = [
            (safetensors.torch, "serialize_file", 1),
            (pq, "write_table", 1),
        ]
        for module, name, place in targets:
            setattr(module, name, self._around(getattr(module, name), place))
        changes, save = self, Tokeniser.save

        def save_half(own: Tokeniser, folder: Path) -> None:
            changes.before(folder / "tokenizer.json")
            save(own, folder)
            changes.half_way(folder / "tokenizer.json")

        class Writer(pq.ParquetWriter):
            def __init__(self, where: Any, *words: Any, **named: Any) -> None:
                changes.before(where)
                self.own_path = where
                super().__init__(where, *words, **named)

            def close(self) -> None:
                super().close()
                changes.half_way(self.own_path)

        Tokeniser.save, pq.ParquetWriter = save_half, Writer  # pyright: ignore

    def _around(self, write: Callable[..., Any], place: int) -> Callable[..., Any]:
        def writes(*words: Any, **named: Any) -> Any:
            path = words[place] if len(words) > place else named.get("filename", named.get("where"))
            self.before(path)
            result = write(*words, **named)
            self.half_way(path)
            return result

        return writes


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def first_difference(uncut: Path, found: Path) -> str:
    """The first file in which two folders differ, or ""."""
    expected, there = names(uncut), names(found)
    if expected != there:
        return f"missing {sorted(set(expected) - set(there))}, further {sorted(set(there) - set(expected))}"
    for name in expected:
        # The checkpoint before the last one is as old as the kill has it.
        if "/previous/" in name or not (uncut / name).is_file():
            continue
        if content(uncut / name) != content(found / name):
            return f"{name} differs"
    return ""


def content(file: Path) -> Any:
    """What a file holds, but for times."""
    if file.name in TEXTS_WITH_TIMES:
        return file.stat().st_size > 0
    if file.suffix == ".json":
        value = json.loads(file.read_text())
        return without_times(json.loads(value["content"])["values"] if "digest" in value else value)
    if file.suffix == ".jsonl" and file.name == "log.jsonl":
        return [without_times(json.loads(line)) for line in file.read_text().splitlines()]
    if file.suffix == ".safetensors":
        with safe_open(file, "np") as opened:
            return {key: opened.get_tensor(key).tobytes() for key in opened.keys() if key not in TIMES}
    if file.suffix == ".skops":
        with zipfile.ZipFile(file) as opened:  # its schema holds the addresses of objects
            return sorted(opened.read(name) for name in opened.namelist() if name != "schema.json")
    return file.read_bytes()


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in TIMES}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value
