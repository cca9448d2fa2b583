"""`fusionclf label-issues`: products whose label is probably wrong → a page, tables, and tasks to review."""

import csv
import io
from collections import ChainMap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.corrections import ReviewTask, review_files
from fusionclf.catalog.inspection import inspect_pictures
from fusionclf.catalog.pictures import map_paths
from fusionclf.catalog.thumbnails import thumbnail
from fusionclf.errors import RunError, quoted
from fusionclf.evaluation import CategoryGraph, find_label_issues
from fusionclf.evaluation.held_out import HELD_OUT
from fusionclf.evaluation.predictions import GROUP
from fusionclf.files import json_text, locked_folder, write_all
from fusionclf.report.catalog import find_catalog
from fusionclf.report.collect import Run, read_part, read_runs
from fusionclf.report.page import environment, script
from fusionclf.run_schema import ALL_CLASSES
from fusionclf.runfolder import AGAIN, guarded, one_line

PATH_SEPARATOR = " > "
SHOWN_IDS = 20  # ids of an entry on the page
COLUMNS = (
    "id", "copies", "title", "label", "suggestion", "prob_label", "prob_suggestion", "score", "agreeing", "scored",
    "label_train_count", "label_path", "suggestion_path", "distance", "ids",
)  # fmt: skip


def list_label_issues(
    runs: Sequence[Path], out: Path, *, top: int = 200, data: Path | None = None
) -> dict[str, Any]:
    """The products whose label is probably wrong by the models of some runs, written to files.

    Args:
        runs: run folders of one catalog; runs of several splits together cover more products.
        out: folder for label-issues.html, label-issues.csv, label-issues.json and the files of `review_files`.
        top: maximum number of entries; products with the same title, picture, label and suggestion are one entry, and
            so are those of one group of the split with the same label and suggestion.
        data: the runs' catalog; default: its folder in their settings.

    Returns:
        label-issues.json's content: runs, products (number of products that a run predicted and was not fitted on),
        disputed (number of label issues), entries with the keys COLUMNS, the highest score first, and catalog_sha256.

    Raises:
        RunError: a run is not finished or of another catalog, the catalog is not found, another command writes
            to `out`, or it cannot be written.
        CatalogError: `data` cannot be read.
    """
    with locked_folder(out):
        return _list(runs, out, top, data)


def _list(runs: Sequence[Path], out: Path, top: int, data: Path | None) -> dict[str, Any]:
    found = read_runs(runs, one_split=False)
    catalog, note = find_catalog(found, data)
    if catalog is None:
        raise RunError(f"{note}; give its folder by --data")
    graph = CategoryGraph.from_split(catalog, Split.from_dict(found[0].split))
    predictions = [out_of_sample(run, folder) for run, folder in zip(found, runs, strict=True)]
    issues = find_label_issues(predictions)
    grouped = [dict(zip(run["id"], run[GROUP], strict=True)) for run in predictions if GROUP in run]
    known = ChainMap(*grouped)
    issues[GROUP] = pd.Series([known.get(product) for product in issues["id"]], issues.index, object)
    entries = _entries(issues, catalog, graph, top)
    value = {
        "runs": [run.name for run in found],
        "products": len(set().union(*(frame["id"] for frame in predictions))),
        "disputed": len(issues),
        "entries": entries,
        "catalog_sha256": catalog.sha256,
    }
    page = _page(value, _thumbnails(entries, catalog))
    texts = {
        "label-issues.html": page,
        "label-issues.csv": _table(entries),
        "label-issues.json": json_text(value),
    }
    model = ", ".join(run.name for run in found)
    texts |= review_files(_review_tasks(entries, catalog), graph.classes, model)
    write_all(out, texts)
    return value


def out_of_sample(run: Run, folder: Path) -> pd.DataFrame:
    """A run's predictions of products that it was not fitted on, by its model over all classes if it has one."""
    files = {file.stem: file for file in sorted((folder / HELD_OUT).glob("*.parquet"))}
    chosen = {ALL_CLASSES: files[ALL_CLASSES]} if ALL_CLASSES in files else files
    if odd := [file for part, file in chosen.items() if part not in (*run.split["classes"], ALL_CLASSES)]:
        raise RunError(one_line(f"is not a part of split.json; {AGAIN}", odd[0]))
    held_out = [read_part(file, run.split, part, ("train", "validation")) for part, file in chosen.items()]
    tested = [run.frames[ALL_CLASSES]] if ALL_CLASSES in run.frames else list(run.frames.values())
    frame = pd.concat([*tested, *held_out], ignore_index=True)
    if frame["id"].duplicated().any():
        raise RunError(f"{folder}: predicts a product twice; {AGAIN}")
    return frame


