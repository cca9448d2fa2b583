"""The comparison of runs that predict several labels per product: report.html, report.md and report.json."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from fusionclf.catalog import Catalog
from fusionclf.config import SplitConfig
from fusionclf.errors import RunError
from fusionclf.evaluation.multilabel import LabelSetPredictions, read_label_set_predictions
from fusionclf.evaluation.multilabel.metrics import METRICS, columns, metrics_of_sums
from fusionclf.evaluation.significance import percentile_interval, resampled_sums
from fusionclf.files import json_text, write_all
from fusionclf.metrics_schema import METRICS as METRICS_FILE
from fusionclf.report.catalog import catalog_facts, find_catalog
from fusionclf.report.collect import (
    Run,
    check_folders,
    check_same_catalog,
    check_same_split,
    read_log,
    read_split,
)
from fusionclf.report.definitions import OF_LABEL_SETS
from fusionclf.report.page import environment, script
from fusionclf.report.reproducibility import reproducibility
from fusionclf.report.text import kept_subsets, percent, resampled, signed
from fusionclf.run_schema import ALL_CLASSES, ENVIRONMENT, read_config
from fusionclf.runfolder import AGAIN, is_finished, one_line, read_json_as

TITLES = {
    "micro_f1": "micro F1", "macro_f1": "macro F1", "mean_average_precision": "mAP", "micro_precision": "precision",
    "micro_recall": "recall", "subset_accuracy": "all right", "ranking_precision": "ranking precision",
}  # fmt: skip
COST = ("train_seconds", "products_per_second", "parameters", "peak_memory_mib")
RULES = {
    "year_parity": "even years are train products, odd years and products without a year test products",
    "random": "at random, by the rarest label of each product",
    "column": "a column of the catalog marks the test products",
}


def are_label_sets(folders: Sequence[Path]) -> bool:
    """Whether runs predict several labels per product.

    Raises:
        RunError: some do, and others predict one.
    """
    finished = [folder for folder in folders if is_finished(folder)]
    several = [
        folder for folder in finished if "multilabel" in read_json_as(folder / "metrics.json", METRICS_FILE)
    ]
    others = [str(folder) for folder in finished if folder not in several]
    if several and others:
        raise RunError(
            f"{', '.join(others)}: one label per product, and {several[0]} predicts several (catalog.label_list); "
            "compare runs of one kind"
        )
    return bool(several)


def compare_label_sets(folders: Sequence[Path], out: Path | None, data: Path | None) -> dict[str, Any]:
    """As `compare`, for runs that predict several labels per product."""
    runs = _read_runs(folders)
    catalog, note = find_catalog(runs, data)
    value = report_value(runs, catalog, note)
    if out is not None:
        page, markdown = (_render(f"label_sets.{kind}.j2", value) for kind in ("html", "md"))
        markdown = re.sub(r"\n{3,}", "\n\n", markdown)  # jinja leaves empty lines
        write_all(out, {"report.html": page, "report.md": markdown, "report.json": json_text(value)})
    return value


def _render(template: str, value: dict[str, Any]) -> str:
    templates = environment(template)
    return templates.get_template(template).render(
        **value,
        metric_names=METRICS,
        titles=TITLES,
        all_classes=ALL_CLASSES,
        definitions=OF_LABEL_SETS,
        **script(templates),
    )


def _read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs, best first by micro F1."""
    names = check_folders(folders)
    runs = [_read(folder, name) for folder, name in zip(folders, names, strict=True)]
    check_same_catalog(runs)
    check_same_split(runs)
    return sorted(runs, key=lambda run: -(_scores(run)["micro_f1"] or 0))


def _read(folder: Path, name: str) -> Run:
    metrics, split = read_json_as(folder / "metrics.json", METRICS_FILE), read_split(folder)
    file = folder / "predictions" / f"{ALL_CLASSES}.parquet"
    labels = tuple(sorted(label for names in split["classes"].values() for label in names))
    frame = read_label_set_predictions(file, labels)
    known = {product for subsets in split["ids"].values() for product in subsets["test"]}
    if odd := sorted(set(frame["id"]) - known):
        raise RunError(one_line(f"product {odd[0]!r} is not in split.json; {AGAIN}", file))
    config, cost = read_config(folder), read_json_as(folder / "environment.json", ENVIRONMENT)
    log = read_log(folder / "log.jsonl")
    run = Run(name, metrics["variant"], metrics, config, cost, split, log, {ALL_CLASSES: frame}, folder)
    found = metrics_of_sums(np.asarray(columns(_predictions(run, frame)).sum(axis=0)).reshape(1, -1))
    own = _scores(run)
    if own["n"] != len(frame) or abs((own["micro_f1"] or 0) - np.nan_to_num(found["micro_f1"][0])) > 1e-6:
        raise RunError(one_line(f"its predictions do not match metrics.json; {AGAIN}", file))
    return run


def _scores(run: Run) -> dict[str, Any]:
    assert "multilabel" in run.metrics
    return dict(run.metrics["multilabel"]["scores"])


def _predictions(run: Run, frame: pd.DataFrame) -> LabelSetPredictions:
    labels = tuple(sorted(label for names in run.split["classes"].values() for label in names))
    return LabelSetPredictions.of(frame, labels)


