"""Commands of an earlier checkout and of this one, alternately: times, peak memory, and ratios.

Usage: python benchmarks/speed_commands.py BEFORE CATALOG WORK [--rounds 3] [--only "start;linear"] [--markdown FILE]

WORK gets the runs `linear` and `fusion` of this checkout, those of the earlier one in `before`, as it may not read
newer runs, and products.csv with 6,000 test products. They are what `linear` and `train` made where these are measured.
Each command has a process of its own; `train` and `study` start with an empty cache and an empty folder. They take
minutes, so they run in a third of the rounds. The table has medians of the rounds.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fusionclf.catalog import make_split, read_catalog

ROOT = Path(__file__).resolve().parents[1]
PRODUCTS = 6000
FROZEN = ("train", "fusion", "--config", "fusion-frozen")
COMMANDS = {
    "train": ("-m", "fusionclf", *FROZEN, "--data", "{catalog}", "--out", "{fresh}/fusion", "--cpu"),
    "linear": ("-m", "fusionclf", "baseline", "linear", "--data", "{catalog}", "--out", "{fresh}/linear"),
    "start": ("-c", "import fusionclf"),
    "title, linear": ("-m", "fusionclf", "predict", "--run", "{runs}/linear", "--title", "Women Red Dress"),
    "title, fusion": ("-m", "fusionclf", "predict", "--run", "{runs}/fusion", "--title", "Women Red Dress"),
    "study": ("-m", "fusionclf", "study", "--configs", "frozen", "--data", "{catalog}", "--out", "{fresh}/study"),
}  # fmt: skip
SHOWN = {
    "start": "`import fusionclf`",
    "title, linear": "`predict --title`, linear run",
    "title, fusion": "`predict --title`, fusion run",
    "linear": "`baseline linear`",
    "train": "`train fusion --config fusion-frozen`, empty cache",
    "study": "`study --configs frozen`, empty cache",
}


MAKES = {"train": "fusion", "linear": "linear"}  # the run of a command
LONG = ("train", "study")
EARLIER = "before"  # folder of the earlier checkout's runs


@dataclass(frozen=True)
class Cost:
    """Of a command: wall and processor seconds, and peak memory in GiB."""

    seconds: float
    processor: float
    peak: float


def run(checkout: Path, words: Sequence[str], cache: Path) -> Cost:
    """Run Python in a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "FUSIONCLF_CACHE": str(cache)}
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, *words], env=environment, cwd=cache, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit(f"{checkout}: python {' '.join(words)} ended with {status}")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20)


def prepare(before: Path, catalog: Path, work: Path, used: str) -> None:
    """The runs that commands predict with, and a file of test products; `used` names the commands."""
    cache = work / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for checkout, runs in ((ROOT, work), (before, work / EARLIER)):
        for command, name in MAKES.items():
            there = command in used.split(";") or (runs / name / "metrics.json").is_file()
            if f"title, {name}" in used and not there:
                given = [word.format(catalog=catalog, fresh=runs) for word in COMMANDS[command]]
                run(checkout, [*given, "--overwrite"], cache)
    products = read_catalog(catalog)
    rows = make_split(products).rows(products, None, "test")[:PRODUCTS]
    with (work / "products.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", products.columns.title])
        writer.writerows(products.table.iloc[rows][["id", "title"]].itertuples(index=False))


def measure(name: str, before: Path, catalog: Path, work: Path, rounds: int) -> str:
    """A line of the table."""
    found: list[tuple[Path, Path, list[Cost]]] = [(before, work / EARLIER, []), (ROOT, work, [])]
    rounds = max(1, rounds // 3) if name in LONG else rounds
    for _ in range(rounds):
        for checkout, runs, costs in found:
            fresh = work / "fresh"
            shutil.rmtree(fresh, ignore_errors=True)
            (fresh / "cache").mkdir(parents=True)
            cache = fresh / "cache" if any("{fresh}" in word for word in COMMANDS[name]) else work / "cache"
            words = [word.format(catalog=catalog, runs=runs, fresh=fresh) for word in COMMANDS[name]]
            costs.append(run(checkout, words, cache))
            if name in MAKES:
                shutil.rmtree(runs / MAKES[name], ignore_errors=True)
                runs.mkdir(parents=True, exist_ok=True)
                shutil.move(fresh / MAKES[name], runs / MAKES[name])
    old, new = (
        Cost(
            *(
                median(values)
                for values in zip(*((c.seconds, c.processor, c.peak) for c in costs), strict=True)
            )
        )
        for _, _, costs in found
    )
    cells = [SHOWN[name], str(rounds), f"{old.seconds:.1f}", f"{new.seconds:.1f}", f"{new.seconds / old.seconds:.2f}",
             f"{new.processor / old.processor:.2f}", f"{old.peak:.2f}", f"{new.peak:.2f}"]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("before", "catalog", "work"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=";".join(COMMANDS), help="commands, with semicolons between")
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    if unknown := set(options.only.split(";")) - set(COMMANDS):
        parser.error(f"--only: no command {', '.join(sorted(unknown))}; choose from {'; '.join(COMMANDS)}")
    before, catalog, work = (path.resolve() for path in (options.before, options.catalog, options.work))
    prepare(before, catalog, work, options.only)
    lines = ["| command | rounds | before, s | now, s | ratio | ratio of processor time | before, GiB | now, GiB |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for name in sorted(options.only.split(";"), key=list(COMMANDS).index):  # runs are made first
        lines.append(measure(name, before, catalog, work, options.rounds))
        print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
