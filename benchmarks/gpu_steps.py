"""What gpu_check.py beside this file measures, step by step, on a GPU or in miniature on a CPU."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.train_throughput import CLASSES, PlainPictures, bare
from fusionclf.batches import PictureTransform, ProductSource, cover_size, open_cache
from fusionclf.catalog import Catalog
from fusionclf.config import PicturesConfig, TrainConfig
from fusionclf.models import ProductClassifier, base_model, find_variant
from fusionclf.models.registry import variant_names
from fusionclf.prediction import load
from fusionclf.runfolder import read_json
from fusionclf.training import Progress, StageSpec, make_accelerator, train_stage
from fusionclf.training.accelerator import to_device

WARM_UP = 3


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        image: settings below model.image of the network whose speed is measured.
        side: of its pictures, in pixels.
        batch, steps: of a timed training.
        products: that a timed prediction reads.
        smoke: settings of the smallest useful run of a variant, beside those of its encoders.
        frozen, tuned: words after `fusionclf train fusion` for frozen and for fine-tuned encoders.
    """

    image: dict[str, Any]
    side: int
    batch: int
    steps: int
    products: int
    smoke: tuple[str, ...]
    frozen: tuple[str, ...]
    tuned: tuple[str, ...]


TINY = ("model.image.library=timm", "model.image.backbone=test_resnet", "model.image.weights=none")
SMOKE = (
    *TINY,
    "scheme=single_stage",
    "train.epochs=2",
    "pictures.height=32",
    "pictures.width=32",
    "pictures.fit=crop",
)
TEXT = ("model.text.buckets=4096", "model.text.dim=16")
FUSION = (*SMOKE, *TEXT, "model.vocabulary=closed")
FULL = Sizes(
    {"library": "torchvision", "backbone": "resnet50", "weights": "none"}, 224, 256, 60, 8192, SMOKE,
    ("--config", "fusion-frozen"), ("--config", "fusion-cpu"),
)  # fmt: skip
MINIATURE = Sizes(
    {"library": "timm", "backbone": "test_resnet", "weights": "none"}, 32, 8, 4, 64, SMOKE,
    (*FUSION, "model.image.frozen=true"), FUSION,
)  # fmt: skip


def on_gpu() -> bool:
    return torch.cuda.is_available()


def machine() -> dict[str, str]:
    """What it runs on."""
    device = torch.cuda.get_device_name() if on_gpu() else f"no GPU, {os.cpu_count()} CPUs"
    return {"device": device, "torch": torch.__version__, "transformers": version("transformers"),
            "date": date.today().isoformat(), "precision": make_accelerator().mixed_precision}  # fmt: skip


def synchronize() -> None:
    if on_gpu():
        torch.cuda.synchronize()


def smoke(sample: Path, work: Path, sizes: Sizes) -> dict[str, Any]:
    """Variant → seconds of a training, and the largest difference of probabilities when the run is loaded again."""
    found = {}
    for name in variant_names():
        words = [
            word
            for word in sizes.smoke
            if "image" in find_variant(name).params.model_fields or "image" not in word
        ]
        words += TEXT if "text" in find_variant(name).params.model_fields else ()
        started = time.perf_counter()
        run = command(["train", name, "--data", sample, "--out", work / f"smoke-{name}", *words])
        seconds = time.perf_counter() - started
        found[name] = {"seconds": seconds, "difference": difference_when_loaded(run, sample)}
    return found


def command(words: list[Any], stop: Callable[[], bool] = lambda: False, limit: float = 1e9) -> Path:
    """Run a command of fusionclf in a process of its own, and kill it once `stop` is true; its --out."""
    out = Path(words[words.index("--out") + 1])
    with (out.parent / f"{out.name}.log").open("a") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "fusionclf", *map(str, words)], stderr=log, stdout=log
        )
        started = time.perf_counter()
        while child.poll() is None:
            if stop() or time.perf_counter() - started > limit:
                os.kill(child.pid, signal.SIGKILL)
            time.sleep(0.02)
    if child.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"fusionclf {words[0]}: ended with {child.returncode}: {tail(Path(log.name))}")
    if child.returncode and not stop():
        raise TimeoutError(f"fusionclf {words[0]}: stopped after {limit:.0f} s")
    return out


def tail(file: Path) -> str:
    return " | ".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])


def difference_when_loaded(run: Path, data: Path) -> float:
    """The largest difference between the run's test probabilities and those of the loaded model."""
    import pandas as pd

    from fusionclf.catalog import read_catalog

    file = sorted((run / "predictions").glob("*.parquet"))[0]
    saved, catalog = pd.read_parquet(file).head(64), read_catalog(data)
    rows = pd.Index(catalog.table["id"]).get_indexer(pd.Index(saved["id"]))
    titles = catalog.table["title"].iloc[rows].tolist()
    answers = load(run, part=file.stem).predict(catalog.all_picture_paths(rows), titles, errors="collect")
    return float(np.abs(answers.probabilities[:, 0] - saved["prob_1"].to_numpy()).max())


def network(sizes: Sizes) -> ProductClassifier:
    """The network whose training is timed, on its device."""
    variant = find_variant("image")
    params = variant.params.model_validate({"image": sizes.image})
    model = base_model(variant.model(params, {"label": CLASSES}))
    to_device(model, make_accelerator().device)
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def source_of(catalog: Catalog, sizes: Sizes) -> ProductSource:
    """Pictures through the cache, over and over, with made-up labels."""
    shown = PicturesConfig(height=sizes.side, width=sizes.side, fit="crop")
    few = replace(catalog, table=catalog.table.iloc[:4096].reset_index(drop=True))
    cache = open_cache(few, cover_size(shown))
    return ProductSource(PictureTransform(cache, shown), None, {"label": np.arange(len(few)) % CLASSES})


