"""What target precisions give on test products of several catalogs and split seeds, or why they are refused.

    python -m benchmarks.target_precision OUT flipkart=data/flipkart magento=data/magento emoji-fr=data/emoji

Arguments and kept runs are those of `benchmarks.catalogs`: runs below OUT that it made are used, and where there is
none, `baseline linear` is fitted. `--model NAME` takes the runs of another of its models. The table has a line for each
catalog and seed, then for each catalog the precision of all accepted test products of its seeds together.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.catalogs import MODELS, SEEDS, copied, fusionclf
from fusionclf.evaluation import read_predictions
from fusionclf.evaluation.predictions import group_numbers
from fusionclf.evaluation.thresholds import CannotGuaranteeError, thresholds_of_run

TARGETS = (0.9, 0.95, 0.98)


def finished_run(out: Path, name: str, source: Path, words: list[str], model: str, seed: int) -> Path:
    """A run of the model with this split seed, fitted where there is none yet."""
    run, data = out / name / f"{model}-{seed}", out / name / "data"
    if not (run / "metrics.json").is_file():
        copied(source, data)
        if not (data / "catalog.yaml").is_file():
            fusionclf("data", "describe", str(data), *words)
        command = (*MODELS[model], "--data", str(data), "--out", str(run), "--overwrite")
        fusionclf(*command, f"split.seed={seed}")
    return run


def accepted(run: Path, target: float) -> np.ndarray | float | None:
    """(a,) whether each accepted test product is right; where it is refused, the largest guarantee in percent."""
    test = read_predictions(run / "predictions" / "joint.parquet")
    try:
        least = thresholds_of_run(run, "joint", target).accept_from
    except CannotGuaranteeError as refused:
        return None if refused.largest is None else 100 * refused.largest
    taken = test[test["prob_1"] >= (2.0 if least is None else least)]
    return (taken["label"] == taken["label_1"]).to_numpy(bool)


def cell(found: np.ndarray | float | None, test_rows: int) -> str:
    """Precision and share of accepted products, or the largest guarantee."""
    if isinstance(found, np.ndarray):
        return (
            f"{100 * found.mean():.1f} ({100 * len(found) / test_rows:.0f} % accepted)" if len(found) else "–"
        )
    return "refused" if found is None else f"refused; at most {found:.0f}"


def counts(frame: pd.DataFrame) -> str:
    """Products, and their groups where they are fewer."""
    groups = len(set(group_numbers(frame)))
    return f"{len(frame):,}" if groups == len(frame) else f"{len(frame):,} in {groups:,} groups"


def lines(out: Path, name: str, source: Path, words: list[str], model: str) -> list[str]:
    """The lines of one catalog."""
    table, pooled = [], {target: [] for target in TARGETS}
    for seed in SEEDS:
        run = finished_run(out, name, source, words, model, seed)
        test = read_predictions(run / "predictions" / "joint.parquet")
        found = {target: accepted(run, target) for target in TARGETS}
        for target, right in found.items():
            pooled[target] += [right] if isinstance(right, np.ndarray) else []
        cells = [cell(found[target], len(test)) for target in TARGETS]
        held_out = counts(read_predictions(run / "held_out" / "joint.parquet"))
        top1 = 100 * (test["label"] == test["label_1"]).mean()
        table.append(f"| {name} | {seed} | {held_out} | {top1:.1f} | {' | '.join(cells)} |")
    cells = [
        f"{100 * np.concatenate(right).mean():.1f} ({len(right)} of {len(SEEDS)} seeds)"
        if right
        else "refused"
        for right in pooled.values()
    ]
    return [*table, f"| {name} | all | | | {' | '.join(cells)} |"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("catalogs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--model", choices=MODELS, default="linear")
    arguments = parser.parse_args()
    columns = " | ".join(f"target {100 * target:g}" for target in TARGETS)
    print(
        f"| catalog | seed | held-out products | top-1 | {columns} |\n| --- |"
        + " ---: |" * (3 + len(TARGETS))
    )
    for text in arguments.catalogs:
        name, _, rest = text.partition("=")
        folder, *words = rest.split(",")
        print("\n".join(lines(arguments.out, name, Path(folder), words, arguments.model)), flush=True)


if __name__ == "__main__":
    main()
