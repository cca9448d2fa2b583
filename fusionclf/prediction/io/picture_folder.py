"""A folder of pictures: which files are pictures, and which are passed over."""

import os
from collections.abc import Iterator
from pathlib import Path

from fusionclf.catalog.decoding import READ, is_picture
from fusionclf.catalog.rows import is_utf8
from fusionclf.errors import PredictionError

SHOWN, LONGEST = 3, 80  # files that are named as examples, and characters of their names


class PictureFolder:
    """The pictures below a folder, by their content; hidden files and folders are left out.

    Args:
        path: of the folder.

    Attributes:
        passed_over: files that `names` passed over so far, for they are not pictures.
        examples: the first SHOWN of them.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.passed_over, self.examples = path, 0, list[str]()

    def names(self) -> Iterator[str]:
        """Paths of all pictures below the folder, sorted within each folder.

        Raises:
            PredictionError: a folder cannot be listed.
        """
        self.passed_over, self.examples = 0, []
        for name in self._files():
            if is_picture(os.path.join(self.path, name)):
                yield name
                continue
            self.passed_over += 1
            if len(self.examples) < SHOWN:
                self.examples.append(name)

    def count(self) -> int:
        """How many files there are: at least as many as pictures."""
        return sum(1 for _ in self._files())

    def note(self) -> str:
        """One line on the files that were passed over; "" where there are none."""
        if not self.passed_over:
            return ""
        names = ", ".join((name if is_utf8(name) else ascii(name))[:LONGEST] for name in self.examples)
        names += ", …" if self.passed_over > len(self.examples) else ""
        many = self.passed_over > 1
        files = (
            f"{self.passed_over:,} files are not pictures and were"
            if many
            else "1 file is not a picture and was"
        )
        return f"{self.path}: {files} passed over ({names}); {READ} are read"

    def _files(self) -> Iterator[str]:
        def refuse(error: OSError) -> None:
            raise PredictionError(f"{error.filename}: cannot be listed ({error.strerror}); make it readable")

        for place, folders, files in os.walk(self.path, onerror=refuse):
            linked = [name for name in folders if os.path.islink(os.path.join(place, name))]
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted([*files, *linked]):  # links to folders are not followed: they may form a ring
                if not name.startswith("."):
                    yield os.path.relpath(os.path.join(place, name), self.path)
