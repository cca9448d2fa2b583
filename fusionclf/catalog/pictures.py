"""Hashes of what pictures show, and reading many of them on threads."""

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

CHUNK = 128  # pictures that a thread takes at a time

Value = TypeVar("Value")


def picture_hash(picture: Image.Image) -> str:
    """sha256 of the size and of every RGB value: equal for pictures that show the same pixels."""
    return hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()


def near_hash(picture: Image.Image) -> int:
    """A 64-bit perceptual hash: signs of the low frequencies, of which near pictures share most.

    Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions (2010), DCT hash.
    """
    grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.BILINEAR), np.float64)
    from scipy.fft import dctn  # scipy takes long to import

    low = np.asarray(dctn(grey, norm="ortho"))[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the mean brightness, low[0], must not set the threshold
    return int("".join("1" if bit else "0" for bit in bits), 2)


def map_paths(
    paths: Sequence[Path | None],
    read: Callable[[Path | None], Value],
    progress: Callable[[int, int], None] | None = None,
) -> list[Value]:
    """`read` of every path, in the order of `paths`, on as many threads as there are CPUs.

    Args:
        paths: files; None for a product without a picture.
        read: called once for every path, on any thread.
        progress: called with the number of paths that are done and in all.
    """
    stopped = threading.Event()

    def read_chunk(chunk: Sequence[Path | None]) -> list[Value]:
        return [read(path) for path in chunk if not stopped.is_set()]

    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    found: list[Value] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for values in pool.map(read_chunk, chunks):
                found += values
                if progress:
                    progress(len(found), len(paths))
        finally:
            stopped.set()  # after an interruption, each thread stops after its current picture
    return found
