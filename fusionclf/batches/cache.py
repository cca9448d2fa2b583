"""Pictures decoded once, kept on disk as raw bytes and read through a memory map.

A picture is kept at its own size, or, where it is larger than training needs, scaled down so that it just
covers the asked size. The folder's name is a hash of the products, their files' sizes and times, and that size: a
changed picture gives a new cache. It is built aside and renamed, so two processes may build it at once.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from platformdirs import user_cache_path

from fusionclf.catalog import Catalog, open_picture
from fusionclf.errors import PictureError

LAYOUT = 1  # raise when the files' layout changes
Progress = Callable[[int, int], None]
UNREADABLE = (0, 0)


@dataclass(frozen=True)
class PictureCache:
    """Decoded pictures by catalog row.

    Attributes:
        pixels: uint8, all pictures' RGB bytes one after the other.
        offsets: (N,) where each picture starts in `pixels`.
        sizes: (N, 2) height and width; (0, 0) where a picture is missing or unreadable.
    """

    pixels: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray

    def picture(self, row: int) -> np.ndarray:
        """One picture, (H, W, 3) uint8."""
        height, width = self.sizes[row]
        start = self.offsets[row]
        return self.pixels[start : start + int(height) * int(width) * 3].reshape(height, width, 3)

    def readable(self, rows: np.ndarray) -> np.ndarray:
        """(n,) whether each row has a picture."""
        return self.sizes[rows].min(axis=1) > 0


def cache_folder() -> Path:
    """Where caches are kept: $FUSIONCLF_CACHE, or the user's cache folder."""
    return Path(os.environ.get("FUSIONCLF_CACHE") or user_cache_path("fusionclf"))


def open_cache(
    catalog: Catalog, cover: tuple[int, int], *, unreadable: str = "error", progress: Progress | None = None
) -> PictureCache:
    """The cache of a catalog's pictures, built where there is none yet.

    Args:
        catalog: the products; row i of the cache is row i of its table.
        cover: height and width in pixels that a picture must cover after scaling down.
        unreadable: "error" stops at the first picture that cannot be decoded, "drop" marks it.
        progress: called with the pictures done and to do.

    Raises:
        PictureError: a picture cannot be decoded and `unreadable` is "error", or the disk is full.
    """
    paths = [catalog.root / p if isinstance(p, str) and p else None for p in catalog.table["picture"]]
    folder = cache_folder() / "pictures" / _key(catalog, paths, cover)
    if not (folder / "sizes.npy").is_file():
        _build(folder, paths, cover, progress)
    sizes = np.load(folder / "sizes.npy", allow_pickle=False)
    areas = sizes.prod(axis=1, dtype=np.int64) * 3
    offsets = np.concatenate([[0], areas.cumsum()])[:-1]
    cache = PictureCache(np.memmap(folder / "pixels.bin", np.uint8, mode="r"), offsets, sizes)
    if unreadable == "error":
        _refuse_unreadable(catalog, paths, cache)
    return cache


def _key(catalog: Catalog, paths: list[Path | None], cover: tuple[int, int]) -> str:
    digest = hashlib.sha256(f"{LAYOUT} {cover} {Image.__version__}".encode())
    stats = _file_stats(paths)
    for product, path in zip(catalog.table["id"], paths, strict=True):
        digest.update(f"\n{product} {stats.get(path)}".encode())
    return digest.hexdigest()[:24]


def _file_stats(paths: list[Path | None]) -> dict[Path | None, tuple[int, int]]:
    """Size in bytes and time of change of each file, by one scan a folder."""
    wanted = set(paths)
    found: dict[Path | None, tuple[int, int]] = {}
    for folder in {path.parent for path in paths if path is not None}:
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                if (path := folder / entry.name) in wanted:
                    stat = entry.stat()
                    found[path] = (stat.st_size, stat.st_mtime_ns)
    return found


def _build(folder: Path, paths: list[Path | None], cover: tuple[int, int], progress: Progress | None) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".building-"))
    except OSError as error:
        raise PictureError(
            f"{folder.parent}: cannot be written ({error.strerror}); set FUSIONCLF_CACHE"
        ) from error
    try:
        sizes = np.zeros((len(paths), 2), np.int32)
        with (aside / "pixels.bin").open("wb") as file:
            for row, picture in enumerate(_decoded(paths, cover)):
                if picture is not None:
                    sizes[row] = picture.shape[:2]
                    file.write(picture.tobytes())
                if progress and (row % 64 == 0 or row + 1 == len(paths)):
                    progress(row + 1, len(paths))
            if file.tell() == 0:
                file.write(b"\0")  # an empty file cannot be memory-mapped
        np.save(aside / "sizes.npy", sizes)
        try:
            aside.rename(folder)
        except OSError:
            if not (folder / "sizes.npy").is_file():  # no other process was faster
                raise
    except OSError as error:
        raise PictureError(
            f"{folder.parent}: the picture cache cannot be written ({error.strerror}); "
            "free space or set FUSIONCLF_CACHE to another folder"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _decoded(paths: list[Path | None], cover: tuple[int, int]) -> Iterator[np.ndarray | None]:
    """Decoded pictures in order, a bounded number ahead."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        todo = iter(paths)
        ahead = [pool.submit(_decode, path, cover) for path in islice(todo, 256)]
        while ahead:
            done, ahead = ahead, [pool.submit(_decode, path, cover) for path in islice(todo, 256)]
            for future in done:
                yield future.result()


def _decode(path: Path | None, cover: tuple[int, int]) -> np.ndarray | None:
    if path is None:
        return None
    try:
        picture = open_picture(path)
    except PictureError:
        return None
    width, height = picture.size
    scale = max(cover[0] / height, cover[1] / width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8)


def _refuse_unreadable(catalog: Catalog, paths: list[Path | None], cache: PictureCache) -> None:
    bad = [int(row) for row in np.flatnonzero(cache.sizes.min(axis=1) == 0) if paths[row] is not None]
    if not bad:
        return
    path = paths[bad[0]]
    assert path is not None
    reason = "cannot be decoded"
    try:
        open_picture(path)
    except PictureError as error:
        reason = str(error)
    ids = ", ".join(str(catalog.table["id"].iloc[row]) for row in bad[:5])
    raise PictureError(
        f"{len(bad)} unreadable picture(s), ids {ids}{', …' if len(bad) > 5 else ''}; the first: {reason}; "
        "mend them, or set pictures.unreadable=drop"
    )
