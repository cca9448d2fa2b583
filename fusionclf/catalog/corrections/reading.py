"""What people answered: a CSV file with a column `correction`, or an export of Label Studio."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusionclf.catalog.corrections.review import CONTROL, PRODUCTS
from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.catalog.tables import joined_rows, open_table
from fusionclf.errors import CatalogError, quoted
from fusionclf.runfolder import unguarded

ID, CORRECTION = "id", "correction"


@dataclass(frozen=True)
class Corrections:
    """Corrected labels.

    Attributes:
        path: the file.
        labels: id → label, in the file's order.
        open: number of rows or tasks without an answer.
    """

    path: Path
    labels: dict[str, str] = field(default_factory=dict)
    open: int = 0


def read_corrections(path: Path) -> Corrections:
    """The answers in a file.

    Args:
        path: CSV, Parquet or JSON lines with the columns `id` and `correction`, where an empty cell is no answer; or
            Label Studio's export as JSON or JSON-MIN.

    Raises:
        CatalogError: the file is neither, or a product has two different answers.
    """
    if not path.is_file():
        raise CatalogError(f"{path}: no such file; give corrections.csv, or Label Studio's export as JSON")
    with path.open("rb") as stream:
        is_export = stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    labels: dict[str, str] = {}
    without, twice = 0, CountedExamples()
    for product, label in _of_export(path) if is_export else _of_table(path):
        if not label:
            without += 1
        elif labels.setdefault(product, label) != label:
            twice.add(lambda i=product, n=label: f"{quoted(i, 40)}: {quoted(labels[i], 40)}, {quoted(n, 40)}")
    if twice.count:
        raise CatalogError(
            f"{path}: {twice.count:,} products have two answers ({'; '.join(twice.examples)}); keep one of each"
        )
    return Corrections(path, labels, without)


def _of_table(path: Path) -> Iterator[tuple[str, str]]:
    table = open_table(path, wanted=(ID, CORRECTION))
    if lacking := table.lacking((ID, CORRECTION)):
        raise CatalogError(
            f"{path}: no column {quoted(lacking[0])}; give a table with the columns id and correction (found: "
            f"{', '.join(table.columns)[:200]})"
        )
    rows = joined_rows(table.chunks((ID, CORRECTION)))
    if rows.dropped:
        reason, places = next(iter(rows.dropped.items()))
        raise CatalogError(f"{path}: {len(places):,} rows cannot be read ({reason}: {places[0]}); fix them")
    for product, label in zip(rows.table[ID], rows.table[CORRECTION], strict=True):
        yield unguarded(product), unguarded(label.strip())


def _of_export(path: Path) -> Iterator[tuple[str, str]]:
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CatalogError(
            f"{path}: not JSON ({str(error)[:80]}); export it from Label Studio again"
        ) from error
    for number, task in enumerate(tasks, start=1):
        data = task.get("data", task) if isinstance(task, dict) else {}
        products = data.get(PRODUCTS) if isinstance(data, dict) else None
        if not isinstance(products, list) or not products:
            raise CatalogError(
                f"{path}: task {number} has no list {PRODUCTS!r}; import label-studio.json, and export as JSON or "
                "JSON-MIN"
            )
        answers = _answers(task)
        for product in products:
            for label in answers or [""]:
                yield str(product), label


def _answers(task: dict[str, Any]) -> list[str]:
    """The chosen classes of a task, each once; annotations that were skipped do not count."""
    if "annotations" not in task:  # JSON-MIN
        chosen = task.get(CONTROL)
        chosen = chosen.get("choices") if isinstance(chosen, dict) else chosen
        return [str(each).strip() for each in ([chosen] if isinstance(chosen, str) else chosen or [])]
    results = [
        result
        for annotation in task["annotations"]
        if not annotation.get("was_cancelled")
        for result in annotation.get("result", [])
        if result.get("type") == "choices" and result.get("from_name") == CONTROL
    ]
    return list(dict.fromkeys(str(each).strip() for each in _choices(results)))


def _choices(results: list[dict[str, Any]]) -> Iterator[Any]:
    for result in results:
        yield from result.get("value", {}).get("choices", [])
