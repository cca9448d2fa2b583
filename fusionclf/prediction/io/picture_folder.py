"""The pictures of a folder; other files are skipped and counted."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from fusionclf.catalog.decoding import READ, is_picture
from fusionclf.catalog.tables import is_utf8
from fusionclf.errors import PredictionError

EXAMPLES, LONGEST = 3, 80  # skipped files that are named, and characters of their names


class PictureFolder:
    """The pictures below a folder, recognised by content; hidden files and folders are skipped silently.

    Args:
        path: of the folder.

    Attributes:
        skipped: number of files that `names` skipped so far because they are not pictures.
        examples: the first EXAMPLES of them.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.skipped, self.examples = path, 0, list[str]()

    def names(self) -> Iterator[str]:
        """Paths of all pictures below the folder, sorted within each folder.

        Raises:
            PredictionError: a folder cannot be listed.
        """
        self.skipped, self.examples = 0, []
        for name in self._files():
            if is_picture(os.path.join(self.path, name)):
                yield name
                continue
            self.skipped += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(name)

    def count(self) -> int:
        """Number of files: at least the number of pictures."""
        return sum(1 for _ in self._files())

    def state(self) -> dict[str, int | str]:
        """Number of files, and a hash of their names, sizes and modification times."""
        count, digest = 0, hashlib.sha256()
        for name in self._files():
            count += 1
            digest.update(f"{name!a} {_size_and_time(os.path.join(self.path, name))}\n".encode())
        return {"files": count, "hash": digest.hexdigest()[:16]}

    def note(self) -> str:
        """One line on the skipped files; "" without any."""
        if not self.skipped:
            return ""
        names = ", ".join((name if is_utf8(name) else ascii(name))[:LONGEST] for name in self.examples)
        names += ", …" if self.skipped > len(self.examples) else ""
        many = self.skipped > 1
        files = (
            f"{self.skipped:,} files are not pictures and were" if many else "1 file is not a picture and was"
        )
        return f"{self.path}: {files} skipped ({names}); {READ} are read"

    def _files(self) -> Iterator[str]:
        def refuse(error: OSError) -> None:
            raise PredictionError(f"{error.filename}: cannot be listed ({error.strerror}); make it readable")

        for place, folders, files in os.walk(self.path, onerror=refuse):
            linked = [name for name in folders if os.path.islink(os.path.join(place, name))]
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted([*files, *linked]):  # links to folders are not followed: they may form a cycle
                if not name.startswith("."):
                    yield os.path.relpath(os.path.join(place, name), self.path)


def _size_and_time(file: str) -> tuple[int, int] | None:
    """Size and modification time of a file; None for a broken link."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
