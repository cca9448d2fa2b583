"""Time and memory of catalog, picture cache and prediction, from ten thousand products to a million.

Usage: python benchmarks/scale.py CATALOG [--counts 10000,44000,200000,1000000] [--markdown FILE]

CATALOG is in the Kaggle layout. For each count, in a process of its own, its rows are repeated under new ids with
a column that names one of its pictures; the file is read and split, the pictures are decoded into a cache at
40 x 30 pixels, and an untrained network of two small layers predicts every product over the path that real
predictions take. So the pipeline is measured and not a network; nor is a disk, for the repeated files soon come
from memory. Importing torch is in no time, but in the memory from the stage `cache` on. A million products take
about 5 GB below the temporary folder (TMPDIR moves it).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil

from fusionclf.catalog import Catalog, make_split, read_catalog
from fusionclf.config import CatalogConfig, PicturesConfig
from fusionclf.console import Console

STAGES = ("read", "split", "cache", "predict")
PICTURES = PicturesConfig(height=40, width=30, fit="stretch")
PACKAGES = ("fusionclf", "torch", "pandas", "pyarrow", "pillow", "accelerate")
SAMPLE_EVERY_S = 0.02


@dataclass
class Cost:
    """What a stage took: seconds, and the most memory of its own and mapped from files, in MB."""

    seconds: float
    anonymous_mb: float
    mapped_mb: float


@contextmanager
def measured(name: str, costs: dict[str, Cost], console: Console) -> Iterator[None]:
    """Time a block, and sample this process's memory while it runs."""
    cost, stop, process = costs.setdefault(name, Cost(0.0, 0.0, 0.0)), threading.Event(), psutil.Process()

    def sample() -> None:
        while True:
            memory = process.memory_info()
            mapped = getattr(memory, "shared", 0)  # of files; Linux alone tells them apart
            cost.anonymous_mb = max(cost.anonymous_mb, (memory.rss - mapped) / 1e6)
            cost.mapped_mb = max(cost.mapped_mb, mapped / 1e6)
            if stop.wait(SAMPLE_EVERY_S):
                return

    console.info(f"  {name} …")
    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    started = time.perf_counter()
    yield
    cost.seconds = time.perf_counter() - started
    stop.set()
    sampler.join()