def _entries(issues: pd.DataFrame, catalog: Catalog, graph: CategoryGraph, top: int) -> list[dict[str, Any]]:
    """The first `top` issues; copies of a product are joined to its first entry."""
    places = pd.Series(range(len(catalog)), catalog.table["id"])
    rows = places.reindex(issues["id"])
    if rows.isna().any():
        missing = issues["id"][rows.isna().to_numpy()].tolist()
        raise RunError(
            f"{catalog.root}: {len(missing):,} products of the runs are missing, such as {quoted(missing[0])}; give "
            "the runs' catalog by --data"
        )
    table = catalog.table.iloc[rows.astype("int64").to_numpy()].reset_index(drop=True)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, key in enumerate(_keys(issues, table, catalog)):
        groups.setdefault(key, []).append(place)
    listed = list(groups.values())[:top]
    first = issues.iloc[[places[0] for places in listed]]
    distances = graph.distances(first["label"].tolist(), first["suggestion"].tolist())
    cells = table[[*catalog.columns.categories, "label"]].to_numpy(object)
    titles = table["title"].tolist()
    return [
        {
            **{name: _plain(row[name]) for name in COLUMNS if name in row},
            "copies": len(places),
            "title": titles[places[0]],
            "label_path": [str(cell) for cell in cells[places[0]]],
            "suggestion_path": list(graph.best_path(str(row["suggestion"]))),
            "distance": int(distance),
            "ids": issues["id"].iloc[places].tolist(),
        }
        for places, row, distance in zip(listed, first.to_dict("records"), distances, strict=True)
    ]


def _keys(issues: pd.DataFrame, table: pd.DataFrame, catalog: Catalog) -> list[tuple[Any, ...]]:
    """A key that copies of a product, or products of a group, share.

    Pictures are only compared where everything else is equal.
    """
    alike = pd.DataFrame({"title": table["title"], **issues[["label", "suggestion"]]})
    double = alike.duplicated(keep=False).to_numpy()
    paths = [catalog.root / name if isinstance(name, str) else None for name in table["picture"]]
    repeated = [path for path, same in zip(paths, double, strict=True) if same]
    remaining = iter(inspect_pictures(catalog.root, repeated).digests)
    keys: list[tuple[Any, ...]] = []
    for place, (cells, same) in enumerate(zip(alike.itertuples(index=False, name=None), double, strict=True)):
        picture = next(remaining) if same else None
        keys.append((*cells, picture) if picture is not None else (*cells, place))
    grouped = issues["group"].notna().to_numpy()
    numbers = zip(issues["group"], issues["label"], issues["suggestion"], strict=True)
    return [number if own else key for key, number, own in zip(keys, numbers, grouped, strict=True)]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _thumbnails(entries: Sequence[dict[str, Any]], catalog: Catalog) -> dict[str, str | None]:
    wanted = {entry["id"] for entry in entries}
    places = [row for row, product in enumerate(catalog.table["id"]) if product in wanted]
    paths = catalog.picture_paths(pd.Index(places, dtype="int64").to_numpy())
    return dict(zip(catalog.table["id"].iloc[places], map_paths(paths, thumbnail), strict=True))


def _review_tasks(entries: Sequence[dict[str, Any]], catalog: Catalog) -> list[ReviewTask]:
    """A task for each entry; its copies get the same answer."""
    places = {product: row for row, product in enumerate(catalog.table["id"])}
    rows = np.array([places[entry["id"]] for entry in entries], np.int64)
    return [
        ReviewTask(
            tuple(entry["ids"]),
            entry["title"],
            entry["label"],
            entry["suggestion"],
            entry["prob_suggestion"],
            picture,
            "label issue",
        )
        for entry, picture in zip(entries, catalog.picture_paths(rows), strict=True)
    ]


def _page(value: dict[str, Any], pictures: dict[str, str | None]) -> str:
    templates = environment("label_issues.html.j2")
    options = {"pictures": pictures, "separator": PATH_SEPARATOR, "shown_ids": SHOWN_IDS}
    return templates.get_template("label_issues.html.j2").render(**value, **options, **script(templates))


def _table(entries: Sequence[dict[str, Any]]) -> str:
    """The entries as CSV; lists become one cell."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        joined = {
            **entry,
            "label_path": PATH_SEPARATOR.join(filter(None, entry["label_path"])),
            "suggestion_path": PATH_SEPARATOR.join(filter(None, entry["suggestion_path"])),
            "ids": " ".join(entry["ids"]),
        }
        writer.writerow(
            [guarded(cell) if isinstance(cell := joined[name], str) else cell for name in COLUMNS]
        )
    return stream.getvalue()
