"""The files of a picture cache, and the checksums that tell its pictures from damage.

pixels.bin holds all pictures' RGB bytes one after the other, sizes.npy their heights and widths, digests.npy hashes of
what they show. checks.json holds the CRC-32 of both tables, and of the pixels of every BLOCK pictures.
"""

import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fusionclf.batches.disk import checksum, load_array

BLOCK = 256  # pictures that share a checksum, and are decoded again together
PIXELS, TABLES, CHECKS = "pixels.bin", ("sizes.npy", "digests.npy"), "checks.json"


@dataclass(frozen=True)
class PictureCache:
    """Decoded pictures by catalog row.

    Attributes:
        pixels: uint8, all pictures' RGB bytes one after the other.
        offsets: (N,) where each picture starts in `pixels`.
        sizes: (N, 2) height and width; (0, 0) where a picture is missing or unreadable.
        key: names the pictures and their size: another key, other pixels.
        digests: (N,) uint64, equal for pictures that are pixel for pixel alike before they are scaled down, 0 where
            a picture is missing or unreadable; None where they were not asked for.
    """

    pixels: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    key: str = ""
    digests: np.ndarray | None = None

    def picture(self, row: int) -> np.ndarray:
        """One picture, (H, W, 3) uint8."""
        height, width = self.sizes[row]
        start = self.offsets[row]
        return self.pixels[start : start + int(height) * int(width) * 3].reshape(height, width, 3)

    def readable(self, rows: np.ndarray) -> np.ndarray:
        """(n,) whether each row has a picture."""
        return self.sizes[rows].min(axis=1) > 0


@dataclass(frozen=True)
class StoredCache:
    """A cache on disk whose tables are intact; `damaged_rows` checks its pixels.

    Attributes:
        folder: where its files are.
        cache: the cache, its pixels read through a memory map.
        block: number of pictures that share a checksum.
        checksums: the blocks' CRC-32 as they were written.
    """

    folder: Path
    cache: PictureCache
    block: int
    checksums: list[Any]

    def damaged_rows(self) -> np.ndarray:
        """(n,) rows of all blocks whose pixels are not those that were written.

        All pixels are read, on all cores: 0.3 s of processor time for 640 MB, which 44,441 pictures of 80×60 take.
        """
        bounds = [*self.cache.offsets[:: self.block].tolist(), _byte_counts(self.cache.sizes).sum()]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(partial(_block_checksum, self.folder / PIXELS), pairwise(bounds))
            is_damaged = [now != then for now, then in zip(found, self.checksums, strict=True)]
        rows = np.arange(len(self.cache.sizes))
        return rows[np.isin(rows // self.block, np.flatnonzero(is_damaged))]


def _block_checksum(file: Path, bounds: tuple[int, int]) -> int | None:
    """None where the disk cannot read the block."""
    try:
        return checksum(file, *bounds)
    except OSError:
        return None


def _byte_counts(sizes: np.ndarray) -> np.ndarray:
    """(N,) bytes of each picture."""
    return sizes.prod(axis=1, dtype=np.int64) * 3


def read_cache(folder: Path, count: int) -> StoredCache | None:
    """The cache of `count` products in a folder; None where there is none or it cannot be repaired block by block."""
    try:
        checks = json.loads((folder / CHECKS).read_text(encoding="utf-8"))
        if any(checksum(folder / name) != checks[name] for name in TABLES):
            return None
        block, checksums = checks["block"], checks["pixels"]
        pixels = np.memmap(folder / PIXELS, np.uint8, mode="r")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    sizes, digests = (load_array(folder / name) for name in TABLES)
    if sizes is None or digests is None or sizes.shape != (count, 2) or digests.shape != (count,):
        return None
    areas = _byte_counts(sizes)
    if len(pixels) != max(1, areas.sum()) or not isinstance(block, int) or block < 1:
        return None
    if not isinstance(checksums, list) or len(checksums) != -(-count // block):
        return None
    # A plain view: slices of it take half the time that slices of a memmap take.
    view = pixels.view(np.ndarray)
    cache = PictureCache(view, areas.cumsum() - areas, sizes, folder.name, digests)
    return StoredCache(folder, cache, block, checksums)


def is_intact(folder: Path, count: int) -> bool:
    """Whether a folder holds a cache of `count` products without any damage."""
    stored = read_cache(folder, count)
    return stored is not None and not len(stored.damaged_rows())


class CacheWriter:
    """Writes the files of a cache into a folder, picture by picture in the order of rows.

    Args:
        folder: where the files go.
        count: number of products.

    Attributes:
        done: number of pictures that were added.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.done = folder, 0
        self._sizes, self._digests = np.zeros((count, 2), np.int32), np.zeros(count, np.uint64)
        self._checksums: list[int] = []

    def __enter__(self) -> "CacheWriter":
        self._file = (self.folder / PIXELS).open("wb")
        return self

    def add(self, height: int, width: int, pixels: bytes, digest: int) -> None:
        """The next row's picture; an empty one, of height and width 0, where there is none."""
        if self.done % BLOCK == 0:
            self._checksums.append(0)
        self._checksums[-1] = zlib.crc32(pixels, self._checksums[-1])
        self._sizes[self.done], self._digests[self.done] = (height, width), digest
        self._file.write(pixels)
        self.done += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if self._file.tell() == 0:
                self._file.write(b"\0")  # an empty file cannot be memory-mapped
        if error is not None:
            return
        for name, table in zip(TABLES, (self._sizes, self._digests), strict=True):
            np.save(self.folder / name, table)
        checks = {"block": BLOCK, "pixels": self._checksums}
        checks |= {name: checksum(self.folder / name) for name in TABLES}
        (self.folder / CHECKS).write_text(json.dumps(checks), encoding="utf-8")
