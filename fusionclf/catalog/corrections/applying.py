"""`fusionclf data apply`: corrections → a corrected table beside the old one, and a log of what changed."""

import csv
import io
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fusionclf.catalog.corrections.reading import Corrections
from fusionclf.catalog.corrections.table_copy import Edits, write_copy
from fusionclf.catalog.counted_examples import EXAMPLES
from fusionclf.catalog.location import locate_catalog, open_catalog_table
from fusionclf.catalog.records import Catalog, NoRowsError, read_catalog
from fusionclf.catalog.tables import Rows, Table, joined_rows, open_table
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, near_name, quoted
from fusionclf.files import replacing_all
from fusionclf.runfolder import guarded

LOG_COLUMNS = ("id", "column", "old", "new")
CORRECTED = re.compile(r"\.corrected(\d*)$")


@dataclass(frozen=True)
class ApplyRequest:
    """What to apply.

    Attributes:
        data: the catalog's folder, or its table.
        columns: the names of the table's columns.
        out: the table to write; None for a new name beside the old one.
        new_classes: accept labels that no product has yet.
        ignore_unknown: leave out corrections of products that the table lacks.
    """

    data: Path
    columns: CatalogConfig
    out: Path | None = None
    new_classes: bool = False
    ignore_unknown: bool = False


@dataclass(frozen=True)
class Applied:
    """What was applied.

    Attributes:
        out, log: the corrected table, and the log of its changes: id, column, old, new.
        changed: number of products with another label than before.
        confirmed: number of products whose label was right.
        unknown: ids that were left out.
        new_classes: labels that no product had before → number of products that have them now.
    """

    out: Path
    log: Path
    changed: int
    confirmed: int
    unknown: tuple[str, ...]
    new_classes: dict[str, int]


def apply_corrections(corrections: Corrections, request: ApplyRequest) -> Applied:
    """Write a copy of a catalog's table with corrected labels; the original is never changed.

    The cells of the category columns follow the label: where they never occur with the new class, they become those
    that occur with it most often. Where the label's column holds paths, the whole path is written.

    Args:
        corrections: the answers.
        request: where they belong.

    Raises:
        CatalogError: the table cannot be read, a product or a class is unknown, there is nothing to change, or the file
            to write is there.
    """
    root, columns = locate_catalog(request.data, request.columns)
    source = root / columns.file
    out = request.out or free_name(source)
    log = out.with_name(f"{_stem(out)[0]}.changes.csv")
    for path in (out, log):
        if path.exists():
            raise CatalogError(f"{path}: exists already; give another name by --out")
    wanted = list(dict.fromkeys((columns.id, columns.label, *columns.categories)))
    table = open_catalog_table(root, columns, wanted)
    rows = joined_rows(table.chunks(wanted, last=columns.title))
    plan = _Plan(rows, columns, _catalog(request.data, columns), corrections)
    unknown = plan.unknown_ids()
    if unknown and not request.ignore_unknown:
        raise CatalogError(
            _refusal(corrections, "products", unknown, source, "--ignore-unknown leaves them out")
        )
    new = plan.new_classes()
    if new and not request.new_classes:
        hints = [
            f"{name} (did you mean {near}?)" if (near := near_name(name, plan.classes)) else name
            for name in new
        ]
        raise CatalogError(_refusal(corrections, "classes", hints, source, "--new-classes accepts them"))
    edits, entries = plan.edits()
    if not edits:
        raise CatalogError(f"{corrections.path}: no label differs from {source}; nothing to write")
    with replacing_all(out, log) as (aside, aside_log):
        write_copy(table, edits, aside)
        _check_copy(aside, table, edits, columns)
        aside_log.write_text(_log(entries), encoding="utf-8")
    return Applied(out, log, len(edits), plan.confirmed, tuple(unknown), new)


def free_name(source: Path) -> Path:
    """A name beside a table that no file has: shop.csv → shop.corrected.csv → shop.corrected2.csv."""
    stem, suffix = _stem(source)
    stem = CORRECTED.sub("", stem)
    names = (f"{stem}.corrected{number if number > 1 else ''}{suffix}" for number in count(1))
    return next(path for path in map(source.with_name, names) if not path.exists())


def _stem(path: Path) -> tuple[str, str]:
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    return path.name.removesuffix(suffix), suffix


