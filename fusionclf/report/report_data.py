"""Run records → the report as plain data, for report.json and the templates."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.catalog import Catalog
from fusionclf.evaluation import (
    by_training_rows,
    confused_pairs,
    correct,
    coverage_accuracy,
    reliability,
)
from fusionclf.evaluation.ranks import has_probabilities
from fusionclf.report.catalog import catalog_facts
from fusionclf.report.collect import Run
from fusionclf.report.columns import further_columns, fusion_parts
from fusionclf.report.examples import examples
from fusionclf.report.introduction import introduction
from fusionclf.report.notes import notes
from fusionclf.report.paths import decisions, hierarchy
from fusionclf.report.ranking import against_best, best_values, headline, ranked, summary, verdict
from fusionclf.report.reproducibility import reproducibility
from fusionclf.report.split_facts import own_parts, split_facts
from fusionclf.run_schema import ALL_CLASSES

COST = (
    "train_seconds",
    "predict_seconds",
    "products_per_second",
    "pictures_per_second",
    "parameters",
    "peak_memory_mib",
    "device",
)
# uditarora/fashion-product-classification: RESULTS.md, MTRESULTS.md, README. top1 and top5 by part, percent.
PUBLISHED = (
    ("ResNet50, two-stage", "full-size pictures", (88.05, 95.78), (47.10, 63.85)),
    ("multitask", "full-size pictures", (88.35, 95.74), (48.97, 63.94)),
    ("ResNet50, two-stage", "small pictures", (87.01, 95.76), (42.96, 62.87)),
    ("multitask", "small pictures", (87.46, 95.78), (46.23, 62.92)),
    ("Naive Bayes", "titles", (85.23, None), (42.55, None)),
)
REFERENCE_TEST_ROWS = {"top20": 15_149, "rest": 5_505}
PAIRS_OF_BEST, PAIRS_OF_OTHERS, MOST_PAIRS = 12, 4, 30  # confused pairs of a run, and of all runs
COVERAGE_SHARES = (2, *range(5, 101, 5))  # percent of the products, most confident first


def report_value(
    runs: Sequence[Run], catalog: Catalog | None = None, note: str = "", remarks: Sequence[str] = ()
) -> dict[str, Any]:
    """Everything in the report except pictures; runs are listed best first, by the first part.

    Args:
        runs: the runs to compare.
        catalog: their catalog, for titles, pictures and its check; None where it was not found.
        note: why it was not found.
        remarks: how runs of several catalogs were compared.
    """
    parts = list(runs[0].split["classes"])
    if any(ALL_CLASSES in run.frames for run in runs):
        parts.append(ALL_CLASSES)
    parts = [part for part in parts if any(part in run.frames for run in runs)]
    runs = sorted(runs, key=lambda run: tuple(-run.top1(part) for part in parts))
    reference = published(runs[0])
    found = {part: against_best(runs, part) for part in parts}
    verdicts = {part: verdict(runs, part, found[part]) for part in parts}
    split = split_facts(runs, parts)
    return {
        "parts": parts,
        "title": summary(verdicts),
        "introduction": introduction(len(runs), split["parts"], verdicts),
        "remarks": list(remarks),
        "headline": [headline(runs, part, found[part], reference) for part in parts],
        "verdicts": verdicts,
        "notes": notes(runs, parts),
        "runs": [_run(run, number, parts) for number, run in enumerate(runs)],
        "best": {part: best_values(runs, part) for part in parts},
        "tests": found,
        "split": split,
        "published": reference,
        "slices": {part: _slices(runs, part) for part in parts},
        "training_rows": {part: _by_run(runs, part, _training_rows) for part in parts},
        "per_class": {part: _per_class(runs, part) for part in own_parts(parts)},
        "confused": {part: _confused(runs, part) for part in parts},
        "hierarchy": {part: hierarchy(runs, part) for part in parts},
        "decisions": {part: decisions(runs, part) for part in parts},
        "columns": {part: further_columns(runs, part) for part in parts},
        "fusion_parts": {part: fusion_parts(runs, part) for part in parts},
        "examples": {part: examples(runs, part, catalog) for part in parts},
        "curves": [
            {"run": run.name, "colour": number, "stage": stage, "rows": rows}
            for number, run in enumerate(runs)
            for stage, rows in _stages(run)
        ],
        "calibration": {part: _by_run(runs, part, _calibration, has_probabilities) for part in parts},
        "coverage": {part: _by_run(runs, part, _coverage, has_probabilities) for part in parts},
        "catalog": catalog_facts(catalog, runs[0]) if catalog is not None else None,
        "catalog_note": note,
        "making": reproducibility(runs),
    }


def _run(run: Run, number: int, parts: Sequence[str]) -> dict[str, Any]:
    return {
        "name": run.name,
        "variant": run.variant,
        "colour": number,
        "seed": run.config.get("seed"),
        "scores": {part: run.scores(part) for part in parts},
        "intervals": {part: run.metrics["intervals"].get(part) or {} for part in parts},
        "cost": {name: run.environment.get(name) for name in COST},
    }


def published(run: Run) -> list[dict[str, Any]]:
    """The reference's results, if the runs have the reference's split and catalog."""
    sizes = {part: len(ids["test"]) for part, ids in run.split["ids"].items()}
    spec = run.split["spec"]
    its_split = spec.get("rule") == "year_parity" and spec.get("top_k") == 20
    if sizes != REFERENCE_TEST_ROWS or not its_split or spec.get("swap") or spec.get("group_by"):
        return []
    return [
        {
            "name": name,
            "pictures": pictures,
            "top20": {"top1": top[0], "top5": top[1]},
            "rest": {"top1": rest[0], "top5": rest[1]},
        }
        for name, pictures, top, rest in PUBLISHED
    ]


def _slices(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    sizes: dict[str, Any] = {}
    for run in ranked(runs, part):  # only runs that read pictures have slices of pictures
        sizes = dict(run.metrics["slices"].get(part) or {}) | sizes
    rows = []
    for name, first in sizes.items():
        top1 = {run.name: run.metrics["slices"].get(part, {}).get(name, {}).get("top1") for run in runs}
        rows.append(
            {"slice": name, "n": first["n"], "top1": {k: v for k, v in top1.items() if _has(runs, k, part)}}
        )
    return rows


def _has(runs: Sequence[Run], name: str, part: str) -> bool:
    return any(run.name == name and part in run.frames for run in runs)


def _per_class(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    """A row for each class, most test rows first; `runs` has the metrics of each run."""
    rows: dict[str, dict[str, Any]] = {}
    for run in ranked(runs, part):
        for entry in run.metrics["per_class"].get(part, []):
            row = rows.setdefault(
                entry["label"],
                {**{key: entry[key] for key in ("label", "train_rows", "test_rows")}, "runs": {}},
            )
            row["runs"][run.name] = {"top1": entry["top1"], "top5": entry["top5"]}
    return sorted(rows.values(), key=lambda row: (-row["test_rows"], row["label"]))


def _stages(run: Run) -> list[tuple[str, list[dict[str, Any]]]]:
    names = list(dict.fromkeys(row["stage"] for row in run.log))
    return [(name, [row for row in run.log if row["stage"] == name]) for name in names]


def _by_run(
    runs: Sequence[Run],
    part: str,
    compute: Callable[[pd.DataFrame], dict[str, Any]],
    usable: Callable[[pd.DataFrame], bool] = lambda frame: True,
) -> list[dict[str, Any]]:
    """`compute` of the predictions of each run that scored the part, where they are usable."""
    scoring = [(number, run) for number, run in enumerate(runs) if len(run.frames.get(part, ()))]
    return [
        {"run": run.name, "colour": number, **compute(run.frames[part])}
        for number, run in scoring
        if usable(run.frames[part])
    ]


def _training_rows(frame: pd.DataFrame) -> dict[str, Any]:
    return {"bins": by_training_rows(frame)}


def _calibration(frame: pd.DataFrame) -> dict[str, Any]:
    bins = reliability(frame["prob_1"].to_numpy(float), correct(frame))
    return {"bins": [{"n": n, "confidence": 100 * sure, "accuracy": 100 * share} for n, sure, share in bins]}


def _coverage(frame: pd.DataFrame) -> dict[str, Any]:
    shares = np.array(COVERAGE_SHARES) / 100
    accuracy = 100 * coverage_accuracy(frame["prob_1"].to_numpy(float), correct(frame), shares)
    return {"shares": list(COVERAGE_SHARES), "accuracy": accuracy.tolist()}


def _confused(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    """The most frequent pairs of label and wrong class of every run, ordered by the best run's counts."""
    counts = {run.name: confused_pairs(run.frames[part]) for run in ranked(runs, part)}
    best, *others = [list(each) for each in counts.values()]
    pairs = best[:PAIRS_OF_BEST] + [pair for each in others for pair in each[:PAIRS_OF_OTHERS]]
    rows = [
        {
            "label": label,
            "answer": predicted,
            "runs": {name: each.get((label, predicted), 0) for name, each in counts.items()},
        }
        for label, predicted in dict.fromkeys(pairs)
    ]
    return sorted(rows, key=lambda row: [-n for n in row["runs"].values()])[:MOST_PAIRS]
