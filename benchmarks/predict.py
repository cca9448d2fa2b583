"""`fusionclf predict` on files of up to a million products: memory, and speed against the bare step.

Usage: python benchmarks/predict.py CATALOG [--counts 10000,100000,1000000] [--markdown FILE]

Memory: the linear baseline, fitted on CATALOG, predicts CSV files that repeat its titles, each with a new id and a
number at its end, in a process of its own; the system reports its peak memory.

Speed: (b) the whole command, from the input file to the output file, without loading the model; (c) the model alone:
for the baseline on titles in memory, for ResNet50 (random weights) on one batch, of the command's size, that is already
a tensor. They take turns, and the table has the best round of each, so that other work on the machine affects both
alike. The ratio is also given in processor time of all threads, which other work affects less.
"""

import argparse
import csv
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch

import fusionclf
from fusionclf.batches import Batch
from fusionclf.catalog import Catalog, read_catalog
from fusionclf.catalog.fields import field_table
from fusionclf.config import RunConfig, build_settings, dump_yaml
from fusionclf.console import Console
from fusionclf.evaluation import CategoryGraph
from fusionclf.files import write_json, write_text
from fusionclf.models import find_variant
from fusionclf.models.storage import save_model
from fusionclf.prediction.baseline import BaselineModel
from fusionclf.prediction.network import NetworkModel
from fusionclf.training.prediction import pictures_together
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.predict import Request, predict

PACKAGES = ("fusionclf", "torch", "scikit-learn", "pyarrow")
ROUNDS = 3
SIZES = {(224, 224): 384, (80, 60): 2048}  # pictures a round
TITLES = 40_000  # titles a round
Rates = tuple[float, float]  # products a second, and a second of processor time


class Clock:
    """Time since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def rates(self, count: int) -> Rates:
        """Products a second, and a second of processor time."""
        return count / (time.perf_counter() - self.wall), count / (time.process_time() - self.cpu)


def write_titles(catalog: Catalog, file: Path, count: int) -> Path:
    """A CSV file of `count` products, no two alike."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "productDisplayName"])
        titles = islice(cycle(catalog.table["title"].tolist()), count)
        writer.writerows((number, f"{title} {number}") for number, title in enumerate(titles))
    return file


def memory(run: Path, file: Path) -> tuple[float, float]:
    """Seconds, and peak memory in MB, of the command in a process of its own."""
    started = time.perf_counter()
    words = [
        sys.executable,
        "-m",
        "fusionclf",
        "predict",
        "--run",
        run,
        "--input",
        file,
        "--overwrite",
        "--cpu",
    ]
    child = subprocess.Popen([str(word) for word in words])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{file}: the command ended with {status}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6


def untrained_network(folder: Path, size: tuple[int, int], catalog: Catalog) -> Path:
    """A finished run of an untrained ResNet50 on the classes of a catalog."""
    variant = find_variant("image")
    values = {
        "variant": "image", "data": "-", "model": {"image": {"backbone": "resnet50", "weights": "none"}},
        "pictures": {"height": size[0], "width": size[1], "fit": "crop" if size[0] == size[1] else "stretch",
                     "normalisation": "imagenet", "interpolation": "bilinear"},
    }  # fmt: skip
    settings = build_settings(RunConfig[variant.params], values)
    model = variant.model(settings.model, {"label": len(catalog.classes)})
    save_model(folder / "model", "joint", model, {"label": catalog.classes}, {"label": 1.0})
    CategoryGraph.from_catalog(catalog, np.arange(len(catalog))).save(folder / "model" / "graph.json")
    write_text(folder / "config.yaml", dump_yaml(settings))
    write_json(folder / "metrics.json", {})
    return folder


def whole(run: Path, source: Path, pictures: Path) -> Rates:
    """(b)."""
    started = time.process_time()
    fusionclf.load(run, device="cpu")
    loading = time.process_time() - started
    quiet, started = Console(quiet=True), time.process_time()
    request = Request(run, source, pictures=pictures, engine="torch")  # as the model alone runs
    totals = predict(request, overwrite=True, cpu=True, console=quiet)
    assert totals is not None and totals.faults == 0, "a product has no prediction"
    return totals.new / totals.seconds, totals.new / (time.process_time() - started - loading)


