"""Models on catalogs of other shops, described by `fusionclf data describe` alone, over several split seeds.

    python -m benchmarks.catalogs OUT flipkart=data/flipkart emoji-fr=data/emoji magento=data/magento

    python -m benchmarks.catalogs UNSEEN flipkart=data/flipkart --models linear fusion \
        --settings split.unseen_fraction=0.2

Each catalog is NAME=FOLDER; words for `describe` may follow after commas, such as
`emoji-ja=data/emoji,catalog.title=titre_ja,catalog.label=famille_ja`. A catalog is copied below OUT (its files as
links), described there, and trained on with split seeds 0 to 4. Finished runs are kept, so the command can be resumed.
It prints a table of mean and range of the accuracy over all classes, and the paired differences to `linear`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

SEEDS = range(5)
MODELS = {
    "majority": ("baseline", "majority"),
    "nb": ("baseline", "nb"),
    "linear": ("baseline", "linear"),
    "image": ("train", "image", "--config", "image-frozen", "scheme=single_stage"),
    "text": ("train", "text", "--config", "text-frozen", "scheme=single_stage"),
    "fusion": ("train", "fusion", "--config", "fusion-frozen"),
}
FIXED = {"fashion": (0,)}  # catalogs whose split has no seed


def copied(source: Path, folder: Path) -> Path:
    """A catalog's folder with links to its files, to which catalog.yaml can be written."""
    if not folder.is_dir():
        aside = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(source.resolve(), aside, copy_function=lambda a, b: os.link(os.path.realpath(a), b))
        aside.rename(folder)
    return folder


def fusionclf(*words: str) -> float:
    """Run a command; its wall time in seconds."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "fusionclf", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"fusionclf {' '.join(words)}: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - started


def run_all(
    out: Path, name: str, source: Path, words: list[str], models: list[str], settings: list[str]
) -> dict[str, list[float]]:
    """Model → accuracy over all classes for each seed."""
    data = copied(source, out / name / "data")
    if not (data / "catalog.yaml").is_file():
        seconds = fusionclf("data", "describe", str(data), *words)
        print(f"{name}: described in {seconds:.1f} s", file=sys.stderr)
    found: dict[str, list[float]] = {}
    for model, seed, run in _runs(out, name, models):
        if not (run / "metrics.json").is_file():
            command = (*MODELS[model], "--data", str(data), "--out", str(run), "--overwrite")
            seconds = fusionclf(*command, f"split.seed={seed}", *settings)
            print(f"{name} {model} seed {seed}: {seconds:.1f} s", file=sys.stderr)
        metrics = json.loads((run / "metrics.json").read_text())
        found.setdefault(model, []).append(metrics["joint"]["top1"])
    return found


def _runs(out: Path, name: str, models: list[str]) -> Iterator[tuple[str, int, Path]]:
    for seed in FIXED.get(name.partition("-")[0], SEEDS):
        for model in models:
            yield model, seed, out / name / f"{model}-{seed}"


def table(results: Mapping[str, Mapping[str, list[float]]], models: list[str]) -> str:
    """Mean and range of each model on each catalog, and fusion's paired difference to `linear`."""
    lines = [
        f"| catalog | {' | '.join(models)} | fusion - linear |",
        "| --- |" + " ---: |" * (len(models) + 1),
    ]
    for name, found in results.items():
        cells = [f"{np.mean(found[m]):.1f} ({min(found[m]):.1f}–{max(found[m]):.1f})" for m in models]
        gains = np.subtract(found["fusion"], found["linear"])
        cells.append(f"{gains.mean():+.1f} ({gains.min():+.1f} to {gains.max():+.1f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("catalogs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument(
        "--settings", nargs="+", default=[], help="of all runs, such as split.unseen_fraction=0.2"
    )
    given = parser.parse_args()
    results = {}
    for text in given.catalogs:
        name, _, rest = text.partition("=")
        folder, *words = rest.split(",")
        results[name] = run_all(given.out, name, Path(folder), words, given.models, given.settings)
        print(table({name: results[name]}, given.models), file=sys.stderr)
    print(table(results, given.models))


if __name__ == "__main__":
    main()