def our_training(source: ProductSource, sizes: Sizes, work: Path, compiled: bool = False) -> dict[str, float]:
    """Pictures a second of the steps after the first ones, and the most memory of the GPU in MiB."""
    times: list[float] = []

    def step(epoch: int, done: int, steps: int, loss: float, rate: float) -> None:
        if done in (WARM_UP, steps):
            synchronize()
            times.append(time.perf_counter())

    settings = TrainConfig(epochs=1, batch_size=sizes.batch, class_weights="none", compile=compiled)
    count = sizes.batch * (sizes.steps + WARM_UP)
    rows = np.resize(np.arange(len(source.targets["label"])), count)
    spec = StageSpec("timed", work / f"timed-{compiled}", rows, rows[:2])
    if on_gpu():
        torch.cuda.reset_peak_memory_stats()
    train_stage(network(sizes), source, spec, settings, make_accelerator(), Progress(step=step))
    memory = torch.cuda.max_memory_allocated() / 2**20 if on_gpu() else 0.0
    return {"pictures_per_second": sizes.batch * sizes.steps / (times[-1] - times[0]), "memory_mib": memory}


def bare_training(sizes: Sizes) -> float:
    """Pictures a second of the step alone, on one batch that is there already, in the same precision and layout."""
    accelerator = make_accelerator()
    model = bare(network(sizes)).train()
    optimiser = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9, fused=True)
    pictures = torch.randn(sizes.batch, 3, sizes.side, sizes.side, device=accelerator.device)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    targets = torch.arange(sizes.batch, device=accelerator.device) % CLASSES

    def step() -> None:
        with accelerator.autocast():
            logits = model(pictures)
        nn.functional.cross_entropy(logits.float(), targets).backward()
        optimiser.step()
        optimiser.zero_grad()

    return rate(step, sizes)


def reference_training(catalog: Catalog, sizes: Sizes, workers: int = 4) -> float:
    """Pictures a second of a plain loop as the reference's: Pillow and torchvision in workers, float32."""
    accelerator = make_accelerator()
    paths = [path for path in catalog.picture_paths() if path is not None]
    steps = max(sizes.steps // 4, 1)
    wanted = [paths[n % len(paths)] for n in range(sizes.batch * (steps + WARM_UP))]
    batches = iter(torch.utils.data.DataLoader(PlainPictures(wanted), sizes.batch, num_workers=workers))
    model = bare(network(sizes)).to(memory_format=torch.contiguous_format).train()
    optimiser = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9)

    def step() -> None:
        pictures, targets = (each.to(accelerator.device) for each in next(batches))
        nn.functional.cross_entropy(model(pictures), targets).backward()
        optimiser.step()
        optimiser.zero_grad()

    return rate(step, replace(sizes, steps=steps))


def rate(step: Callable[[], None], sizes: Sizes) -> float:
    """Pictures a second."""
    for _ in range(WARM_UP):
        step()
    synchronize()
    started = time.perf_counter()
    for _ in range(sizes.steps):
        step()
    synchronize()
    return sizes.batch * sizes.steps / (time.perf_counter() - started)


def kill_and_resume(sample: Path, work: Path, sizes: Sizes) -> dict[str, Any]:
    """Top-1 of a run that was killed after its first epoch and resumed, and of one that was not."""
    words = ["train", "image", "--data", sample, "--out"]
    settings = [word for word in sizes.smoke if "epochs" not in word] + ["train.epochs=6"]
    whole = command([*words, work / "whole", *settings])
    cut = work / "cut"
    command(
        [*words, cut, *settings],
        stop=lambda: (cut / "log.jsonl").is_file() or any(cut.glob("checkpoints/*/*")),
    )
    was_killed = not (cut / "metrics.json").is_file()
    command([*words, cut, *settings, "--resume"])
    top1 = {
        run.name: next(iter(read_json(run / "metrics.json")["parts"].values()))["top1"]
        for run in (whole, cut)
    }
    return {"killed": was_killed, "whole_top1": top1["whole"], "resumed_top1": top1["cut"]}


def prediction(run: Path, catalog: Catalog, sizes: Sizes) -> float:
    """Products a second of a loaded fusion run, picture files and titles."""
    rows = np.resize(np.arange(len(catalog)), sizes.products)
    images = catalog.all_picture_paths(rows)
    titles = [f"{title} {n}" for n, title in enumerate(catalog.table["title"].iloc[rows].tolist())]
    predictor = load(run)
    predictor.predict(images[:64], titles[:64], errors="collect")
    started = time.perf_counter()
    predictor.predict(images, titles, errors="collect")
    return sizes.products / (time.perf_counter() - started)


def fusion(words: tuple[str, ...], data: Path, out: Path, limit: float) -> dict[str, Any]:
    """Seconds of a fusion training, and its top-1."""
    started = time.perf_counter()
    run = command(["train", "fusion", "--data", data, "--out", out, *words], limit=limit)
    parts = read_json(run / "metrics.json")["parts"]
    return {
        "seconds": time.perf_counter() - started,
        "top1": {part: own["top1"] for part, own in parts.items()},
    }