def _catalog(data: Path, columns: CatalogConfig) -> Catalog:
    """All products with a label, whether they have a picture or not."""
    try:
        return read_catalog(data, columns.model_copy(update={"picture": None}))
    except NoRowsError as error:  # no product has a label yet
        return error.catalog


def _refusal(corrections: Corrections, what: str, names: list[str], source: Path, remedy: str) -> str:
    shown = ", ".join(quoted(name) for name in names[:EXAMPLES]) + (", …" if len(names) > EXAMPLES else "")
    return (
        f"{corrections.path}: {len(names):,} {what} are not in {source.name} ({shown}); fix them, or {remedy}"
    )


class _Plan:
    """Which cells of a table the corrections change."""

    def __init__(
        self, rows: Rows, columns: CatalogConfig, catalog: Catalog, corrections: Corrections
    ) -> None:
        self.rows, self.columns, self.wanted = rows, columns, corrections.labels
        self.ids = rows.table[columns.id].tolist()
        self.label_of = dict(zip(catalog.table["id"], catalog.table["label"], strict=True))
        self.classes = list(catalog.classes)
        self.names = list(dict.fromkeys((columns.label, *columns.categories)))
        self.cells = list(rows.table[self.names].itertuples(index=False, name=None))
        self.known: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        for product, cells in zip(self.ids, self.cells, strict=True):
            if product in self.label_of:
                self.known[self.label_of[product]][cells] += 1
        self.confirmed = 0

    def unknown_ids(self) -> list[str]:
        return sorted(self.wanted.keys() - set(self.ids))

    def new_classes(self) -> dict[str, int]:
        there = set(self.ids)
        labels = Counter(label for product, label in self.wanted.items() if product in there)
        return {name: rows for name, rows in sorted(labels.items()) if name not in self.known}

    def edits(self) -> tuple[dict[int, dict[str, str]], list[tuple[str, str, str, str]]]:
        """Line → column → new cell, and the entries of the log."""
        edits: dict[int, dict[str, str]] = {}
        entries: list[tuple[str, str, str, str]] = []
        for place, (product, old) in enumerate(zip(self.ids, self.cells, strict=True)):
            label = self.wanted.get(product)
            if label is None:
                continue
            if label == self.label_of.get(product, old[0].strip()):
                self.confirmed += 1
                continue
            new = self._new_cells(label, old)
            changed = {
                name: (was, now) for name, was, now in zip(self.names, old, new, strict=True) if was != now
            }
            edits[int(self.rows.lines[place])] = {name: now for name, (_, now) in changed.items()}
            entries += [(product, name, was, now) for name, (was, now) in changed.items()]
        return edits, entries

    def _new_cells(self, label: str, old: tuple[str, ...]) -> tuple[str, ...]:
        """The label's cell and those of the categories for a product that gets this label."""
        known = self.known.get(label)
        if not known:
            return (label, *old[1:])
        fitting = Counter({cells: rows for cells, rows in known.items() if cells[1:] == old[1:]})
        return max(sorted(fitting or known), key=(fitting or known).__getitem__)


def _check_copy(copy: Path, table: Table, edits: Edits, columns: CatalogConfig) -> None:
    """Raise CatalogError where the written table is not read as the original with the corrected cells."""
    written = open_table(copy, delimiter=columns.delimiter, encoding=columns.encoding, wanted=(columns.id,))
    names, last = [name for name in table.readable_columns() if table.columns.count(name) == 1], columns.title
    try:
        for old, new in zip(table.chunks(names, last=last), written.chunks(names, last=last), strict=True):
            expected = old.table.astype(object)
            for place, line in enumerate(old.lines.tolist()):
                for name, cell in edits.get(line, {}).items():
                    expected.iat[place, expected.columns.get_loc(name)] = cell
            dropped = {reason: len(rows) for reason, rows in old.dropped.items()}
            if dropped != {reason: len(rows) for reason, rows in new.dropped.items()}:
                raise ValueError("other rows are dropped")
            if not new.table.astype(object).equals(expected):
                raise ValueError("other cells differ")
    except ValueError as error:
        raise CatalogError(
            f"{table.path}: a corrected copy would be read differently ({error}); save the table as CSV in UTF-8 and "
            "apply again"
        ) from error


def _log(entries: list[tuple[str, str, str, str]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(LOG_COLUMNS)
    writer.writerows([guarded(cell) for cell in entry] for entry in entries)
    return stream.getvalue()
