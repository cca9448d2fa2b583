"""`fusionclf serve` under load, over loopback, against the bare predictor: products/s, p50, p99, processor time.

Usage: python benchmarks/serving_load.py [--rounds 3] [--clients 64] [--products 1024] [--workers 1] [--run RUN]
           [--data CATALOG] [--markdown FILE]

Without --run it generates a small catalog and trains a small fusion on it. In each round the bare predictor (one call
of `predict` in a process of its own, models loaded before) and the server take turns on the same products. "one
product": a form with a picture and a title a request. "16 products": JSON lines with pictures in base64. The table has
medians of the rounds; processor time is the server's, the clients' left out.
"""

import argparse
import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from fusionclf.catalog import Catalog, generate_sample, read_catalog
from fusionclf.files import write_text

TRAIN = (
    "model.image.backbone=resnet18", "model.image.weights=none", "pictures.height=96", "pictures.width=96",
    "train.epochs=1", "scheme=single_stage", "model.text.buckets=4096", "model.text.dim=64",
)  # fmt: skip
TOGETHER = 16  # products of a request with several
BARE = """
import json, sys, time
from pathlib import Path
import fusionclf
run, file = sys.argv[1:]
products = json.loads(Path(file).read_text())
model = fusionclf.load(run, device="cpu")
pictures = [each["file"] for each in products] if model.reads_pictures else None
titles = [each["title"] for each in products]
model.predict(pictures and pictures[:64], titles[:64], errors="collect")
for _ in sys.stdin:
    wall, processor = time.perf_counter(), time.process_time()
    model.predict(pictures, titles, errors="collect")
    print(time.perf_counter() - wall, time.process_time() - processor, flush=True)
"""


@dataclass(frozen=True)
class Measured:
    """One pass over all products: products/s, processor milliseconds a product, and latencies in ms of requests."""

    rate: float
    processor: float
    latencies: Sequence[float] = ()


@dataclass(frozen=True)
class Product:
    """One product of the load: its picture's file, and its title."""

    file: Path
    title: str


def one_product(product: Product) -> bytes:
    """A request with a form of a picture and a title."""
    parts = (
        b'--edge\r\nContent-Disposition: form-data; name="title"\r\n\r\n',
        product.title.encode(),
        b'\r\n--edge\r\nContent-Disposition: form-data; name="picture"; filename="p"\r\n\r\n',
        product.file.read_bytes(),
        b"\r\n--edge--\r\n",
    )
    return request("/predict", "multipart/form-data; boundary=edge", b"".join(parts))


def several(products: Sequence[Product]) -> bytes:
    """A request with JSON lines."""
    lines = [
        {"title": each.title, "picture": base64.b64encode(each.file.read_bytes()).decode()}
        for each in products
    ]
    body = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    return request("/predict/batch", "application/x-ndjson", body)