def write_catalog(source: Path, dest: Path, count: int) -> None:
    """A catalog of `count` rows: those of `source` that have a picture, over and over, each under its own id."""
    header, *rows = (source / "styles.csv").read_text(encoding="utf-8-sig").splitlines()
    if not header.startswith("id,"):
        sys.exit(f"{source}/styles.csv: the first column must be id")
    there = set(os.listdir(source / "images"))
    rows = [row for row in rows if f"{row.partition(',')[0]}.jpg" in there]
    dest.mkdir(parents=True)
    (dest / "images").symlink_to((source / "images").resolve(), target_is_directory=True)
    with (dest / "styles.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(f"id,picture,{header.removeprefix('id,')}\n")
        for number, row in enumerate(islice(cycle(rows), count)):
            picture, _, rest = row.partition(",")
            file.write(f"{number},{picture},{rest}\n")


def measure(source: Path, count: int, work: Path) -> dict[str, Any]:
    """The costs of all stages at one size, in this process."""
    console, costs = Console(), dict[str, Cost]()
    console.info(f"{count:,} products")
    write_catalog(source, work / "catalog", count)
    with measured("read", costs, console):
        catalog = read_catalog(work / "catalog", CatalogConfig(picture="images/{picture}.jpg"))
    with measured("split", costs, console):
        split = make_split(catalog)
    cache_gb = measure_torch(catalog, len(split.class_names(None)), costs, console)
    return {
        "products": len(catalog),
        "cache_gb": cache_gb,
        **{name: asdict(cost) for name, cost in costs.items()},
    }


def measure_torch(catalog: Catalog, classes: int, costs: dict[str, Cost], console: Console) -> float:
    """Build the cache and predict every product; how large the cache is, in GB."""
    import numpy as np

    from fusionclf.batches import PictureTransform, ProductSource, cover_size, open_cache
    from fusionclf.training import iterate_logits, make_accelerator

    count = len(catalog)
    with measured("cache", costs, console), console.bar("  decode", count) as step:
        cache = open_cache(catalog, cover_size(PICTURES), progress=step, say=console.info)
    source = ProductSource(PictureTransform(cache, PICTURES), None, {})
    accelerator = make_accelerator("fp32")
    model = small_model(classes).to(accelerator.device)
    best = np.full(count, -1, np.int32)
    with measured("predict", costs, console), console.bar("  predict", count) as step:
        done = 0
        for places, logits in iterate_logits(model, source, np.arange(count), accelerator):
            best[places] = logits.argmax(dim=1).cpu().numpy()
            done += len(places)
            step(done, count)
    assert (best >= 0).all(), "a product was not predicted"
    return cache.pixels.nbytes / 1e9


def small_model(classes: int) -> Any:
    """A picture classifier that costs next to nothing."""
    from torch import nn

    from fusionclf.models.classifier import ProductClassifier, linear_heads
    from fusionclf.models.encoders import ImageEncoder

    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    return ProductClassifier(
        ImageEncoder(network, 16), None, None, linear_heads(16, {"label": classes}), {"label": 1.0}
    )


def in_own_process(source: Path, count: int) -> dict[str, Any]:
    """`measure` in a fresh process, with files and cache in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="fusionclf-scale-") as work:
        command = [sys.executable, __file__, str(source), "--counts", str(count), "--work", work]
        environment = {**os.environ, "FUSIONCLF_CACHE": f"{work}/cache"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
        if done.returncode:
            sys.exit(f"{count} products: the measuring process ended with {done.returncode}")
        return json.loads(done.stdout)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table of figures."""
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def render(results: list[dict[str, Any]], command: str) -> str:
    """All results as Markdown."""
    seconds = table(
        ["products", "read s", "split s", "cache s", "cache GB", "predict s"],
        [
            [f"{result['products']:,}", *(f"{result[name]['seconds']:.1f}" for name in STAGES[:3]),
             f"{result['cache_gb']:.2f}", f"{result['predict']['seconds']:.1f}"]
            for result in results
        ],
    )  # fmt: skip
    rates = table(
        ["products", *(f"{name} products/s" for name in STAGES)],
        [
            [f"{r['products']:,}", *(f"{r['products'] / r[name]['seconds']:,.0f}" for name in STAGES)]
            for r in results
        ],
    )
    memory = table(
        ["products", *(f"{name} MB" for name in STAGES), "predict, mapped MB"],
        [
            [f"{r['products']:,}", *(f"{r[name]['anonymous_mb']:,.0f}" for name in STAGES),
             f"{r['predict']['mapped_mb']:,.0f}"]
            for r in results
        ],
    )  # fmt: skip
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    where = f"{os.cpu_count()} CPUs ({platform.machine()}), Python {platform.python_version()}, {versions}"
    said = (
        "Peak anonymous memory, that is without pages of files. Mapped pages (libraries, and in `predict` the "
        "picture cache)\nare the page cache's: the system takes them back where memory is short."
    )
    return f"`{command}`\n\n{date.today()}; {where}\n\n{seconds}\n\n{rates}\n\n{said}\n\n{memory}\n"


def main() -> None:
    """Measure each size and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--counts", default="10000,44000,200000,1000000", help="numbers of products")
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    counts = [int(text) for text in asked.counts.split(",")]
    if asked.work is not None:
        print(json.dumps(measure(asked.catalog, counts[0], asked.work)))
        return
    if asked.markdown is not None and not asked.markdown.absolute().parent.is_dir():
        sys.exit(f"{asked.markdown}: no such folder; make it first")  # not after minutes of measuring
    results = [in_own_process(asked.catalog, count) for count in counts]
    command = f"python benchmarks/scale.py {asked.catalog} --counts {asked.counts}"
    tables = render(results, command)
    print(tables)
    if asked.markdown is not None:
        asked.markdown.write_text(tables, encoding="utf-8")


if __name__ == "__main__":
    main()
