"""Facts about pictures that only decoding shows: size, mode, how they look, and hashes of what they show.

They are kept in the cache folder, a file for each catalog, so that no command decodes a picture again that has not
changed since. A picture is known by its place, its size in bytes and its time of change.
"""

import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from fusionclf.caches import cache_folder
from fusionclf.catalog.appearance import Appearance, appearance
from fusionclf.catalog.decoding import decoded_picture
from fusionclf.catalog.pictures import map_paths, near_hash, picture_hash
from fusionclf.errors import PictureError, RunError
from fusionclf.files import replacing

LAYOUT = 2  # raise when the fields or the decoded pixels change
MOST_STALE = 2  # kept facts are at most this many times those of the pictures that are there
FIELDS = np.dtype(
    [
        ("key", "<u8"), ("digest", "V32"), ("near", "<u8"), ("has_near", "?"),
        ("width", "<i4"), ("height", "<i4"), ("mode", "S8"), ("turned", "?"),
        *((name, "<f4") for name in Appearance._fields),
    ]
)  # fmt: skip
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Inspections:
    """Facts about P pictures.

    Attributes:
        table: (P,) FIELDS; all 0 for a picture that is missing or cannot be used.
        faults: place of each picture that cannot be used → reason.
    """

    table: np.ndarray
    faults: dict[int, str]

    @property
    def decoded(self) -> np.ndarray:
        """(P,) whether each picture can be used."""
        return self.table["width"] > 0

    @property
    def digests(self) -> list[bytes | None]:
        """Equal for pictures with the same pixels; None where there is none."""
        found = zip(self.table["digest"].tolist(), self.decoded.tolist(), strict=True)
        return [digest if there else None for digest, there in found]

    @property
    def near_hashes(self) -> list[int | None]:
        """Perceptual hashes of 64 bits; None where there is none."""
        found = zip(self.table["near"].tolist(), self.table["has_near"].tolist(), strict=True)
        return [value if there else None for value, there in found]

    @property
    def appearances(self) -> list[Appearance | None]:
        """How each picture looks; None where there is none."""
        rows = self.table[list(Appearance._fields)].tolist()
        return [Appearance(*row) if there else None for row, there in zip(rows, self.decoded, strict=True)]


def inspect_pictures(
    root: Path, paths: Sequence[Path | None], *, near: bool = False, progress: Progress | None = None
) -> Inspections:
    """Facts about pictures; those that are not kept yet are decoded.

    Args:
        root: the catalog's folder.
        paths: the pictures; None where there is none.
        near: compute perceptual hashes, too.
        progress: called with the number of pictures that are decoded, and to decode in all.
    """
    keys = np.array([_file_key(path) for path in paths], np.uint64)
    file = _file(root)
    kept = _read(file)
    places = np.minimum(np.searchsorted(kept["key"], keys), max(len(kept) - 1, 0))
    table = np.zeros(len(paths), FIELDS)
    if len(kept):
        known = (keys > 0) & (kept["key"][places] == keys) & (kept["has_near"][places] | (not near))
        table[known] = kept[places[known]]
    todo = [place for place, path in enumerate(paths) if path is not None and not table["width"][place]]
    found = map_paths([paths[place] for place in todo], partial(_inspect, near=near), progress)
    faults = {place: each for place, each in zip(todo, found, strict=True) if isinstance(each, str)}
    for place, each in zip(todo, found, strict=True):
        if not isinstance(each, str):
            table[place] = (keys[place], *each)
    if len(faults) < len(todo):
        _write(file, table, kept)
    return Inspections(table, faults)


def _file(root: Path) -> Path:
    """Where the facts about a catalog's pictures are; decoders of another version may give other pixels."""
    text = f"{LAYOUT} {Image.__version__} {simplejpeg.__version__} {root.resolve()}"
    return cache_folder() / "inspections" / f"{hashlib.sha256(os.fsencode(text)).hexdigest()[:24]}.npz"


def _file_key(path: Path | None) -> int:
    """Hash of a file's place, size and time of change; 0 where there is none."""
    if path is None:
        return 0
    try:
        found = os.stat(path)
    except OSError:
        return 0
    text = os.fsencode(os.path.abspath(path)) + f"\0{found.st_size} {found.st_mtime_ns}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") or 1


def _inspect(path: Path | None, near: bool) -> tuple[Any, ...] | str:
    """The FIELDS of a picture after its key, or why it cannot be used."""
    assert path is not None
    try:
        with decoded_picture(path) as decoded:
            digest = bytes.fromhex(picture_hash(decoded.picture))
            value = near_hash(decoded.picture) if near else 0
            looks = appearance(decoded.picture)
            return (digest, value, near, *decoded.size, decoded.mode.encode(), decoded.turned, *looks)
    except PictureError as error:
        return str(error).removeprefix(f"{path}: ")


def _read(file: Path) -> np.ndarray:
    """(n,) kept FIELDS in the order of keys; none where the file is missing or damaged."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            found = arrays["table"]  # its checksum is compared
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return np.zeros(0, FIELDS)
    return found if found.dtype == FIELDS and found.ndim == 1 else np.zeros(0, FIELDS)


def _write(file: Path, table: np.ndarray, kept: np.ndarray) -> None:
    """Keep the facts of a table, and those that were kept before as long as they are not too many."""
    own = table[table["key"] > 0]
    if len(kept) <= MOST_STALE * len(own):
        own = np.concatenate([own, kept])
    own = own[np.unique(own["key"], return_index=True)[1]]  # sorted; of two with one key, the first
    with suppress(RunError), replacing(file) as aside, aside.open("wb") as opened:  # it costs time alone
        np.savez(opened, table=own)
