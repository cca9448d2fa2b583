"""Embeddings of texts on disk, so that a text is embedded once for all commands with the same encoder.

Each command adds a folder of what it embedded. A text is found by a hash of its characters, and the text itself is not
stored.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from fusionclf.batches.disk import building, check_space, is_unchanged, load_array, save_array, write_checks
from fusionclf.caches import cache_folder
from fusionclf.errors import PictureError

FILES = HASHES, EMBEDDINGS = "hashes.npy", "embeddings.npy"
WHAT = "the cache of embeddings"
MOST_TEXTS = 200_000  # on disk, of one encoder: 300 MB of 384 numbers each; with one more, it starts again
MOST_PENDING = 16_384  # texts in memory before they are written
MOST_FOLDERS = 32  # with one more, they are joined


class KeptTexts:
    """The embeddings of one encoder on disk; safe for several threads and processes.

    Args:
        key: hash of all that an embedding depends on besides its text.
    """

    def __init__(self, key: str) -> None:
        self.folder = cache_folder() / "texts" / key
        self._lock = Lock()
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []
        self._open()

    def __len__(self) -> int:
        return len(self._sorted)

    def has(self, texts: Sequence[str], longest: int) -> np.ndarray:
        """(n,) whether each text is kept; arguments as of `find`."""
        with self._lock:
            known = self._sorted
        return np.isin(_hashes(texts, longest), known)

    def find(self, texts: Sequence[str], longest: int) -> tuple[np.ndarray, np.ndarray]:
        """What is kept of some texts.

        Args:
            texts: n texts.
            longest: tokens that are read of each.

        Returns:
            (n,) whether each is kept, and the (m, D) embeddings of the m kept ones, in their order.
        """
        hashes = _hashes(texts, longest)
        with self._lock:
            parts, order, known = self._parts, self._order, self._sorted
        if not len(known):
            return np.zeros(len(texts), bool), np.zeros((0, 0), np.float32)
        places = np.searchsorted(known, hashes).clip(max=len(known) - 1)
        is_kept = known[places] == hashes
        rows = order[places[is_kept]]
        found = np.empty((len(rows), parts[0][1].shape[1]), np.float32)
        start = 0
        for own, embeddings in parts:
            here = (rows >= start) & (rows < start + len(own))
            found[here] = embeddings[rows[here] - start]
            start += len(own)
        return is_kept, found

    def add(self, texts: Sequence[str], longest: int, embeddings: np.ndarray) -> None:
        """Keep the (n, D) embeddings of n texts; `save` writes them."""
        with self._lock:
            self._pending.append((_hashes(texts, longest), embeddings))
            is_full = sum(len(each) for each, _ in self._pending) >= MOST_PENDING
        if is_full:
            self.save()

    def save(self) -> None:
        """Write what was added; what the cache folder has no room for is left out."""
        with self._lock:
            pending, self._pending = self._pending, []
            if not pending:
                return
            hashes, places = np.unique(_joined([each for each, _ in pending]), return_index=True)
            is_new = ~np.isin(hashes, self._sorted)
            if not is_new.any():
                return
            embeddings = _joined([each for _, each in pending])
            new = hashes[is_new], embeddings[places[is_new]]
            if len(self) + len(new[0]) > MOST_TEXTS:
                self._replace(*new)
            elif len(self._folders) < MOST_FOLDERS or not self._join(*new):
                self._write(*new)
            self._open()

    def _open(self) -> None:
        """Read what is there; a folder that is damaged is removed."""
        self._folders: list[Path] = []
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        for folder in sorted(self.folder.glob("[0-9a-f]*")):
            whole = is_unchanged(folder, FILES)
            hashes, embeddings = (load_array(folder / name, mapped=name == EMBEDDINGS) for name in FILES)
            if not whole or hashes is None or embeddings is None:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            self._folders.append(folder)
            self._parts.append((hashes, embeddings))
        hashes = np.concatenate([np.zeros(0, np.uint64), *(each for each, _ in self._parts)])
        self._order = np.argsort(hashes, kind="stable")
        self._sorted = hashes[self._order]

    def _join(self, hashes: np.ndarray, embeddings: np.ndarray) -> bool:
        """Write one folder of all that is kept and of new texts; as `_replace`."""
        old_hashes, old_embeddings = zip(*self._parts, strict=True)
        return self._replace(_joined([*old_hashes, hashes]), _joined([*old_embeddings, embeddings]))

    def _replace(self, hashes: np.ndarray, embeddings: np.ndarray) -> bool:
        """Write a folder, and then remove all earlier ones; False where it cannot be written."""
        is_written = self._write(hashes, embeddings)
        for folder in self._folders if is_written else ():
            shutil.rmtree(folder, ignore_errors=True)
        return is_written

    def _write(self, hashes: np.ndarray, embeddings: np.ndarray) -> bool:
        """Write a folder; False where it cannot be written: its texts are computed again."""
        folder = self.folder / hashlib.sha256(hashes.tobytes()).hexdigest()[:24]
        try:
            check_space(self.folder, embeddings.nbytes, WHAT)
            with building(folder, WHAT, lambda made: is_unchanged(made, FILES)) as aside:
                np.save(aside / HASHES, hashes)
                save_array(aside / EMBEDDINGS, embeddings.astype(np.float32, copy=False))
                write_checks(aside, FILES)
        except PictureError:
            return False
        return True


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """One after the other; of one array, itself."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _hashes(texts: Sequence[str], longest: int) -> np.ndarray:
    """(n,) uint64; of 200,000 texts two have the same one with a chance of 1 in 10⁹."""
    whole = [f"{longest}:{text}".encode("utf-8", "surrogatepass") for text in texts]
    return np.frombuffer(b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in whole), np.uint64)
