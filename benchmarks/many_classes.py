"""`fusionclf predict --classes` with a taxonomy of a published size: start, speed and memory.

Usage: python benchmarks/many_classes.py RUN TITLES.csv [--classes 5600] [--products 1000] [SETTING …]

RUN is a fusion run with an open vocabulary, TITLES.csv a file whose titles are read, with catalog.* settings for its
columns. The command predicts, each time in a process of its own: one product without further classes (the plain
start), one product with the classes twice (the first time their names are embedded, then they come from the cache),
and all products. Other work on the machine slows all of it: processor
seconds and the load are printed, too.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from benchmarks.taxonomy import google_lines, synthetic_paths


@dataclass(frozen=True)
class Cost:
    """What a command took: wall and processor seconds, and its peak memory in MiB."""

    seconds: float
    processor: float
    peak: float


def command(run: Path, source: Path, settings: list[str], listing: Path | None = None) -> Cost:
    """Predict a file in a process of its own."""
    options = ["--classes", listing] if listing is not None else []
    words = [sys.executable, "-m", "fusionclf", "predict", "--run", run, "--input", source, *options,
             "--overwrite", "--cpu", *settings]  # fmt: skip
    started = time.perf_counter()
    child = subprocess.Popen([str(word) for word in words], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    printed = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit(f"{source}: the command ended with {status}\n{printed}")
    processor = usage.ru_utime + usage.ru_stime
    return Cost(time.perf_counter() - started, processor, usage.ru_maxrss / 1024)


def rate(products: int, start: float, whole: float) -> str:
    """Products a second; none where other work hides what the products took.

    >>> rate(100, 20.0, 22.0), rate(100, 20.0, 19.0)
    ('50', 'not measured: the start alone took longer')
    """
    return (
        f"{products / (whole - start):.0f}" if whole > start else "not measured: the start alone took longer"
    )


def write_products(source: Path, dest: Path, count: int) -> Path:
    """The rows of a CSV file, over and over, each under its own id in the column `row`."""
    with source.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = list(csv.reader(file))
    rows = [row for row in rows if len(row) == len(header)]
    with dest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", *header])
        writer.writerows([number, *row] for number, row in enumerate(islice(cycle(rows), count)))
    return dest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("titles", type=Path)
    parser.add_argument("--classes", type=int, default=5600)
    parser.add_argument("--products", type=int, default=1000)
    options, settings = parser.parse_known_args()
    settings = ["catalog.id=row", "catalog.picture=none/{row}.jpg", "catalog.missing_picture=keep", *settings]
    with tempfile.TemporaryDirectory(prefix="fusionclf-classes-") as name:
        work = Path(name)
        os.environ["FUSIONCLF_CACHE"] = str(work / "cache")
        listing = work / "taxonomy.txt"
        listing.write_text("\n".join(google_lines(synthetic_paths(options.classes))) + "\n", encoding="utf-8")
        one = write_products(options.titles, work / "one.csv", 1)
        many = write_products(options.titles, work / "many.csv", options.products)
        plain = command(options.run, one, settings)
        first = command(options.run, one, settings, listing)
        again = command(options.run, one, settings, listing)
        whole = command(options.run, many, settings, listing)
    more = options.products - 1
    print(f"classes, products             {options.classes:,}, {options.products:,}")
    print("                              wall seconds (processor seconds)")
    for name, cost in (("plain start", plain), ("first start with classes", first), ("next start", again)):
        print(f"{name:<29} {cost.seconds:.1f} ({cost.processor:.1f})")
    print(f"all products                  {whole.seconds:.1f} ({whole.processor:.1f})")
    print(f"products/s, start left out    {rate(more, again.seconds, whole.seconds)} by wall seconds")
    print(
        f"                              {rate(more, again.processor, whole.processor)} by processor seconds"
    )
    print(f"peak memory of a plain start  {plain.peak:,.0f} MiB")
    print(f"peak memory with classes      {max(first.peak, again.peak, whole.peak):,.0f} MiB")
    print(f"load of the last minute       {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} CPUs")


if __name__ == "__main__":
    main()