def report_value(runs: Sequence[Run], catalog: Catalog | None = None, note: str = "") -> dict[str, Any]:
    """Everything in the report; runs are listed best first.

    Args:
        runs: the runs to compare.
        catalog: their catalog, for its check; None where it was not found.
        note: why it was not found.
    """
    tests = [_against(runs[0], other) for other in runs[1:]]
    units = resampled(SplitConfig.model_validate(runs[0].split["spec"]).group_columns)
    return {
        "task": "multilabel",
        "title": _title(runs, tests),
        "introduction": _introduction(runs, tests),
        "runs": [_run(run) for run in runs],
        "best": {name: _best(runs, name) for name in METRICS},
        "tests": tests,
        "split": _split(runs[0]) | {"resampled": list(units)},
        "per_label": _per_label(runs),
        "catalog": catalog_facts(catalog, runs[0]) if catalog is not None else None,
        "catalog_note": note,
        "making": reproducibility(runs),
    }


def _title(runs: Sequence[Run], tests: Sequence[dict[str, Any]]) -> str:
    best, claim, behind = runs[0], "", ""
    if tests and tests[0]["products"]:
        other, difference = tests[0]["other"], tests[0]["difference"]
        holds = all(row["interval"] is not None and row["interval"][0] > 0 for row in tests)
        claim = " is best" if holds else f" is level with {other}" if difference == 0 else " is ahead"
        behind = f", {signed(difference)} over {other}" if difference else ""
    return f"Several labels per product: {best.name}{claim} (micro F1 {percent(_scores(best)['micro_f1'])} %{behind})"


def _introduction(runs: Sequence[Run], tests: Sequence[dict[str, Any]]) -> list[str]:
    """Three sentences for a reader who does not know the project."""
    split, best, many = _split(runs[0]), runs[0], len(runs) > 1
    what = f"compares {len(runs)} models that predict" if many else "shows one model that predicts"
    f1 = percent(_scores(best)["micro_f1"])
    text = f"{best.name} has the highest micro F1, {f1} %" if many else f"Its micro F1 is {f1} %"
    if tests and tests[0]["difference"] == 0:
        text += f", as high as that of {tests[0]['other']}"
    elif tests and tests[0]["interval"] is not None:
        chance = "more than chance explains" if tests[0]["interval"][0] > 0 else "which chance may explain"
        text += f", {signed(tests[0]['difference'])} over {tests[0]['other']}, {chance}"
    return [
        f"This report {what} the labels of a catalog product, such as its tags, from its picture, what is written "
        "about it, or both.",
        f"{'They' if many else 'It'} learned from {split['train'] + split['validation']:,} products with "
        f"{split['labels']:,} labels and had to predict those of {split['test']:,} other products, whose labels are "
        "known.",
        f"{text}.",
    ]


def _run(run: Run) -> dict[str, Any]:
    assert "multilabel" in run.metrics
    own = run.metrics["multilabel"]
    return {
        "name": run.name,
        "variant": run.variant,
        "seed": run.config.get("seed"),
        "scores": own["scores"],
        "intervals": own["intervals"],
        "cost": {name: run.environment.get(name) for name in COST},
    }


def _best(runs: Sequence[Run], metric: str) -> list[str]:
    """The runs with the best value of a metric; none where there is one run."""
    values = {run.name: _scores(run)[metric] for run in runs}
    known = [value for value in values.values() if value is not None]
    return [name for name, value in values.items() if value == max(known)] if len(known) > 1 else []


def _against(best: Run, other: Run) -> dict[str, Any]:
    """By how much the best run's micro F1 is ahead, over the products that both scored."""
    first, second = best.frames[ALL_CLASSES], other.frames[ALL_CLASSES]
    shared = first[["id"]].merge(second[["id"]], on="id")["id"]
    found = [_predictions(run, frame.set_index("id", drop=False).loc[shared].reset_index(drop=True))
             for run, frame in ((best, first), (other, second))]  # fmt: skip
    both = sparse.csr_array(sparse.hstack([columns(own) for own in found]))
    width = int(both.shape[1]) // 2  # pyright: ignore[reportOptionalSubscript]

    def differences(sums: np.ndarray) -> np.ndarray:
        own, others = (metrics_of_sums(half)["micro_f1"] for half in (sums[:, :width], sums[:, width:]))
        return own - others

    interval = None
    difference = None
    if len(shared):
        difference = float(differences(np.asarray(both.sum(axis=0)).reshape(1, -1))[0])
        interval = percentile_interval(differences(resampled_sums(both, found[0].groups)))
    return {
        "best": best.name, "other": other.name, "products": len(shared), "difference": difference,
        "interval": interval,
    }  # fmt: skip


def _split(run: Run) -> dict[str, Any]:
    split, frame = run.split, run.frames[ALL_CLASSES]
    counts = {
        subset: sum(len(ids[subset]) for ids in split["ids"].values())
        for subset in ("train", "validation", "test")
    }
    return {
        "spec": split["spec"],
        "rule": RULES[split["spec"]["rule"]] + kept_subsets(split["spec"]),
        "labels": sum(map(len, split["classes"].values())),
        **counts,
        "leaked": int(frame["leaked_title"].to_numpy(bool).sum()),
        "catalog": run.environment.get("catalog") or {},
        "sha256": split["sha256"],
        "catalog_sha256": split["catalog_sha256"],
    }


def _per_label(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A row for each label, most test products first; `runs` has the metrics of each run."""
    rows: dict[str, dict[str, Any]] = {}
    kept = ("predicted_rows", "precision", "recall", "f1", "average_precision", "threshold")
    for run in runs:
        assert "multilabel" in run.metrics
        for entry in run.metrics["multilabel"]["per_label"]:
            shown = {key: entry[key] for key in ("label", "train_rows", "test_rows")}
            row = rows.setdefault(entry["label"], {**shown, "runs": {}})
            row["runs"][run.name] = {key: entry[key] for key in kept}
    return sorted(rows.values(), key=lambda row: (-row["test_rows"], row["label"]))
