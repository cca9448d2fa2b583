"""A file of products, or a folder of pictures → chunks of products, in constant memory."""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

from fusionclf.catalog.fields import Fields
from fusionclf.catalog.tables import Table, is_utf8, open_table
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError, near_path
from fusionclf.prediction.io.picture_folder import PictureFolder
from fusionclf.prediction.io.product_rows import Chunk, Fault, ProductRows


class ProductTable:
    """Products of a file or folder, read chunk by chunk.

    Where the file lacks the columns of one input, such as the title, that input is missing for every product.

    Args:
        source: a CSV, Parquet or JSON lines file, or a folder of pictures.
        columns: names of the file's columns.
        pictures: folder below which the pictures of a file are; default: the folder of the file.
        reads_pictures, reads_titles: which inputs to read.
        further: texts and attributes that the run reads besides the title; `columns` has the file's names of them.

    Attributes:
        folder: the folder of pictures; None for a file.
        notes: a line for each input whose columns the file lacks.

    Raises:
        CatalogError: the file cannot be read.
        PredictionError: it does not exist, or lacks the columns of every input.
    """

    def __init__(
        self,
        source: Path,
        columns: CatalogConfig,
        *,
        pictures: Path | None = None,
        reads_pictures: bool = True,
        reads_titles: bool = True,
        further: Fields = Fields(),  # noqa: B008  frozen
    ) -> None:
        self.source, self.columns = source, columns
        if not source.exists():
            raise PredictionError(
                f"{source}: no such file or folder; give products to predict by --input{near_path(source)}"
            )
        self.folder = PictureFolder(source) if source.is_dir() else None
        self._rows = ProductRows(
            columns, source if self.folder is not None else pictures or source.parent,
            reads_pictures=reads_pictures, reads_titles=reads_titles, further=further,
        )  # fmt: skip
        self.root = self._rows.root
        if pictures is not None and not pictures.is_dir():
            raise PredictionError(f"--pictures {pictures}: no such folder{near_path(pictures)}")
        if self.folder is not None and not reads_pictures:
            raise PredictionError(
                f"{source}: a folder of pictures, but this run reads no pictures; give a file"
            )
        self._table = None if self.folder is not None else self._opened()

    @property
    def notes(self) -> list[str]:
        """A line for each input whose columns the file lacks."""
        return self._rows.notes

    def chunks(self, size: int, is_mine: Callable[[int], bool] = lambda number: True) -> Iterator[Chunk]:
        """All products, `size` rows at a time.

        Args:
            size: rows of a chunk.
            is_mine: number of a chunk → whether to look for its pictures; default: for those of all chunks.

        Raises:
            CatalogError, PredictionError: the file lacks a column, or cannot be read on.
        """
        is_empty = True
        for chunk in self._read(size, is_mine):
            yield chunk
            is_empty = False
        if is_empty:  # an input without products gives an output without products
            yield Chunk(0, [], self._rows.fields({}, 0), [], [], [])

    def _read(self, size: int, is_mine: Callable[[int], bool]) -> Iterator[Chunk]:
        if self._table is None:
            yield from self._listed(self.folder or PictureFolder(self.source), size)
            return
        rows = self._table.chunks(self._rows.wanted, size, last=self.columns.title, lenient=True)
        for number, some in enumerate(rows):
            yield self._rows.chunk(number, some, is_mine(number))

    def check(self) -> None:
        """Read the first rows, so that errors show before anything is written."""
        next(self.chunks(1))

    @cached_property
    def count(self) -> int:
        """About the number of products; an upper bound for text files and folders."""
        if self.folder is not None:
            return max(self.folder.count(), 1)
        return self._table.count() if self._table is not None else 0

    def _opened(self) -> Table:
        """The file, with its columns checked: an input whose columns it lacks is not read."""
        columns = self.columns
        table = open_table(
            self.source, delimiter=columns.delimiter, encoding=columns.encoding, wanted=self._rows.possible
        )
        self._rows.use(table)
        return table

    def _listed(self, folder: PictureFolder, size: int) -> Iterator[Chunk]:
        """The pictures of a folder: the path of each is its id."""
        names, number = folder.names(), 0
        while some := list(islice(names, size)):
            good = [name for name in some if is_utf8(name)]
            faults = [
                Fault(ascii(name), "", "a name that is not UTF-8") for name in some if not is_utf8(name)
            ]
            files: list[str | tuple[str, ...] | None] = [os.path.join(self.root, name) for name in good]
            yield Chunk(number, good, self._rows.fields({}, len(good)), good, files, faults)
            number += 1
