"""Records → the report as plain data: what report.json holds and what the templates show."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionclf.evaluation import correct, holm, mcnemar_exact, reliability
from fusionclf.report.collect import Run

METRICS = ("top1", "top5", "seen", "unseen", "harmonic", "macro_f1", "balanced_accuracy", "ece")
LOWER_IS_BETTER = ("ece",)
LEVEL = 0.05
# uditarora/fashion-product-classification: RESULTS.md, MTRESULTS.md and README. top1 / top5 by part, in percent.
PUBLISHED = (
    ("ResNet50, two-stage", "full-size", (88.05, 95.78), (47.10, 63.85)),
    ("multitask", "full-size", (88.35, 95.74), (48.97, 63.94)),
    ("ResNet50, two-stage", "small", (87.01, 95.76), (42.96, 62.87)),
    ("multitask", "small", (87.46, 95.78), (46.23, 62.92)),
    ("Naive Bayes on the title", "none", (85.23, None), (42.55, None)),
)
REFERENCE_SIZES = {"top20": 15_149, "rest": 5_505}


def report_value(runs: Sequence[Run]) -> dict[str, Any]:
    """Everything the report says, from the runs alone."""
    parts = list(runs[0].split["classes"])
    joint = ["joint"] if any("joint" in run.frames for run in runs) else []
    tests = {part: _tests(runs, part) for part in [*parts, *joint]}
    return {
        "parts": [*parts, *joint],
        "headline": [_headline(runs, part, tests[part]) for part in [*parts, *joint]],
        "runs": [_row(run, [*parts, *joint]) for run in runs],
        "best": {part: _best(runs, part) for part in [*parts, *joint]},
        "tests": tests,
        "split": _split(max(runs, key=lambda run: sum(map(len, run.frames.values()))), parts),
        "published": _published(runs[0]),
        "slices": {part: _slices(runs, part) for part in [*parts, *joint]},
        "per_class": {part: _per_class(runs, part) for part in parts},
        "curves": [{"run": run.name, "stage": s, "rows": rows} for run in runs for s, rows in _stages(run)],
        "calibration": {part: _calibration(runs, part) for part in parts},
        "making": _making(runs),
    }


def _scores(run: Run, part: str) -> dict[str, Any] | None:
    if part == "joint":
        return run.metrics["joint"] if "joint" in run.frames else None
    return run.metrics["parts"].get(part)


def _row(run: Run, parts: Sequence[str]) -> dict[str, Any]:
    cost = ("train_seconds", "products_per_second", "pictures_per_second", "parameters", "peak_memory_mib", "device")
    return {
        "name": run.name,
        "variant": run.variant,
        "seed": run.config.get("seed"),
        "scores": {part: _scores(run, part) for part in parts},
        "intervals": {part: run.metrics["intervals"].get(part, {}) for part in parts},
        "cost": {name: run.environment.get(name) for name in cost},
    }


def _ranked(runs: Sequence[Run], part: str) -> list[Run]:
    with_part = [run for run in runs if part in run.frames]
    return sorted(with_part, key=lambda run: -(_scores(run, part) or {"top1": 0})["top1"])


def _best(runs: Sequence[Run], part: str) -> dict[str, list[str]]:
    """Metric → names of the runs that reach the best value."""
    best = {}
    for metric in METRICS:
        values = {run.name: (_scores(run, part) or {}).get(metric) for run in runs}
        known = [value for value in values.values() if value is not None]
        top = (min(known) if metric in LOWER_IS_BETTER else max(known)) if len(set(known)) > 1 else None
        best[metric] = [name for name, value in values.items() if value is not None and value == top]
    return best


def _tests(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    """McNemar's test between the best run of a part and each other, p-values adjusted by Holm's method."""
    ranked = _ranked(runs, part)
    rows = []
    for other in ranked[1:]:
        both = ranked[0].frames[part].merge(other.frames[part], on="id", suffixes=("", "_other"))
        first = correct(both)
        second = (both["label_1_other"] == both["label"]).to_numpy(bool)
        rows.append(
            {
                "best": ranked[0].name,
                "other": other.name,
                "products": len(both),
                "only_best_right": int((first & ~second).sum()),
                "only_other_right": int((~first & second).sum()),
                "difference": 100 * float(first.mean() - second.mean()) if len(both) else 0.0,
                "p": mcnemar_exact(first, second),
            }
        )
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return rows


def _headline(runs: Sequence[Run], part: str, tests: Sequence[dict[str, Any]]) -> str:
    ranked = _ranked(runs, part)
    where = "Over all classes" if part == "joint" else f"On {part}"
    best = _scores(ranked[0], part) or {}
    text = f"{where}, {ranked[0].name} is right most often: {best['top1']:.2f} % of {best['n']:,} test products"
    if not tests:
        return f"{text}."
    close = [row["other"] for row in tests if row["p_holm"] >= LEVEL]
    gap = f", {tests[0]['difference']:.2f} points more than {tests[0]['other']}"
    if tests[0]["products"] < best["n"]:
        gap += f" on the {tests[0]['products']:,} products that both scored"
    if not close:
        holds = "the difference to every other run holds (McNemar, Holm-corrected, below 0.05)"
    else:
        holds = f"no difference is shown to {', '.join(close)} (McNemar, Holm-corrected, not below 0.05)"
    return f"{text}{gap}; {holds}."


def _split(run: Run, parts: Sequence[str]) -> dict[str, Any]:
    counts = []
    for part in parts:
        frame = run.frames[part]
        ids = run.split["ids"][part]
        counts.append(
            {
                "part": part,
                "classes": len(run.split["classes"][part]),
                "train": len(ids["train"]),
                "validation": len(ids["validation"]),
                "test": len(ids["test"]),
                "unseen_rows": int((frame["label_train_count"] == 0).sum()),
                "ceiling": 100 * float((frame["label_train_count"] > 0).mean()),
                "leaked": 100 * float(frame["leaked_title"].mean()),
            }
        )
    catalog = run.environment.get("catalog", {})
    return {"spec": run.split["spec"], "parts": counts, "catalog": catalog, "sha256": run.split["sha256"],
            "catalog_sha256": run.split["catalog_sha256"]}  # fmt: skip


def _published(run: Run) -> list[dict[str, Any]]:
    """The reference's figures, only where the split is the reference's on the reference's catalog."""
    sizes = {part: len(ids["test"]) for part, ids in run.split["ids"].items()}
    spec = run.split["spec"]
    if sizes != REFERENCE_SIZES or spec["rule"] != "year_parity" or spec["swap"] or spec["group_by"]:
        return []
    return [{"name": n, "pictures": p, "top20": top, "rest": rest} for n, p, top, rest in PUBLISHED]


