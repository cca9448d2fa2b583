"""`fusionclf data describe`: a table's rows → guesses with reasons → catalog.yaml beside the table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.catalog.describing import Description, describe_table, unused_line, yaml_text
from fusionclf.catalog.describing.sample import RowCounts, sample_rows, table_in
from fusionclf.catalog.fetched import FOLDER, MANIFEST
from fusionclf.catalog.location import open_catalog_table, table_names
from fusionclf.catalog.tables import Table as CatalogTable
from fusionclf.catalog.tables.csv_table import TOO_MANY
from fusionclf.config import CATALOG_FILE, CatalogConfig, Overrides, build_settings, override
from fusionclf.config.catalog_file import CatalogFile
from fusionclf.config.yaml_text import parse_yaml
from fusionclf.console import Console, one_line, printable
from fusionclf.errors import CatalogError, did_you_mean, near_path, quoted
from fusionclf.files import write_text

WIDTH = 130  # of the table, in a file or a pipe
LONGEST_VALUE = 60  # characters of three examples together
READING = ("file", "delimiter", "encoding")  # settings that are needed before the columns are known


def data_describe(
    data: Path, overrides: Overrides, out: Path | None, overwrite: bool, console: Console
) -> Description:
    """Guess what a catalog's columns are, print the guesses and write catalog.yaml.

    Args:
        data: the catalog's folder, or its table.
        overrides: settings that are kept: key.path=value texts, or nested settings.
        out: the file to write; default: catalog.yaml beside the table.
        overwrite: replace the file; what it held is kept under another name.
        console: where messages go.

    Raises:
        CatalogError: there is no table, it cannot be read, or the file to write exists.
        SettingsError: a setting is unknown or has a bad value.
        RunError: the file cannot be written.
    """
    pinned = _pinned(overrides)
    root, columns, others = _locate(data, pinned)
    out = out or root / CATALOG_FILE
    if out.exists() and not overwrite:
        raise CatalogError(f"{out}: exists already; --overwrite replaces it, --out FILE writes another file")
    table = open_catalog_table(root, columns)
    rows, counts = sample_rows(table)
    if rows.empty:
        raise CatalogError(f"{table.path}: {_why_empty(table, counts)}")
    _check_columns(table.columns, pinned)
    description = describe_table(rows, root, columns.file, pinned)
    shown = RichConsole(highlight=False)
    shown.width = shown.width if shown.is_terminal else max(shown.width, WIDTH)
    _print(description, others, shown)
    text = yaml_text(description)
    build_settings(CatalogFile, parse_yaml(text))
    _write(out, text, console)
    _print_reading(table, counts, description, console)
    words = "" if out == root / CATALOG_FILE else f" --config {out}"
    fetch = any(guess.columns and _is_url(guess.columns, description) for guess in description.guesses)
    fetch = fetch and not (root / FOLDER / MANIFEST).is_file()
    command = f"data fetch --data {data}" if fetch else f"data check {data}"
    console.info(f"wrote {out}; next: review it, then fusionclf {command}{words}")
    return description


def _pinned(overrides: Overrides) -> dict[str, Any]:
    """Setting → the value that the user gave, by the types of the settings."""
    values = override(CatalogFile, {}, overrides)
    settings = build_settings(CatalogFile, values)
    return {
        f"{section}.{name}": getattr(getattr(settings, section), name)
        for section, given in values.items()
        for name in given or {}
    }


def _locate(data: Path, pinned: dict[str, Any]) -> tuple[Path, CatalogConfig, list[str]]:
    """The catalog's folder, how its table is read, and the tables that were passed over."""
    given = {name: pinned[f"catalog.{name}"] for name in READING if f"catalog.{name}" in pinned}
    others: list[str] = []
    if data.is_file():
        return data.parent, CatalogConfig(**{**given, "file": data.name}), others
    if not data.is_dir():
        raise CatalogError(f"{data}: no such file or folder; give the catalog{near_path(data)}")
    if "file" not in given:
        given["file"], others = table_in(data, table_names(data))
    return data, CatalogConfig(**given), others


