"""`fusionclf.predict_batches` on Ray Data with 1, 2, … workers of one core each: products a second.

Usage: python benchmarks/ray_workers.py RUN CATALOG [--products 2000] [--workers 1,2] [--rounds 3] [--markdown FILE]

RUN reads pictures and titles. The products of CATALOG, repeated up to the wanted number, go through each number of
workers in turn, and the table has medians. Each worker loads the model before its first table; a rate counts from the
start of the first table to the end of the last one. The first row is the command `fusionclf predict` with one thread,
whose rate leaves out the loading, too.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

import pandas as pd
import torch

import fusionclf
from fusionclf.catalog import read_catalog
from fusionclf.console import Console
from fusionclf.prediction.job import Request
from fusionclf.workflows.predict import predict

PACKAGES = ("fusionclf", "ray", "torch")
COLUMNS = {"id": "id", "title": "title", "picture": "{picture}"}
BATCH = 128  # products of a table


class TimedPredictor:
    """predict_batches, with the model loaded at the start and the time of each table.

    Args:
        run: the run folder.
        pictures: folder below which the pictures are.
        products: a few rows, which the worker predicts before it starts.
    """

    def __init__(self, run: Path, pictures: Path, products: pd.DataFrame) -> None:
        self.predict = fusionclf.predict_batches(run, pictures=pictures, catalog=COLUMNS)
        self.predict(products)

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        started = time.time()
        answers = self.predict(batch)
        return answers.assign(started=started, ended=time.time(), worker=os.getpid())


def ray_rate(run: Path, pictures: Path, products: Path, workers: int) -> float:
    """Products a second of a number of workers."""
    import ray.data  # pyright: ignore[reportMissingImports]

    rows = pd.read_parquet(products)
    found = (
        ray.data.from_pandas(rows)
        .repartition(-(-len(rows) // BATCH))
        .map_batches(
            TimedPredictor, fn_constructor_args=[run, pictures, rows.iloc[:BATCH]], batch_format="pandas",
            batch_size=BATCH, compute=ray.data.ActorPoolStrategy(size=workers),
        )
        .to_pandas()
    )  # fmt: skip
    assert len(found) == len(rows) and set(found["reason"]) == {""}, "a product has no answer"
    assert len(set(found["worker"])) == workers, "a worker got no table"
    return len(found) / (max(found["ended"]) - min(found["started"]))


def command_rate(run: Path, pictures: Path, products: Path) -> float:
    """Products a second of the command with one thread."""
    request = Request(run, products, pictures=pictures, overrides=({"catalog": COLUMNS},))
    totals = predict(request, overwrite=True, cpu=True, console=Console(quiet=True))
    assert totals is not None and totals.faults == 0, "a product has no answer"
    return totals.new / totals.seconds


def write_products(catalog: Path, file: Path, count: int) -> Path:
    """A catalog's products, repeated up to `count`."""
    table = read_catalog(catalog).table[["id", "title", "picture"]]
    whole = pd.concat([table] * -(-count // len(table)), ignore_index=True)
    whole.iloc[:count].to_parquet(file)
    return file


def measure(run: Path, catalog: Path, count: int, workers: Sequence[int], rounds: int) -> list[str]:
    """The table's lines."""
    import ray  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    ray.init(num_cpus=max(workers) + 1, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory(prefix="fusionclf-ray-") as work:
        file = write_products(catalog, Path(work) / "products.parquet", count)
        command_rate(run, catalog, file)  # exports graphs of encoders
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            found.setdefault("`fusionclf predict`, one thread", []).append(command_rate(run, catalog, file))
            for number in workers:
                name = f"Ray Data, {number} worker{'s' if number > 1 else ''}"
                found.setdefault(name, []).append(ray_rate(run, catalog, file, number))
    ray.shutdown()
    rates = {name: median(each) for name, each in found.items()}
    one = next(iter(rates.values()))
    rows = [f"| {name} | {rate:,.0f} | {rate / one:.2f} |" for name, rate in rates.items()]
    return ["| | products/s | ratio to the command |", "| --- | ---: | ---: |", *rows]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--products", type=int, default=2000)
    parser.add_argument("--workers", default="1,2", help="numbers of workers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    workers = [int(text) for text in options.workers.split(",")]
    run, catalog = options.run.absolute(), options.catalog.absolute()
    lines = measure(run, catalog, options.products, workers, options.rounds)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines += ["", f"{date.today()}; {os.cpu_count()} CPUs ({platform.machine()}), {versions}"]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