def bare_titles(run: Path, titles: list[str]) -> Rates:
    """(c) of a baseline."""
    model = fusionclf.load(run).model
    assert isinstance(model, BaselineModel)
    clock = Clock()
    for start in range(0, len(titles), 8192):
        model.probabilities(None, field_table(titles[start : start + 8192]))
    return clock.rates(len(titles))


def bare_network(run: Path, size: tuple[int, int], count: int) -> Rates:
    """(c) of a network."""
    model = fusionclf.load(run, device="cpu").model
    assert isinstance(model, NetworkModel)
    together = pictures_together(size)
    pictures = torch.randn(together, 3, *size).contiguous(memory_format=torch.channels_last)
    batch = Batch(np.arange(together), pictures, None, {})
    steps = max(count // together, 1)
    with torch.inference_mode(), model.process.autocast():
        model.model(batch)
        clock = Clock()
        for _ in range(steps):
            model.model(batch)
    return clock.rates(steps * together)


def speeds(catalog: Catalog, linear: Path, work: Path) -> list[tuple[str, Rates, Rates]]:
    """Name, and the best of (b) and of (c), of each model."""
    found = []
    titles = [
        f"{title} {n}" for n, title in enumerate(islice(cycle(catalog.table["title"].tolist()), TITLES))
    ]
    file = write_titles(catalog, work / "titles.csv", TITLES)
    rounds = [(whole(linear, file, work), bare_titles(linear, titles)) for _ in range(ROUNDS)]
    found.append(("linear baseline", *_best(rounds)))
    for size, count in SIZES.items():
        run = untrained_network(work / f"{size[0]}x{size[1]}", size, catalog)
        file = work / "pictures.csv"
        table = catalog.table[["id"]].iloc[:count].assign(productDisplayName="")
        table.to_csv(file, index=False)
        rounds = [(whole(run, file, catalog.root), bare_network(run, size, count)) for _ in range(ROUNDS)]
        found.append((f"ResNet50, {size[0]}×{size[1]}", *_best(rounds)))
    return found


def _best(rounds: list[tuple[Rates, Rates]]) -> tuple[Rates, Rates]:
    ours, bare = (np.max([each[n] for each in rounds], axis=0).tolist() for n in (0, 1))
    return (ours[0], ours[1]), (bare[0], bare[1])


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("catalog", type=Path)
    parser.add_argument(
        "--counts", default="10000,100000,1000000", help="products of the memory table; empty: none"
    )
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    options = parser.parse_args()
    catalog = read_catalog(options.catalog)
    lines = ["| products | seconds | peak memory, MB |", "| ---: | ---: | ---: |"]
    with tempfile.TemporaryDirectory(prefix="fusionclf-predict-") as name:
        work = Path(name)
        run_baseline("linear", options.catalog, work / "linear")
        for count in (int(text) for text in options.counts.split(",") if text):
            seconds, peak = memory(work / "linear", write_titles(catalog, work / f"{count}.csv", count))
            lines.append(f"| {count:,} | {seconds:.1f} | {peak:,.0f} |")
        lines += ["", "| | whole command (b), products/s | model (c), products/s | b / c | b / c, processor time |",
                  "| --- | ---: | ---: | ---: | ---: |"]  # fmt: skip
        for what, ours, bare in speeds(catalog, work / "linear", work):
            ratios = " | ".join(f"{mine / best:.2f}" for mine, best in zip(ours, bare, strict=True))
            lines.append(f"| {what} | {ours[0]:,.0f} | {bare[0]:,.0f} | {ratios} |")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    threads = f"{torch.get_num_threads()} thread(s) of torch"
    where = f"{date.today()}; {os.cpu_count()} CPUs ({platform.machine()}), {threads}, {versions}"
    text = f"`python benchmarks/predict.py {options.catalog} --counts {options.counts}`\n\n{where}\n\n"
    text += "\n".join(lines) + "\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