def _check_columns(columns: list[str], pinned: dict[str, Any]) -> None:
    """Raise CatalogError where a setting names a column that the table lacks."""
    for setting in ("id", "title", "label", "year", "text", "attributes", "categories", "metadata"):
        value = pinned.get(f"catalog.{setting}")
        for name in value if isinstance(value, tuple) else (value,):
            if name and name not in columns:
                raise CatalogError(
                    f"catalog.{setting}: no column {quoted(name)}; {did_you_mean(name, columns)}"
                )


def _why_empty(table: CatalogTable, counts: RowCounts) -> str:
    """Why no row can be described, and what to do."""
    if not counts.total:
        return "has no rows; a catalog needs a header and products"
    if not counts.dropped:
        return "has no named column of texts or numbers; a catalog needs products"
    remedy = "remove the lines above the header, or set catalog.delimiter" if table.delimiter else "fix them"
    return f"no row fits the header {quoted(', '.join(table.columns))}: {_counted(counts.dropped)}; {remedy}"


def _counted(dropped: Mapping[str, CountedExamples]) -> str:
    return "; ".join(
        f"{reason}: {rows.count:,} row{'s' if rows.count > 1 else ''} ({', '.join(rows.examples)})"
        for reason, rows in dropped.items()
    )


def _print_reading(
    table: CatalogTable, counts: RowCounts, description: Description, console: Console
) -> None:
    """Print what was read, and what was not."""
    console.info(f"catalog: {table.recognised}; read {description.rows:,} of {counts.total:,} rows")
    dropped = dict(counts.dropped)
    if TOO_MANY in dropped and description.settings["catalog.title"] == table.columns[-1]:
        count = dropped.pop(TOO_MANY).count
        console.info(
            f"rows with unquoted separators in the title: {count:,}; every other command repairs them"
        )
    if dropped:
        console.warn(f"rows that cannot be read: {_counted(dropped)}; fix them")
    for name in table.binary_columns():
        console.warn(
            f"column {quoted(name)} holds binary data, such as pictures, and is left out; write the pictures to files"
        )


def _is_url(columns: tuple[str, ...], description: Description) -> bool:
    return any(
        cell.startswith(("http://", "https://")) for name in columns for cell in description.examples[name]
    )


def _print(description: Description, others: list[str], out: RichConsole) -> None:
    """The guesses as a table, one row a setting; then what is unsure, and what no model reads."""
    table = Table(box=None, pad_edge=False)
    for name, ratio in (("setting", 2), ("guess", 3), ("reason", 4), ("values", 3)):
        table.add_column(name, ratio=ratio, overflow="fold")
    for guess in description.guesses:
        shown = ", ".join(guess.value) if isinstance(guess.value, tuple) else str(guess.value)
        value = "none" if guess.value in (None, ()) else shown
        examples = _examples(guess.columns, description)
        cells = (guess.setting, value, guess.reason, examples)
        table.add_row(*(escape(printable(cell)) for cell in cells))
    out.print(table)
    doubts = description.doubts
    if others:
        doubts = [
            f"catalog.file: the largest of the tables here; could also be {', '.join(others[:5])}",
            *doubts,
        ]
    for doubt in doubts:
        out.print(f"[yellow]unsure[/]: {escape(printable(doubt))}", soft_wrap=True)
    if description.unused:
        out.print(f"no input: {escape(printable(unused_line(description.unused)))}", soft_wrap=True)


def _examples(columns: tuple[str, ...], description: Description) -> str:
    """Three values of one column, or one of each of several."""
    each = 3 if len(columns) == 1 else 1
    values = [value for name in columns[:3] for value in description.examples[name][:each]]
    longest = LONGEST_VALUE // max(len(values), 1)
    cut = [one_line(value, 10_000) for value in values]
    return " | ".join(value if len(value) <= longest else f"{value[: longest - 1]}…" for value in cut)


def _write(out: Path, text: str, console: Console) -> None:
    """Write the file; one of other content that was there is kept under the next free name."""
    if out.exists() and out.read_bytes() != text.encode():
        number = next(n for n in range(1, 10_000) if not out.with_name(f"{out.name}.{n}").exists())
        kept = out.with_name(f"{out.name}.{number}")
        write_text(kept, out.read_text(encoding="utf-8", errors="replace"))
        console.info(f"{out}: the earlier file is kept as {kept.name}")
    write_text(out, text)
