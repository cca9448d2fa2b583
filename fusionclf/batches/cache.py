"""Pictures decoded once, stored on disk as raw bytes and read through a memory map.

A picture is stored at its own size, or, where it is larger than training needs, scaled down until it just covers the
requested size. The folder's name is a hash of the products, their files' names, sizes and times, and that size, so a
changed picture gives a new cache. A picture that could not be decoded is tried again whenever the cache is opened. The
cache also holds hashes of the pictures at their own size. stored.py describes the files and the detection of damage.
"""

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fusionclf.batches.catalog_pictures import (
    cache_key,
    has_picture,
    picture_files,
    picture_ids,
    raise_unreadable,
    unreadable_rows,
)
from fusionclf.batches.disk import building, check_readable, check_space, writing
from fusionclf.batches.features import text_fingerprint
from fusionclf.batches.stored import PIXELS, CacheWriter, PictureCache, StoredCache, read_cache
from fusionclf.caches import cache_folder
from fusionclf.catalog import Catalog, decoded_picture, picture_hash, picture_size
from fusionclf.console import size_text
from fusionclf.errors import PictureError

CACHE = "the picture cache"  # its name in messages
MOST_COVERS = 4  # a long picture is scaled down to this multiple of the requested area
CHUNK = 16  # pictures that a thread decodes at a time
HEADERS = 64  # pictures from which the size of a cache is estimated
Progress = Callable[[int, int], None]
Picture = str | Path | bytes | Image.Image | None


