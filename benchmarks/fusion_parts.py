"""Fusion against what it is made of, and its calibration, over several catalogs and split seeds.

    python -m benchmarks.fusion_parts OUT flipkart magento emoji-fr

Reads runs that `python -m benchmarks.catalogs OUT …` made; fits nothing. A line for each catalog, means over its seeds:
on test products, fusion and the best of `linear`, `image` and `text`, as far as they were run; on held-out products,
what the runs answer by and the best of its parts and their product; then the calibration error over the test products
of all seeds.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.evaluation.calibration import expected_calibration_error

SINGLE = ("linear", "image", "text")
HEAD = "stacked"


def read_metrics(run: Path) -> dict[str, Any]:
    """metrics.json of a run."""
    return json.loads((run / "metrics.json").read_text())


def of_test_products(folder: Path, seeds: list[str]) -> tuple[float, float]:
    """Mean top-1 of fusion, and of the single model that is the best in the mean."""
    top1 = {
        model: np.mean([read_metrics(folder / f"{model}-{seed}")["joint"]["top1"] for seed in seeds])
        for model in ("fusion", *SINGLE)
        if all((folder / f"{model}-{seed}").is_dir() for seed in seeds)
    }
    return float(top1.pop("fusion")), float(max(top1.values()))


def of_held_out_products(folder: Path, seeds: list[str]) -> tuple[float, float]:
    """Mean top-1 of what the run answers by, and of the part or product that is the best in the mean."""
    runs = [read_metrics(folder / f"fusion-{seed}")["fusion_parts"]["joint"] for seed in seeds]
    answers = np.mean([run["parts"][run["answers_by"]]["all"] for run in runs])
    parts = [part for part in runs[0]["parts"] if part != HEAD]
    return float(answers), max(float(np.mean([run["parts"][part]["all"] for run in runs])) for part in parts)


def pooled_error(folder: Path, seeds: list[str]) -> float:
    """Expected calibration error in per cent over the test products of all seeds."""
    frames = [pd.read_parquet(folder / f"fusion-{seed}" / "predictions" / "joint.parquet") for seed in seeds]
    every = pd.concat(frames)
    right = (every["label"] == every["label_1"]).to_numpy()
    return 100 * expected_calibration_error(every["prob_1"].to_numpy(), right)


def line(folder: Path) -> str:
    """The line of a catalog."""
    seeds = sorted(run.parent.name.partition("-")[2] for run in folder.glob("fusion-*/metrics.json"))
    fusion, single = of_test_products(folder, seeds)
    head, part = of_held_out_products(folder, seeds)
    numbers = (fusion, single, fusion - single, head, part, head - part, pooled_error(folder, seeds))
    return f"| {folder.name} | {len(seeds)} | {' | '.join(f'{number:.1f}' for number in numbers)} |"


def main(out: Path, catalogs: list[str]) -> None:
    """Print the table."""
    print("| catalog | seeds | fusion | best model | difference | held out | best part | difference | ECE |")
    print("| --- |" + " ---: |" * 8)
    for name in catalogs:
        print(line(out / name), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
