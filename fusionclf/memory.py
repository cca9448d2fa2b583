"""What this process keeps in memory between the phases of a command."""

import ctypes
import gc
import mmap
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from weakref import WeakSet

import numpy as np

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8  # names of malloc.h
LARGE_BLOCK, MOST_BLOCKS = 2**23, 2**16  # bytes; and how many blocks glibc allows
_maps = WeakSet[mmap.mmap]()


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next step, where it is glibc.

    By default it gives large blocks back to the system at once and asks for them again in the next step, and the
    system clears every page of them: a quarter of a training step on a CPU (benchmarks/train_throughput.py). All
    threads share one heap from now on: those of their own are not given back by `give_back_memory`.

    Source: mallopt(3), parameters M_MMAP_MAX, M_TRIM_THRESHOLD and M_ARENA_MAX.
    """
    if _has_glibc():
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, 1)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, -1)  # never


def give_back_memory() -> None:
    """Give what is not used back to the system, after a phase that needed much of it.

    Where the C library is glibc, it also gives blocks of 8 MB and more back as soon as they are freed, from now on.

    Source: malloc_trim(3); mallopt(3), parameters M_MMAP_MAX and M_MMAP_THRESHOLD.
    """
    release_pages()
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.default_memory_pool().release_unused()
    if _has_glibc():
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, MOST_BLOCKS)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
        library.malloc_trim(0)


def _has_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"


def registered(array: np.memmap) -> np.memmap:
    """The same array of a mapped file; `release_pages` knows it from now on."""
    _maps.add(array._mmap)  # pyright: ignore[reportAttributeAccessIssue]
    return array


def release_pages() -> None:
    """Take what was read of mapped files out of this process's memory; it is read again when it is needed.

    Source: madvise(2), MADV_DONTNEED of a shared mapping.
    """
    for opened in list(_maps):
        with suppress(OSError, ValueError):  # a map that was closed
            opened.madvise(mmap.MADV_DONTNEED)


@contextmanager
def no_cycle_collection() -> Iterator[None]:
    """Within it, Python does not search for cycles of unused objects.

    For imports and loading, whose many new objects stay: each search would go through all of them in vain.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
