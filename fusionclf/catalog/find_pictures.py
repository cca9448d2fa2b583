"""The pictures of a catalog's rows: paths as the file gives them → files below the catalog's folder."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from fusionclf.catalog.ids import example_cells
from fusionclf.catalog.picture_cells import MOST_PICTURES, PicturePatterns
from fusionclf.catalog.picture_paths import PictureFinder, is_url, pattern_fields
from fusionclf.catalog.read_report import ReadReport
from fusionclf.catalog.tables import Rows
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, quoted


@dataclass(frozen=True)
class FoundPictures:
    """Files of some rows' pictures.

    Attributes:
        first: (n,) path of each row's first picture; None where none of its pictures exists.
        further: row of the file → the pictures after the first one, for rows that have several.
    """

    first: list[str | None] = field(default_factory=list)
    further: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def by_place(self, rows: Iterable[int]) -> dict[int, tuple[str, ...]]:
        """Position among `rows` → the pictures after the first one."""
        if not self.further:
            return {}
        return {place: self.further[row] for place, row in enumerate(rows) if row in self.further}


def find_pictures(
    root: Path, rows: Rows, chosen: np.ndarray, columns: CatalogConfig, report: ReadReport
) -> FoundPictures:
    """The files that the picture paths of some rows mean; what is missing goes into the report.

    Args:
        root: the catalog's folder.
        rows: the cells of its file.
        chosen: (n,) rows that are looked at.
        columns: the settings.
        report: what is corrected, missing or cut is counted there.

    Raises:
        CatalogError: paths lead out of the catalog.
    """
    if columns.picture is None:
        return FoundPictures([None] * len(chosen))
    finder, found = PictureFinder(root), FoundPictures()
    cells = {name: rows.table.loc[chosen, name].tolist() for name in pattern_fields(columns.picture)}
    outside: dict[int, str] = {}
    written = PicturePatterns(columns).rows(cells, len(chosen))
    for row, paths in zip(chosen.tolist(), written, strict=True):
        if faulty := [path for path in paths if finder.relative(path) is None]:
            outside[row] = faulty[0]
            continue
        files = _files(finder, paths, report)
        found.first.append(files[0] if files else None)
        if len(files) > 1:
            found.further[row] = tuple(files[1:])
    if outside:
        _raise_outside(root / columns.file, finder, rows, outside)
    return found


def named_urls(rows: Rows, columns: CatalogConfig) -> Iterator[str]:
    """The URLs that rows of a file name as their pictures, as many a row as are read."""
    cells = {name: rows.table[name].tolist() for name in pattern_fields(columns.picture)}
    for paths in PicturePatterns(columns).rows(cells, len(rows.table)):
        yield from (path.strip() for path in islice(filter(is_url, paths), MOST_PICTURES))


def _files(finder: PictureFinder, paths: Sequence[str], report: ReadReport) -> list[str]:
    """The files of one row's paths, each once; those that are missing, corrected or too many are counted."""
    files, missing = dict[str, None](), list[str]()
    for place, path in enumerate(paths):
        if len(files) == MOST_PICTURES:
            report.cut_pictures.add(lambda: quoted(paths[place]))  # noqa: B023  called at once
            break
        below = finder.relative(path) or ""
        file = below if finder.has(below) else finder.find(below)
        if file is None:
            missing.append(below)
            continue
        files[file] = None
        if file != path and not is_url(path):
            report.corrected_paths.add(lambda: f"{quoted(path)} → {quoted(str(file))}")  # noqa: B023  called at once
    if not files:
        report.missing_pictures.add_path(finder, missing[0] if missing else "")
    for path in missing if files else ():
        report.missing_further.add_path(finder, path)
    return list(files)


def _raise_outside(file: Path, finder: PictureFinder, rows: Rows, outside: Mapping[int, str]) -> NoReturn:
    values = pd.Series(outside).reindex(rows.table.index)
    shown = example_cells(rows, values, list(outside))
    near = finder.nearest(next(iter(outside.values())))
    hint = f"; there is {quoted(near)}" if near else ""
    raise CatalogError(
        f"{file}: {len(outside)} picture path(s) lead out of the catalog ({shown}{hint}); fix these rows, or "
        "catalog.picture"
    )