def open_cache(
    catalog: Catalog,
    cover: tuple[int, int],
    *,
    unreadable: str = "error",
    progress: Progress | None = None,
    info: Callable[[str], None] | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> PictureCache:
    """The cache of a catalog's pictures, built where there is none yet; damaged pictures are decoded again.

    Args:
        catalog: the products; product i of the cache is row i of its table.
        cover: height and width in pixels that a picture must cover after scaling down.
        unreadable: "error" stops at the first picture that cannot be decoded, "drop" marks it.
        progress: called with the number of pictures that are done and in all.
        info: called with the size and place of a cache before it is built.
        warn: called with a message where the cache is damaged.

    Raises:
        PictureError: a picture cannot be decoded and `unreadable` is "error", the disk has no room, or this user may
            not read the cache.
    """
    folder = cache_folder() / "pictures" / cache_key(catalog, cover)
    check_readable(folder)
    was_there, owners = folder.exists(), catalog.picture_owners
    stored = read_cache(folder, len(owners))
    fault = "damaged"
    if stored is not None and _repair(stored, catalog, cover, progress, warn):
        fault = _outdated(stored.cache, catalog, cover)
    if fault:
        if was_there:
            warn(f"{folder}: {fault}; all its pictures are decoded again")
        _announce(folder.parent, catalog, cover, info)
        _build(folder, catalog, cover, progress)
        stored = read_cache(folder, len(owners))
    if stored is None:
        raise PictureError(f"{folder}: another process removed or damaged this picture cache; start again")
    bad = unreadable_rows(catalog, stored.cache)
    if unreadable == "error":
        raise_unreadable(catalog, bad)
    key = f"{folder.name}-{text_fingerprint([str(row) for row in bad])}" if len(bad) else folder.name
    starts = np.searchsorted(owners, np.arange(len(catalog) + 1)) if len(owners) > len(catalog) else None
    return replace(stored.cache, key=key, starts=starts)


def decode_pictures(
    pictures: Iterable[Picture], cover: tuple[int, int], starts: np.ndarray | None = None
) -> PictureCache:
    """As `open_cache`, but in memory: place i is picture i; one that cannot be decoded has the size (0, 0).

    Args:
        pictures: files, their bytes, opened pictures, or None where there is none.
        cover: height and width in pixels that a picture must cover after scaling down.
        starts: as of PictureCache.
    """
    pixels, sizes = bytearray(), []
    for chunk in _decoded(iter(pictures), cover):
        for picture in chunk:
            pixels += picture.pixels
            sizes.append((picture.height, picture.width))
    found = np.array(sizes, np.int32).reshape(-1, 2)
    areas = found.prod(axis=1, dtype=np.int64) * 3
    return PictureCache(np.frombuffer(pixels, np.uint8), areas.cumsum() - areas, found, starts=starts)


def _repair(
    stored: StoredCache,
    catalog: Catalog,
    cover: tuple[int, int],
    progress: Progress | None,
    warn: Callable[[str], None],
) -> bool:
    """Decode the pictures of damaged chunks again, in place; return whether the cache is then intact.

    Other processes may do the same meanwhile: they write the same bytes.

    Raises:
        PictureError: the cache cannot be written.
    """
    rows = stored.damaged_rows()
    if not len(rows):
        return True
    ids = ", ".join(map(str, picture_ids(catalog)[rows[:3]]))
    warn(
        f"{stored.folder}: damaged; decoding {len(rows)} pictures (ids {ids}{', …' * (len(rows) > 3)}) again"
    )
    wanted, sizes = set(rows.tolist()), stored.cache.sizes.tolist()
    paths = (path for row, path in enumerate(picture_files(catalog)) if row in wanted)
    pictures = chain.from_iterable(_decoded(paths, cover))
    with writing(stored.folder, CACHE), (stored.folder / PIXELS).open("r+b") as file:
        for done, (row, picture) in enumerate(zip(rows.tolist(), pictures, strict=True), start=1):
            if [picture.height, picture.width] == sizes[row]:  # else the checksums show that it changed
                file.seek(int(stored.cache.offsets[row]))
                file.write(picture.pixels)
            if progress:
                progress(done, len(rows))
        file.flush()
        os.fsync(file.fileno())
    return not len(stored.damaged_rows())


def _outdated(cache: PictureCache, catalog: Catalog, cover: tuple[int, int]) -> str:
    """Why a whole cache must be built again: it lacks a picture that can be decoded now; "" where it lacks none.

    A file without permission, a disk's error or a lack of memory may go without a change of the file.
    """
    bad = set(unreadable_rows(catalog, cache).tolist())
    paths = (path for row, path in enumerate(picture_files(catalog)) if row in bad)
    found = bad and any(picture.height for picture in chain.from_iterable(_decoded(paths, cover)))
    return "pictures that could not be decoded can be read now" if found else ""


def _announce(
    parent: Path, catalog: Catalog, cover: tuple[int, int], info: Callable[[str], None] | None
) -> None:
    """Announce the size of a cache; raise PictureError where the disk has no room for it."""
    count, wanted = _expected(catalog, cover)
    if info is not None:
        info(f"picture cache: {count:,} pictures, about {size_text(wanted)}, in {parent}")
    check_space(parent, wanted, CACHE)


def _expected(catalog: Catalog, cover: tuple[int, int]) -> tuple[int, int]:
    """Number of pictures and an estimate of their bytes, from the headers of some of them."""
    rows = np.flatnonzero(has_picture(catalog))
    if not len(rows):
        return 0, 1
    count = len(rows) + sum(map(len, catalog.further_pictures.values()))
    chosen = rows[np.linspace(0, len(rows) - 1, min(HEADERS, len(rows))).astype(np.int64)]
    names = catalog.table["picture"].iloc[chosen]
    taken = [_expected_bytes(os.path.join(catalog.root, name), cover) for name in names]
    return count, round(sum(taken) / len(taken) * count)


def _expected_bytes(path: str, cover: tuple[int, int]) -> int:
    try:
        width, height = _stored_size(picture_size(path), cover)
    except PictureError:  # the build reports unreadable pictures
        return 0
    return width * height * 3


def _stored_size(size: tuple[int, int], cover: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the stored picture: it just covers `cover`, with at most MOST_COVERS times its area."""
    width, height = size
    most = math.sqrt(MOST_COVERS * cover[0] * cover[1] / (width * height))
    scale = min(max(cover[0] / height, cover[1] / width), most)
    return size if scale >= 1 else (max(1, round(width * scale)), max(1, round(height * scale)))


def _build(folder: Path, catalog: Catalog, cover: tuple[int, int], progress: Progress | None) -> None:
    count = len(catalog.picture_owners)

    def is_whole(made: Path) -> bool:
        stored = read_cache(made, count)
        return bool(stored and not len(stored.damaged_rows()) and not _outdated(stored.cache, catalog, cover))

    with building(folder, CACHE, is_whole) as aside, CacheWriter(aside, count) as writer:
        for pictures in _decoded(picture_files(catalog), cover, hashed=True):
            for picture in pictures:
                writer.add(*picture)
            if progress:
                progress(writer.done, count)


class _Decoded(NamedTuple):
    height: int
    width: int
    pixels: bytes
    digest: int = 0


NO_PICTURE = _Decoded(0, 0, b"")


def _decoded(
    pictures: Iterator[Picture], cover: tuple[int, int], *, hashed: bool = False
) -> Iterator[list[_Decoded]]:
    """Decoded pictures in order, in chunks; a bounded number of chunks is decoded in advance."""
    threads = os.cpu_count() or 1
    pending: deque[Future[list[_Decoded]]] = deque()
    stopped = threading.Event()

    def decode_chunk(chunk: list[Picture]) -> list[_Decoded]:
        return [_decode(one, cover, hashed) for one in chunk if not stopped.is_set()]

    with ThreadPoolExecutor(threads) as pool:
        try:
            while chunk := list(islice(pictures, CHUNK)):
                pending.append(pool.submit(decode_chunk, chunk))
                if len(pending) > threads + 1:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            stopped.set()  # after an interruption, each thread stops after its current picture


def _decode(source: Picture, cover: tuple[int, int], hashed: bool) -> _Decoded:
    if source is None:
        return NO_PICTURE
    try:
        with decoded_picture(source) as decoded:
            picture = decoded.picture
            digest = int(picture_hash(picture)[:16], 16) if hashed else 0
            size = _stored_size(picture.size, cover)
            if size != picture.size:
                picture = picture.resize(size, Image.Resampling.BILINEAR)
            return _Decoded(picture.height, picture.width, picture.tobytes(), digest)
    except PictureError:
        return NO_PICTURE
