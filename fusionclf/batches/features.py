"""Features of frozen encoders, computed once and stored on disk.

Their key is a hash of everything that they depend on: the encoder's weights, and the pictures or texts that it reads.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches.disk import (
    building,
    check_readable,
    check_space,
    is_unchanged,
    load_array,
    prepare_folder,
    save_array,
    write_checks,
)
from fusionclf.batches.stored import PictureCache
from fusionclf.caches import cache_folder
from fusionclf.errors import PictureError

FILES = ("features.npy", "meta.json")
LAYOUT = 1  # raise when the transform of pictures or the pooling of titles changes
Cached = tuple[np.ndarray, dict[str, float]]


def cached_features(
    kind: str,
    key: str,
    rows: int,
    compute: Callable[[], np.ndarray],
    agree: Callable[[bool], bool] = lambda there: there,
    warn: Callable[[str], None] = lambda text: None,
) -> Cached:
    """Features from the disk; computed and stored where they are missing or damaged.

    The whole file is read once for its checksum: 0.07 s of processor time for 230 MB.

    Args:
        kind: name of the folder, such as "pictures".
        key: hash of everything that the features depend on.
        rows: number of rows, N.
        compute: returns the features, (N, D).
        agree: whether all processes have the features, given whether this one has; where one lacks them, all
            compute.
        warn: called with a message where the features are damaged.

    Returns:
        The features, float32, read through a memory map; and `seconds` of their computation, and `rows`.

    Raises:
        PictureError: the disk is full, or the cache's folder cannot be read or written.
    """
    folder = cache_folder() / "features" / kind / key
    check_readable(folder)
    was_there = folder.exists()
    cached = _read(folder, rows)
    if was_there and cached is None:
        warn(f"{folder}: damaged; these features are computed again")
    if not agree(cached is not None):
        prepare_folder(folder.parent)  # it may raise, so before hours of work
        started = time.perf_counter()
        features = np.ascontiguousarray(compute(), np.float32)
        _write(folder, features, time.perf_counter() - started)
        cached = _read(folder, rows)
    if cached is None:
        raise PictureError(f"{folder}: another process removed or damaged these features; start again")
    return cached


def mean_features(features: np.ndarray, pictures: PictureCache) -> np.ndarray:
    """(N, D) mean of the features of each product's pictures that can be read; of one picture, its own.

    Args:
        features: (P, D) of all pictures.
        pictures: which of them each of N products has.
    """
    if pictures.starts is None:
        return features
    places, owners = pictures.read_places(np.arange(len(pictures.starts) - 1))
    first = np.searchsorted(owners, np.arange(len(pictures.starts) - 1))
    sums = np.add.reduceat(features[places], first, axis=0)
    return sums / np.bincount(owners)[:, None].astype(np.float32)


def _write(folder: Path, features: np.ndarray, seconds: float) -> None:
    what = "the cache of features"
    check_space(folder.parent, features.nbytes, what)
    with building(folder, what, lambda made: _read(made, len(features)) is not None) as aside:
        save_array(aside / "features.npy", features)
        meta = {"seconds": seconds, "rows": len(features)}
        (aside / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        write_checks(aside, FILES)


def _read(folder: Path, rows: int) -> Cached | None:
    """The features in a folder; None where they are missing or damaged."""
    if not is_unchanged(folder, FILES):
        return None
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    features = load_array(folder / "features.npy", mapped=True)
    if features is None or len(features) != rows:
        return None
    return features, {"seconds": float(meta["seconds"]), "rows": float(meta["rows"])}


def fingerprint(tensors: Mapping[str, Tensor], *others: object) -> str:
    """A hash of tensors' names, shapes, dtypes and values, and of further objects.

    Args:
        tensors: such as a state dict; their order does not count.
        others: what else the features depend on, such as a picture cache's key; hashed by their `str`.
    """
    digest = hashlib.sha256()
    _add_texts(digest, [str(other) for other in (LAYOUT, *others)])
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        _add_texts(digest, [name, str(tensor.dtype), str(tuple(tensor.shape))])
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:24]


def text_fingerprint(texts: Sequence[str]) -> str:
    """A hash of texts in their order."""
    digest = hashlib.sha256()
    _add_texts(digest, texts)
    return digest.hexdigest()[:24]


def _add_texts(digest: "hashlib._Hash", texts: Sequence[str]) -> None:
    """Add texts, each after its length, and first their number: so different lists give different bytes."""
    digest.update(f"{len(texts)};".encode())
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(f"{len(encoded)}:".encode() + encoded)
