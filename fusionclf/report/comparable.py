"""Runs before and after corrections, all scored by the labels of one catalog. Run folders are not changed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from fusionclf.catalog import Catalog
from fusionclf.errors import CatalogError, RunError, quoted
from fusionclf.evaluation import CategoryGraph
from fusionclf.evaluation.held_out import HELD_OUT, read_held_out
from fusionclf.evaluation.metrics import run_metrics
from fusionclf.evaluation.predictions import CONTEXT, GROUP, LEAKED_PICTURE, TOP, TRUE_CATEGORY, level_columns
from fusionclf.metrics_schema import Metrics
from fusionclf.report.catalog import find_catalog
from fusionclf.report.collect import Run, finished_at, read_runs
from fusionclf.run_schema import ALL_CLASSES

SHOWN = 3  # labels that a remark names


@dataclass(frozen=True)
class ComparableRuns:
    """Runs whose metrics are computed on the same products and labels.

    Attributes:
        runs: as read; if they are of several catalogs, the metrics of some were computed again.
        catalog: of their labels; None if it was not found.
        note: why it was not found.
        remarks: how runs of several catalogs were compared; empty for one catalog.
    """

    runs: list[Run]
    catalog: Catalog | None
    note: str
    remarks: list[str]


def comparable_runs(folders: Sequence[Path], data: Path | None = None) -> ComparableRuns:
    """Finished runs of one split, or of several catalogs with the same test products.

    Runs of several catalogs are scored by the labels of one: that of `data`, or else that of the run that finished
    last.

    Args:
        folders: run folders.
        data: a catalog of the runs; default: the one in their settings.

    Raises:
        RunError: the runs cannot be compared, or `data` is not a catalog of any of them.
        CatalogError: `data` cannot be read.
    """
    runs = read_runs(folders, one_catalog=False)
    if len({run.split["catalog_sha256"] for run in runs}) == 1:
        return ComparableRuns(runs, *find_catalog(runs, data), [])
    # Of runs that finished in one second, the last one given counts.
    reference = max(reversed(runs), key=finished_at) if data is None else _run_of(runs, data)
    why = f"since {reference.name} finished last" if data is None else "as --data says"
    parts = _common_parts(runs)
    truth = _truth([reference, *(run for run in runs if _same_catalog(run, reference))])
    before = [_of_parts(run, parts, reference) for run in runs]
    after = [run if _same_catalog(run, reference) else _relabelled(run, reference, truth) for run in before]
    both = [(old, new) for old, new in zip(before, after, strict=True) if old is not new]
    remarks = [f"{_remark(old, new, reference, why)}." for old, new in both]
    if left_out := [part for part in reference.split["classes"] if part not in parts]:
        remarks.append(
            f"Not compared: {' and '.join(left_out)}, whose classes or test products differ between the catalogs."
        )
    if any(_column(old, "label") != _column(new, "label") for old, new in both):
        remarks.append("Corrections that follow a run's own suggestions favour that run.")
    return ComparableRuns(after, *find_catalog([reference], data), remarks)


def _same_catalog(run: Run, other: Run) -> bool:
    return run.split["catalog_sha256"] == other.split["catalog_sha256"]


def _run_of(runs: Sequence[Run], data: Path) -> Run:
    """The last finished run of the catalog `data`."""
    refused: RunError | CatalogError | None = None
    for run in sorted(runs, key=finished_at, reverse=True):
        try:
            find_catalog([run], data)
        except (RunError, CatalogError) as error:
            refused = refused or error
        else:
            return run
    assert refused is not None
    raise refused


def _common_parts(runs: Sequence[Run]) -> set[str]:
    """All classes together, and the parts that have the same classes and test products in every split."""
    of_parts = [
        {
            part: (set(names), set(run.split["ids"][part]["test"]))
            for part, names in run.split["classes"].items()
        }
        for run in runs
    ]
    return {
        ALL_CLASSES,
        *(part for part, own in of_parts[0].items() if all(each.get(part) == own for each in of_parts)),
    }


def _of_parts(run: Run, parts: set[str], reference: Run) -> Run:
    frames = {part: frame for part, frame in run.frames.items() if part in parts}
    if not frames:
        raise RunError(
            f"{run.name}: has no model over all classes, which a comparison of several catalogs needs; train it with "
            f"scheme=single_stage, or leave out {reference.name if run is not reference else 'it'}"
        )
    return replace(run, frames=frames)


def _truth(runs: Sequence[Run]) -> pd.DataFrame:
    """The columns about a catalog's test products in its runs, by id: labels, training rows of classes, titles.

    The first run that scored a product counts.
    """
    frames = [frame for run in runs for frame in run.frames.values()]
    names = [*CONTEXT, LEAKED_PICTURE, GROUP, *level_columns(frames[0], TRUE_CATEGORY)]
    shared = [name for name in names if all(name in frame for frame in frames)]
    table = pd.concat([frame.filter(shared) for frame in frames], ignore_index=True).set_index("id")
    return table.loc[~table.index.duplicated()]


def _relabelled(run: Run, reference: Run, truth: pd.DataFrame) -> Run:
    """The run with the labels of another catalog and metrics by them. Predictions and thresholds are not changed."""
    frames = {part: _with_labels(run, reference, frame, truth) for part, frame in run.frames.items()}
    labels = truth.loc[list(dict.fromkeys(product for frame in frames.values() for product in frame["id"]))]
    graph = CategoryGraph.load(run.folder / "model" / "graph.json").with_classes(_places(labels))
    held_out = {
        part: read_held_out(run.folder, part)
        for part in frames
        if (run.folder / HELD_OUT / f"{part}.parquet").is_file()
    }
    # Further columns and the parts of a fusion are left out: they were scored by the run's own catalog.
    left_out = ("answers", "fusion_parts")
    metrics: dict[str, Any] = {key: value for key, value in run.metrics.items() if key not in left_out}
    metrics |= run_metrics(run.variant, frames, graph, held_out)
    environment = {**run.environment, "catalog": reference.environment["catalog"]}
    return replace(
        run, metrics=cast(Metrics, metrics), frames=frames, split=reference.split, environment=environment
    )


def _with_labels(run: Run, reference: Run, frame: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Predictions with the labels and other facts about the products of another catalog."""
    if unknown := sorted(set(frame["id"]) - set(truth.index)):
        raise RunError(
            f"{reference.name}: did not score {len(unknown):,} test products of {run.name}, such as "
            f"{quoted(unknown[0])}, so their new labels are unknown; also give another run of its catalog"
        )
    known = truth.loc[frame["id"]].reset_index(drop=True)
    own = [*CONTEXT[1:], LEAKED_PICTURE, GROUP, *level_columns(frame, TRUE_CATEGORY)]
    kept = frame.drop(columns=[name for name in own if name in frame]).reset_index(drop=True)
    again = pd.concat([kept, known], axis=1)
    # Only the probabilities of the most likely classes are kept in a run.
    ranks = [
        (again[f"label_{rank}"] == again["label"]).fillna(False).to_numpy(bool) for rank in range(1, TOP + 1)
    ]
    shares = [again[f"prob_{rank}"].to_numpy(float) for rank in range(1, TOP + 1)]
    return again.assign(prob_label=np.select(ranks, shares, np.nan))


