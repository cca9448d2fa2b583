"""Digests of what runs predict and score: equal before and after a change that must not alter behaviour.

Usage: python -m benchmarks.digests OUT SAMPLE [REAL]

SAMPLE is a catalog from `fusionclf data sample`, REAL a catalog in the Kaggle layout, on which the text baselines run.
Runs go to OUT; those already there are not made again. Prints one line a run: its name and the digest of its
predictions, held-out predictions and metrics. Digests depend on the processor and on the number of threads, so compare
two of the same machine.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from fusionclf.runfolder import is_finished

RUNS = {
    "nb": ["baseline", "nb"],
    "linear": ["baseline", "linear"],
    "image": ["train", "image", "--config", "image-sample"],
    "image-frozen": ["train", "image", "--config", "image-frozen"],
    "multitask": ["train", "multitask", "--config", "multitask-sample"],
    "multitask-frozen": ["train", "multitask", "--config", "multitask-frozen"],
    "text": ["train", "text", "--config", "text-sample"],
    "text-frozen": ["train", "text", "--config", "text-frozen"],
    "fusion": ["train", "fusion", "--config", "fusion-sample"],
    "fusion-gated": ["train", "fusion", "--config", "fusion-joint-sample"],
    "fusion-attention": [
        "train", "fusion", "--config", "fusion-sample", "model.fuser=attention", "model.image.regions=2",
    ],
    "fusion-closed-frozen": ["train", "fusion", "--config", "fusion-closed-frozen"],
    "fusion-open-frozen": ["train", "fusion", "--config", "fusion-frozen"],
    "fusion-open-concat": ["train", "fusion", "--config", "fusion-frozen", "model.fuser=concat"],
    "fusion-named-frozen": [
        "train", "fusion", "--config", "fusion-frozen", "split.rule=random", "model.vocabulary=named",
    ],
}  # fmt: skip
TEXT_RUNS = ("nb", "linear")
DIGITS = 10  # of a float: a sum in another order differs in the sixteenth


def make_run(words: list[str], data: Path, out: Path) -> None:
    """Make one run on the CPU, where there is none yet."""
    if is_finished(out):
        return
    flags = [
        "--data",
        str(data),
        "--out",
        str(out),
        "--overwrite",
        *(["--cpu"] if words[0] == "train" else []),
    ]
    subprocess.run(
        [sys.executable, "-m", "fusionclf", *words[:2], *flags, *words[2:]], check=True, stdout=sys.stderr
    )


def digest(run: Path) -> str:
    """SHA-256, in part, of a run's predictions, held-out predictions and metrics, without its costs, rounded."""
    found = hashlib.sha256()
    for file in sorted([*run.glob("predictions/*.parquet"), *run.glob("held_out/*.parquet")]):
        table = str(pd.read_parquet(file).to_json(double_precision=DIGITS))
        found.update((file.name + table).encode())
    metrics = json.loads((run / "metrics.json").read_text())
    metrics.pop("cost", None)
    found.update(json.dumps(_rounded(metrics), sort_keys=True).encode())
    return found.hexdigest()[:16]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def main() -> None:
    """Make all runs, print their digests."""
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    catalogs = {"sample": (Path(sys.argv[2]), tuple(RUNS))}
    if len(sys.argv) == 4:
        catalogs["real"] = (Path(sys.argv[3]), TEXT_RUNS)
    for catalog, (data, names) in catalogs.items():
        for name in names:
            folder = out / catalog / name
            make_run(RUNS[name], data, folder)
            print(f"{catalog}/{name:24} {digest(folder)}", flush=True)


if __name__ == "__main__":
    main()
