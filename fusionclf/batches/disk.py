"""Caches on disk, shared between runs.

A folder is filled beside its place and renamed: it appears whole or not at all, and two processes may build it at the
same time.
"""

import errno
import fcntl
import json
import mmap
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fusionclf.caches import cache_folder
from fusionclf.console import size_text
from fusionclf.errors import PictureError
from fusionclf.files import UMASK
from fusionclf.memory import registered, release_pages

ASIDE = ".building-"
CHECKS = "checks.json"  # holds the CRC-32 of a folder's other files
READ_BYTES = 2**20  # at a time
WRITTEN_BYTES = 2**26  # of an array, at a time
LEAST_MAPPED, MOST_IN_MEMORY = 2**20, 2**26  # bytes of an array that grows with rows or classes
STALE_AFTER_S = 24 * 3600.0  # an unfinished folder of this age belongs to a killed process


@contextmanager
def building(folder: Path, what: str, is_whole: Callable[[Path], bool]) -> Iterator[Path]:
    """A folder beside `folder` to fill; it becomes `folder` when the block succeeds.

    Args:
        folder: the result; a damaged one is replaced.
        what: its name in messages.
        is_whole: whether a folder can be used; one that another process has built meanwhile stays.

    Raises:
        PictureError: the disk is full, or the place cannot be written.
    """
    prepare_folder(folder.parent)
    aside = None
    try:
        with writing(folder.parent, what):
            aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=ASIDE))
            yield aside
            aside.chmod(0o777 & ~UMASK)  # mkdtemp creates a private folder; caches may be shared
            with _locked(folder.parent):  # two processes may replace one damaged folder
                if not (folder.is_dir() and is_whole(folder)):
                    if folder.is_dir():
                        shutil.rmtree(folder)
                    aside.rename(folder)
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def writing(folder: Path, what: str) -> Iterator[None]:
    """Turns an OSError of the block into a PictureError about the folder."""
    try:
        yield
    except OSError as error:
        raise PictureError(
            f"{folder}: {what} cannot be written ({error.strerror or error}); "
            "free space or set FUSIONCLF_CACHE to another folder"
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder for this thread; other threads and processes wait."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # this unlocks it


def prepare_folder(parent: Path) -> None:
    """Create a folder of caches, test that it can be written, and remove unfinished folders of killed processes.

    Raises:
        PictureError: it cannot be created or written.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(dir=parent, prefix=ASIDE)).rmdir()
    except OSError as error:
        raise PictureError(
            f"{parent}: cannot be written ({error.strerror}); set FUSIONCLF_CACHE to another folder"
        ) from error
    for unfinished in parent.glob(f"{ASIDE}*"):
        if time.time() - _last_change(unfinished) > STALE_AFTER_S:
            shutil.rmtree(unfinished, ignore_errors=True)


def _last_change(folder: Path) -> float:
    """When a folder or one of its files was last written; for a vanished folder, now."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:
        return time.time()


def check_readable(folder: Path) -> None:
    """Raise where a folder of a cache is there and this user may not read it.

    Raises:
        PictureError: the folder or one of its files cannot be read.
    """
    try:
        for file in folder.iterdir():
            file.open("rb").close()
    except PermissionError as error:
        raise PictureError(
            f"{folder}: cannot be read ({error.strerror}); ask its owner for the right to read it, "
            "or set FUSIONCLF_CACHE to another folder"
        ) from error
    except OSError:
        return  # it is missing, or damaged in another way


def check_space(folder: Path, wanted: int, what: str) -> None:
    """Raise where `wanted` bytes do not fit on the disk of a folder, which may not exist yet.

    Raises:
        PictureError: they do not fit.
    """
    try:
        free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    except OSError:
        return  # a folder that cannot be read raises when it is written
    if free < wanted:
        raise PictureError(
            f"{folder}: {what} takes about {size_text(wanted)}, and {size_text(free)} are free; "
            "free space or set FUSIONCLF_CACHE to another folder"
        )


def checksum(file: Path, start: int = 0, stop: int | None = None) -> int:
    """The CRC-32 of a file's bytes from `start` to `stop`, or to its end, in constant memory.

    It detects damage at several GB/s, but not manipulation.

    Raises:
        OSError: the file cannot be read.
    """
    found = 0
    with file.open("rb", buffering=0) as opened:
        opened.seek(start)
        left = opened.seek(0, os.SEEK_END) - start if stop is None else stop - start
        opened.seek(start)
        while left > 0 and (chunk := opened.read(min(left, READ_BYTES))):
            found, left = zlib.crc32(chunk, found), left - len(chunk)
    return found


def write_checks(folder: Path, files: Sequence[str]) -> None:
    """Write the checksums of a folder's files."""
    checks = {name: checksum(folder / name) for name in files}
    (folder / CHECKS).write_text(json.dumps(checks), encoding="utf-8")


def is_unchanged(folder: Path, files: Sequence[str]) -> bool:
    """Whether a folder's files are what they were when their checksums were written; False where one is missing."""
    try:
        checks = json.loads((folder / CHECKS).read_text(encoding="utf-8"))
        return all(checksum(folder / name) == checks[name] for name in files)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load_array(path: Path, *, mapped: bool = False) -> np.ndarray | None:
    """The array of an .npy file, read at once or through a memory map; None where it is missing or damaged."""
    try:
        found = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except Exception:  # on a damaged header numpy's parser raises errors of any kind
        return None
    return registered(found) if isinstance(found, np.memmap) else found


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array of at least one dimension to an .npy file; of a mapped one, some rows at a time are in memory.

    Raises:
        OSError: it cannot be written.
    """
    array = np.ascontiguousarray(array)
    rows = max(1, WRITTEN_BYTES * len(array) // max(array.nbytes, 1))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        for start in range(0, len(array), rows):
            array[start : start + rows].tofile(file)
            if len(array) > rows:
                release_pages()


def map_bytes(path: Path) -> np.ndarray:
    """The bytes of a file, uint8, read through a memory map.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is empty.
    """
    # Slices of a plain view take half the time of slices of a memmap.
    return registered(np.memmap(path, np.uint8, mode="r")).view(np.ndarray)


def large_zeros(shape: tuple[int, ...], dtype: np.dtype | type = np.float32) -> np.ndarray:
    """An array of zeros whose memory goes back to the system with it, even where the C library keeps what is freed.

    A very large one is in a file of the cache folder that goes, too: where memory is short, the system can take it back
    before.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size < LEAST_MAPPED:
        return np.zeros(shape, dtype)
    if size <= MOST_IN_MEMORY:
        return untouched_zeros(shape, dtype)
    folder, what = cache_folder(), "an array of this run"
    check_space(folder, size, what)
    with writing(folder, what):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # it has no name; the map keeps it
            _reserve(file.fileno(), size)
            return registered(np.memmap(file, dtype, "w+", shape=shape))


def _reserve(file: int, size: int) -> None:
    """Take a file's place on the disk now: where it is lacking later, a write to the map kills the process.

    Raises:
        OSError: the disk has no room.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # the file system cannot reserve
            raise


def untouched_zeros(shape: tuple[int, ...], dtype: np.dtype | type = np.float32) -> np.ndarray:
    """An array of zeros that takes memory only where it is written to, all of which the system gets back with it."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if not size:
        return np.zeros(shape, dtype)
    return np.frombuffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), dtype).reshape(shape)


def mapped_copy(values: Tensor) -> Tensor:
    """The same values on the CPU, in an array of `large_zeros`."""
    found = torch.from_numpy(large_zeros(tuple(values.shape), values.numpy().dtype))
    return found.copy_(values)