def _places(labels: pd.DataFrame) -> dict[str, list[str]]:
    """Class → its categories, the coarsest first."""
    rows = zip(
        labels["label"].tolist(), labels[level_columns(labels, TRUE_CATEGORY)].to_numpy(object), strict=True
    )
    return {name: [str(cell) for cell in categories] for name, categories in rows}


def _remark(run: Run, again: Run, reference: Run, why: str) -> str:
    """How the labels of a run's test products differ, with examples, and which titles and classes do."""
    old, new = (_column(each, "label") for each in (run, again))
    differing = [
        f"{quoted(product)}: {quoted(label)} → {quoted(new[product])}"
        for product, label in old.items()
        if label != new[product]
    ]
    text = (
        f"{run.name}: scored by the labels of {reference.name}'s catalog, {why}; {len(differing):,} of {len(old):,} "
        "test labels differ"
    )
    if differing:
        text += f" ({', '.join(differing[:SHOWN])}{', …' if len(differing) > SHOWN else ''})"
    if run.top1(ALL_CLASSES) >= 0:
        own, now = run.top1(ALL_CLASSES), again.top1(ALL_CLASSES)
        text += f"; top-1 over all classes {now:.2f} %, by its own labels {own:.2f} %"
    titles = [_column(each, "title_group") for each in (run, again)]
    if retitled := sum(group != titles[1][product] for product, group in titles[0].items()):
        text += f"; {retitled:,} test products have another title there, which this run did not read"
    known = {name for names in run.split["classes"].values() for name in names}
    if strange := [label for label in new.values() if label not in known]:
        names = sorted(set(strange))
        listed = ", ".join(map(quoted, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
        text += f"; {len(strange):,} test products have a class that it cannot predict: {listed}"
    return text


def _column(run: Run, name: str) -> dict[str, Any]:
    """Test product → its cell of a column of the predictions."""
    return {
        product: cell
        for frame in run.frames.values()
        for product, cell in zip(frame["id"].tolist(), frame[name].tolist(), strict=True)
    }