def request(path: str, kind: str, body: bytes) -> bytes:
    """The bytes of a POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def load(port: int, requests: Sequence[bytes], clients: int) -> list[float]:
    """Latency in seconds of each request; every client sends its next one when it has its response."""
    waiting, latencies = iter(requests), list[float]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        for content in waiting:
            started = time.perf_counter()
            writer.write(content)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert head.startswith(b"HTTP/1.1 200") and length, head
            await reader.readexactly(int(length[1]))
            latencies.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return latencies


class Server:
    """`fusionclf serve` of a run, in processes of its own."""

    def __init__(self, run: Path, words: Sequence[str]) -> None:
        command = [
            sys.executable,
            "-m",
            "fusionclf",
            "serve",
            "--run",
            str(run),
            "--cpu",
            "--port",
            "0",
            *words,
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        while True:
            line = self.process.stderr.readline()
            if found := re.search(r"at http://127\.0\.0\.1:(\d+)", line):
                break
            if not line:
                sys.exit("the server did not start")
        self.port = int(found[1])

    def processor(self) -> float:
        """Its processor seconds up to now, those of its workers included."""
        root = psutil.Process(self.process.pid)
        times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
        return sum(each.user + each.system for each in times)

    def measure(self, requests: Sequence[bytes], products: int, clients: int) -> Measured:
        """One pass over all requests."""
        wall, processor = time.perf_counter(), self.processor()
        latencies = asyncio.run(load(self.port, requests, clients))
        seconds = time.perf_counter() - wall
        used = self.processor() - processor
        return Measured(products / seconds, 1000 * used / products, [1000 * each for each in latencies])


class Bare:
    """The bare predictor in a process of its own."""

    def __init__(self, run: Path, products: Sequence[Product], folder: Path) -> None:
        file = folder / "products.json"
        file.write_text(json.dumps([{"file": str(each.file), "title": each.title} for each in products]))
        command = [sys.executable, "-c", BARE, str(run), str(file)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.products = len(products)

    def measure(self) -> Measured:
        """One pass over all products."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds, processor = map(float, self.process.stdout.readline().split())
        return Measured(self.products / seconds, 1000 * processor / self.products)


def products_of(catalog: Catalog, count: int) -> list[Product]:
    """Products of a catalog, repeated until there are `count`."""
    paths = catalog.picture_paths(np.arange(len(catalog)))
    known = [
        Product(Path(path), title)
        for path, title in zip(paths, catalog.table["title"].tolist(), strict=True)
        if path is not None
    ]
    return [known[place % len(known)] for place in range(count)]


def table(rounds: dict[str, list[Measured]]) -> str:
    """Medians of the rounds as Markdown."""
    lines = [
        "| | products/s | ratio | processor ms a product | p50, ms | p99, ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    bare = rounds["bare predictor"]
    for name, own in rounds.items():
        ratio = median(each.rate / base.rate for each, base in zip(own, bare, strict=True))
        latencies = [value for each in own for value in each.latencies]
        shown = " | ".join(f"{np.percentile(latencies, q):.0f}" if latencies else "–" for q in (50, 99))
        rate, processor = median(each.rate for each in own), median(each.processor for each in own)
        lines.append(f"| {name} | {rate:,.0f} | {ratio:.2f} | {processor:.2f} | {shown} |")
    return "\n".join([*lines, ""])


def small_run(folder: Path) -> tuple[Path, Path]:
    """A small generated catalog, and a small fusion of it."""
    from fusionclf.workflows.train import train

    data = generate_sample(folder / "catalog", products=600, seed=0)
    train("fusion", data, folder / "run", overrides=TRAIN, cpu=True)
    return data, folder / "run"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--data", type=Path)
    for name, default in (("rounds", 3), ("clients", 64), ("products", 1024), ("workers", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="fusionclf-load-") as temporary:
        folder = Path(temporary)
        data, run = (options.data, options.run) if options.run and options.data else small_run(folder)
        products = products_of(read_catalog(data), options.products)
        kinds = {
            "one product": [one_product(each) for each in products],
            f"{TOGETHER} products": [
                several(products[start : start + TOGETHER]) for start in range(0, len(products), TOGETHER)
            ],
        }
        words = ["--workers", str(options.workers)] if options.workers > 1 else []
        server, bare = Server(run, words), Bare(run, products, folder)
        rounds: dict[str, list[Measured]] = {"bare predictor": [], **{name: [] for name in kinds}}
        for requests in kinds.values():
            server.measure(requests[:64], 64, options.clients)  # warm
        for _ in range(options.rounds):
            rounds["bare predictor"].append(bare.measure())
            for name, requests in kinds.items():
                rounds[name].append(server.measure(requests, len(products), options.clients))
        for process in (server.process, bare.process):
            process.terminate()
            process.wait()
    text = table(rounds)
    print(text)
    if options.markdown is not None:
        write_text(options.markdown, text)


if __name__ == "__main__":
    main()
