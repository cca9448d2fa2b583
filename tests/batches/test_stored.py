"""The picture cache's files: damage is detected, reported, and repaired chunk by chunk."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusionclf.batches import PictureCache, open_cache, stored
from fusionclf.catalog import Catalog, read_catalog
from fusionclf.errors import PictureError
from tests.small import write_catalog

COUNT, BYTES = 40, 8 * 6 * 3  # products, and the bytes of each one's picture


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stored, "CHUNK", 16)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    rows = [f"{n:02},Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt {n}" for n in range(COUNT)]
    return read_catalog(write_catalog(tmp_path / "catalog", rows))


def opened(catalog: Catalog) -> tuple[PictureCache, list[str], list[int]]:
    """The cache, the warnings, and the last number of pictures that were decoded."""
    warned: list[str] = []
    done: list[int] = [0]
    cache = open_cache(
        catalog, cover=(64, 64), warn=warned.append, progress=lambda count, _: done.append(count)
    )
    return cache, warned, done[-1:]


def damage(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as handle:
        handle.seek(at)
        handle.write(content)


def pixels_of(cache: PictureCache) -> list[bytes]:
    return [cache.picture(row).tobytes() for row in range(COUNT)]


def place(tmp_path: Path, cache: PictureCache) -> Path:
    return tmp_path / "cache" / "pictures" / cache.key.partition("-")[0]


def test_zeroed_pixels_are_decoded_again_by_chunk(catalog: Catalog, tmp_path: Path) -> None:
    cache, _, _ = opened(catalog)
    before, key = pixels_of(cache), cache.key
    file = place(tmp_path, cache) / "pixels.bin"
    inode = file.stat().st_ino
    damage(file, 17 * BYTES, bytes(3 * BYTES))
    cache, warned, done = opened(catalog)
    assert pixels_of(cache) == before and cache.key == key
    assert done == [16]  # the second of three chunks, and no other
    assert file.stat().st_ino == inode
    assert len(warned) == 1 and len(warned[0]) <= 400
    assert "damaged" in warned[0] and "16 pictures (ids 16, 17, 18, …)" in warned[0]
    assert opened(catalog)[1:] == ([], [0])


@pytest.mark.parametrize("at", [0, 100, COUNT * BYTES - 1])
def test_one_flipped_bit_is_noticed(catalog: Catalog, tmp_path: Path, at: int) -> None:
    cache, _, _ = opened(catalog)
    before, file = pixels_of(cache), place(tmp_path, cache) / "pixels.bin"
    damage(file, at, bytes([file.read_bytes()[at] ^ 1]))
    cache, warned, _ = opened(catalog)
    assert pixels_of(cache) == before and len(warned) == 1


def test_a_process_that_reads_meanwhile_sees_the_repair(catalog: Catalog, tmp_path: Path) -> None:
    reader, _, _ = opened(catalog)
    before = pixels_of(reader)
    damage(place(tmp_path, reader) / "pixels.bin", BYTES, bytes(BYTES))
    assert pixels_of(reader) != before
    opened(catalog)
    assert pixels_of(reader) == before


@pytest.mark.parametrize("file", ["sizes.npy", "digests.npy", "checks.json"])
@pytest.mark.parametrize("harm", ["flip", "zero", "cut", "gone", "shorter"])
def test_damaged_tables_are_built_again(catalog: Catalog, tmp_path: Path, file: str, harm: str) -> None:
    cache, _, _ = opened(catalog)
    before, digests = pixels_of(cache), cache.digests
    damaged = place(tmp_path, cache) / file
    content = bytearray(damaged.read_bytes())
    if harm == "flip":
        content[-20] ^= 1
    elif harm == "zero":
        content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    elif harm == "cut":
        content = content[: len(content) // 2]
    elif harm == "shorter" and file == "checks.json":
        checks = json.loads(content)
        content = bytearray(json.dumps({**checks, "pixels": checks["pixels"][:-1]}).encode())
    damaged.write_bytes(content)
    if harm == "gone":
        damaged.unlink()
    if harm == "shorter" and file != "checks.json":
        np.save(damaged, np.load(place(tmp_path, cache) / file)[:-3])
    cache, warned, _ = opened(catalog)
    assert pixels_of(cache) == before
    assert cache.digests is not None and np.array_equal(cache.digests, digests)  # pyright: ignore
    assert len(warned) >= 1 and "damaged" in warned[0]
    assert opened(catalog)[1:] == ([], [0])


@pytest.mark.parametrize("length", [0, 1, 700, COUNT * BYTES - 1, COUNT * BYTES + 1, 3 * COUNT * BYTES])
def test_pixels_of_another_length_are_built_again(catalog: Catalog, tmp_path: Path, length: int) -> None:
    cache, _, _ = opened(catalog)
    before = pixels_of(cache)
    os.truncate(place(tmp_path, cache) / "pixels.bin", length)
    cache, warned, done = opened(catalog)
    assert pixels_of(cache) == before
    assert done == [COUNT] and len(warned) == 1


def test_another_catalogs_files_are_built_again(catalog: Catalog, tmp_path: Path) -> None:
    """A whole cache of other products, in this one's place: its checksums fit, its number of rows does not."""
    cache, _, _ = opened(catalog)
    before = pixels_of(cache)
    rows = [f"{n:02},Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt {n}" for n in range(7)]
    other, _, _ = opened(read_catalog(write_catalog(tmp_path / "other", rows)))
    shutil.rmtree(place(tmp_path, cache))
    shutil.copytree(place(tmp_path, other), place(tmp_path, cache))
    cache, warned, _ = opened(catalog)
    assert pixels_of(cache) == before and len(warned) == 1


def test_changed_decoding_builds_the_cache_again(catalog: Catalog, tmp_path: Path) -> None:
    cache, _, _ = opened(catalog)
    picture = catalog.root / "images" / "03.jpg"
    stat = picture.stat()
    for size in ((5, 5), (6, 8)):  # the file's length and time stay, and so does the key; the pixels do not
        Image.new("RGB", size, (250, 250, 250)).save(picture)
        picture.write_bytes(picture.read_bytes().ljust(stat.st_size, b"\0")[: stat.st_size])
        os.utime(picture, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        damage(place(tmp_path, cache) / "pixels.bin", 3 * BYTES, bytes(75))
        again, warned, done = opened(catalog)
        assert again.key == cache.key and done == [COUNT]
        assert again.sizes[3].tolist() == [*reversed(size)] and again.picture(3).min() > 200
        assert len(warned) == 2 and "all its pictures are decoded again" in warned[1]
        assert opened(catalog)[1:] == ([], [0])


def test_a_damaged_cache_that_cannot_be_written_is_one_line(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, _, _ = opened(catalog)
    damage(place(tmp_path, cache) / "pixels.bin", BYTES, bytes(BYTES))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PictureError, match=r"pictures.*No space left.*FUSIONCLF_CACHE") as caught:
        opened(catalog)
    assert len(str(caught.value)) <= 400


def test_unreadable_pictures_in_a_damaged_chunk_stay_marked(catalog: Catalog, tmp_path: Path) -> None:
    (catalog.root / "images" / "02.jpg").write_bytes(b"not a picture")
    first = open_cache(catalog, cover=(64, 64), unreadable="drop")
    damage(place(tmp_path, first) / "pixels.bin", BYTES, bytes(BYTES))
    again = open_cache(catalog, cover=(64, 64), unreadable="drop")
    assert np.flatnonzero(~again.readable(np.arange(COUNT))).tolist() == [2]
    assert again.picture(1).any()
