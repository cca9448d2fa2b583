"""The pictures that rows of a file to predict name: cells → files below one folder."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fusionclf.catalog.counted_examples import EXAMPLES
from fusionclf.catalog.picture_cells import MOST_PICTURES, PicturePatterns
from fusionclf.catalog.picture_paths import MissingPictures, PictureFinder, is_url
from fusionclf.config import CatalogConfig
from fusionclf.errors import quoted


@dataclass
class ChunkPictures:
    """The pictures of a chunk of products.

    Attributes:
        files: of each product: one, several in a tuple, or None.
        missing: products none of whose pictures was found.
        missing_further: pictures that were not found, of products that have another one.
        cut: products with more pictures than are read.
    """

    files: list[str | tuple[str, ...] | None] = field(default_factory=list)
    missing: MissingPictures = field(default_factory=MissingPictures)
    missing_further: MissingPictures = field(default_factory=MissingPictures)
    cut: int = 0


class RowPictures:
    """Finds the pictures of rows.

    Args:
        root: folder below which they are.
        columns: the settings.
    """

    def __init__(self, root: str, columns: CatalogConfig) -> None:
        self.root = root
        self._patterns, self._finder, self._shown = PicturePatterns(columns), PictureFinder(root), 0

    def paths(self, cells: Mapping[str, Sequence[str]], count: int) -> tuple[list[list[str]], list[str]]:
        """Each product's paths below the root, and why they may not be opened ("" if they may).

        Args:
            cells: column → its cell in each of `count` rows.
        """
        found, outside = [], [""] * count
        for row, written in enumerate(self._patterns.rows(cells, count)):
            below = [self._finder.relative(path) for path in written]
            if None in below:
                path = written[below.index(None)]
                outside[row] = f"the picture's path {quoted(path)} leads out of {self.root}"
            found.append([path for path in below if path])
        return found, outside

    def find(self, paths: Sequence[Sequence[str]]) -> ChunkPictures:
        """The files of each product's paths; those that do not exist are counted."""
        found = ChunkPictures()
        for own in paths:
            files = self._files(own, found)
            found.files.append(tuple(files) if len(files) > 1 else files[0] if files else None)
        self._shown += len(found.missing.examples) + len(found.missing_further.examples)
        return found

    def _files(self, paths: Sequence[str], found: ChunkPictures) -> list[str]:
        """The files of one product; where none exists, what the first path stands for, for a message."""
        files, missing = dict[str, None](), list[str]()
        for path in paths:
            if len(files) == MOST_PICTURES:
                found.cut += 1
                break
            file = os.path.join(self.root, path)
            if is_url(path) or not os.path.isfile(file):
                below = self._finder.find(path)
                if below is None:
                    missing.append(path)
                    continue
                file = os.path.join(self.root, below)
            files[file] = None
        shown = self._shown + len(found.missing.examples) + len(found.missing_further.examples)
        finder = self._finder if shown < EXAMPLES else None
        if not files:
            found.missing.add_path(finder, missing[0] if missing else "")
        for path in missing if files else ():
            found.missing_further.add_path(finder, path)
        unfound = [path if is_url(path) else os.path.join(self.root, path) for path in missing[:1]]
        return list(files) or unfound
