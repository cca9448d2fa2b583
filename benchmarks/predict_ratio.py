"""`fusionclf predict` of this checkout against that of another one: speed as a ratio, and whether answers are the same.

Usage: python benchmarks/predict_ratio.py BEFORE RUN INPUT PICTURES [--before-run RUN] [--rounds 3]
           [--markdown FILE]

BEFORE is a checkout of an earlier commit; --before-run is a run of its own, where it cannot read RUN. The two
alternate, each time in a new process, and the table has medians. "new texts": no embedding of INPUT's texts is
cached; "cached texts": all are. Graphs of encoders are exported before the first round. Rates are those that the
command prints, without the time in which the model is loaded.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pandas as pd

from fusionclf.files import write_text

HERE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Measured:
    """One command: products a second, processor time in seconds, and peak memory in MB."""

    rate: float
    processor: float
    peak: float


def measure(checkout: Path, words: list[str], out: Path, cache: Path) -> Measured:
    """Run the command of a checkout; its predictions are written to `out`."""
    command = [
        sys.executable,
        "-m",
        "fusionclf",
        "predict",
        *words,
        "--out",
        str(out),
        "--overwrite",
        "--cpu",
    ]
    env = {**os.environ, "PYTHONPATH": str(checkout), "FUSIONCLF_CACHE": str(cache)}
    with tempfile.TemporaryFile("w+") as printed:
        child = subprocess.Popen(command, env=env, stderr=printed, cwd=cache)
        _, status, usage = os.wait4(child.pid, 0)
        printed.seek(0)
        text = printed.read()
    found = re.search(r"([\d,]+) products/s", text)
    if status or found is None:
        sys.exit(f"{checkout}: the command failed:\n{text}")
    rate = float(found[1].replace(",", ""))
    return Measured(rate, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def difference(first: Path, second: Path) -> str:
    """How many predicted classes differ, and by how much probabilities do."""
    one, other = (pd.read_csv(file, dtype={"id": str}).set_index("id") for file in (first, second))
    other = other.loc[one.index]
    columns = [name for name in one if str(name).startswith("prob_")]
    return (
        f"{int((one['label_1'] != other['label_1']).sum())} of {len(one):,} predicted classes differ; the largest "
        f"difference of a probability is {(one[columns] - other[columns]).abs().max().max():.1g}"
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("before", "run", "input", "pictures"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--before-run", type=Path, help="the earlier checkout's run; default: RUN")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    words = [
        f"--{name}={getattr(options, name).resolve()}" for name in ("run", "input", "pictures")
    ]  # fmt: skip
    earlier = [f"--run={(options.before_run or options.run).resolve()}", *words[1:]]
    rounds: dict[str, list[Measured]] = {"before": [], "new texts": [], "cached texts": []}
    with tempfile.TemporaryDirectory(prefix="fusionclf-predict-") as folder:
        work = Path(folder)
        before, after = work / "before.csv", work / "after.csv"
        measure(HERE, words, after, work)  # exports graphs
        for _ in range(options.rounds):
            rounds["before"].append(measure(options.before.resolve(), earlier, before, work))
            shutil.rmtree(work / "texts", ignore_errors=True)
            rounds["new texts"].append(measure(HERE, words, after, work))
            rounds["cached texts"].append(measure(HERE, words, after, work))
        same = difference(before, after)
    lines = [
        "| | products/s | ratio | processor time, s | peak memory, MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    base = median(each.rate for each in rounds["before"])
    for what, own in rounds.items():
        rate, processor, peak = (
            median(values) for values in zip(*((m.rate, m.processor, m.peak) for m in own), strict=True)
        )
        lines.append(f"| {what} | {rate:,.0f} | {rate / base:.2f} | {processor:.0f} | {peak:,.0f} |")
    text = "\n".join([*lines, "", same, ""])
    print(text)
    if options.markdown is not None:
        write_text(options.markdown, text)


if __name__ == "__main__":
    main()