def _slices(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    with_part = [run for run in runs if part in run.frames]
    first = with_part[0].metrics["slices"][part]
    return [
        {
            "slice": name,
            "n": first[name]["n"],
            "top1": {run.name: run.metrics["slices"][part][name]["top1"] for run in with_part},
        }
        for name in first
    ]


def _per_class(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for run in runs:
        for entry in run.metrics["per_class"].get(part, []):
            row = rows.setdefault(entry["label"], {**entry, "runs": {}})
            row["train_rows"], row["test_rows"] = entry["train_rows"], max(row["test_rows"], entry["test_rows"])
            row["runs"][run.name] = {"top1": entry["top1"], "top5": entry["top5"]}
    listed = [{k: row[k] for k in ("label", "train_rows", "test_rows", "runs")} for row in rows.values()]
    return sorted(listed, key=lambda row: (-row["test_rows"], row["label"]))


def _stages(run: Run) -> list[tuple[str, list[dict[str, Any]]]]:
    names = list(dict.fromkeys(row["stage"] for row in run.log))
    return [(name, [row for row in run.log if row["stage"] == name]) for name in names]


def _calibration(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    rows = []
    for run in runs:
        frame = run.frames.get(part)
        if frame is not None:
            bins = reliability(np.asarray(frame["prob_1"], float), correct(frame))
            rows.append({"run": run.name, "bins": [{"n": n, "confidence": c, "accuracy": a} for n, c, a in bins]})
    return rows


def _making(runs: Sequence[Run]) -> dict[str, Any]:
    rows = []
    for run in runs:
        environment = run.environment
        rows.append(
            {
                "run": run.name,
                "command": _without_folders(environment.get("command", "")),
                "seed": run.config.get("seed"),
                "seconds": environment.get("seconds"),
                "finished_at": environment.get("finished_at"),
                "versions": environment.get("versions", {}),
                "platform": environment.get("platform"),
            }
        )
    return {"runs": rows, "differences": _differences(runs)}


def _without_folders(command: str) -> str:
    """A command line without the machine's folders: of an absolute path only the last name stays."""
    words = [word.strip("'") for word in command.split(" ")]
    return " ".join(word.rsplit("/", 1)[-1] if word.startswith("/") else word for word in words)


def _differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Settings that are not the same in all runs, apart from names and folders."""
    flat = {run.name: _flat(run.config) for run in runs}
    keys = sorted({key for settings in flat.values() for key in settings} - {"variant", "data"})
    rows = []
    for key in keys:
        values = {name: settings.get(key) for name, settings in flat.items() if key in settings}
        if len({repr(value) for value in values.values()}) > 1:
            rows.append({"setting": key, "values": values})
    return rows


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}".lstrip("."))
    return flat
