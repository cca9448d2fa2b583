"""Accuracy of runs by kinds of products, and calibration: all candidates, each run and the mean.

    python -m benchmarks.slices RUN [RUN …]

Products of seen classes (with a training row), of unseen ones, of the tail (1 to 19 training rows), and of seen classes
whose title does not name the class; then the expected calibration error. All in per cent.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from fusionclf.evaluation.calibration import expected_calibration_error

TAIL = 20  # rows that a class of the tail has less than
SLICES = ("all", "seen", "unseen", "tail", "seen, not named", "ECE")


def of_run(run: Path) -> list[float]:
    """The numbers of SLICES."""
    table = pd.read_parquet(run / "predictions" / "joint.parquet")
    right = (table["label"] == table["label_1"]).to_numpy()
    rows, named = (table[name].to_numpy() for name in ("label_train_count", "title_names_label"))
    seen = rows > 0
    masks = (rows >= 0, seen, ~seen, seen & (rows < TAIL), seen & ~named.astype(bool))
    error = expected_calibration_error(table["prob_1"].to_numpy(), right)
    return [100 * float(value) for value in (*(np.mean(right[mask]) for mask in masks), error)]


def main(runs: list[Path]) -> None:
    """Print a table."""
    found = [of_run(run) for run in runs]
    print(f"| run | {' | '.join(SLICES)} |", "| --- |" + " ---: |" * len(SLICES), sep="\n")
    for name, numbers in [
        *zip([run.name for run in runs], found, strict=True),
        ("mean", np.mean(found, axis=0)),
    ]:
        print(f"| {name} | {' | '.join(f'{number:.2f}' for number in numbers)} |")


if __name__ == "__main__":
    main([Path(run) for run in sys.argv[1:]])
