"""Training and prediction speed against the bare network step and against a plain loop; prints pictures/s and ratios.

Usage: python benchmarks/train_throughput.py CATALOG [--rounds 2] [--markdown FILE]

Training, ResNet50 with random weights, batches of 64:
  (a) a plain loop, as the reference's is built: Pillow decodes and torchvision transforms in 4 workers, float32,
      contiguous memory; at 224×224
  (b) ours: `train_stage`, at 224×224 and at the small pictures' own 80×60
  (c) the bare step on one batch that is already a tensor, with ours' precision and memory format
Prediction:
  (b) ours, decoding included: the picture cache built in an empty folder, then `iterate_logits`
  (c) the bare forward pass on one batch that is already a tensor
The first steps of each are a warm-up and not timed. (b) and (c) take turns, and the table has the best round of each,
so that other work on the machine affects both alike.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision import transforms

from fusionclf.batches import PictureTransform, ProductSource, cover_size, open_cache
from fusionclf.catalog import Catalog, read_catalog
from fusionclf.config import PicturesConfig, TrainConfig
from fusionclf.models import ProductClassifier, base_model, find_variant
from fusionclf.training import Progress, StageSpec, iterate_logits, make_accelerator, train_stage

BATCH, CLASSES, WARM_UP = 64, 20, 2
SIZES = ((224, 224), (80, 60))
STEPS = {(224, 224): 8, (80, 60): 40}
PREDICTED = {(224, 224): 768, (80, 60): 4096}
PLAIN_STEPS = 3


@dataclass
class PlainPictures(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Data set of the plain loop: files, decoded and transformed one by one."""

    paths: list[Path]

    def __post_init__(self) -> None:
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(224, scale=(0.5, 1)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        shown: Any = self.transform(Image.open(self.paths[index]).convert("RGB"))
        return shown, index % CLASSES


def plain_loop(catalog: Catalog) -> float:
    """(a): pictures a second."""
    paths = [path for path in catalog.picture_paths() if path is not None]
    loader = torch.utils.data.DataLoader(
        PlainPictures(paths[: BATCH * (PLAIN_STEPS + 1)]), BATCH, shuffle=True, num_workers=4
    )
    network = torchvision.models.resnet50(num_classes=CLASSES)
    optimiser = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9)
    started = time.perf_counter()
    for step, (pictures, targets) in enumerate(loader):
        if step == 1:
            started = time.perf_counter()
        loss = nn.functional.cross_entropy(network(pictures), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return BATCH * PLAIN_STEPS / (time.perf_counter() - started)


def bare(model: ProductClassifier) -> nn.Module:
    """The same network as one plain module."""
    assert model.image is not None
    return nn.Sequential(model.image, model.heads["label"])


def resnet50() -> ProductClassifier:
    variant = find_variant("image")
    params = variant.params.model_validate({"image": {"backbone": "resnet50", "weights": "none"}})
    model = base_model(variant.model(params, {"label": CLASSES}))
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def source_of(catalog: Catalog, size: tuple[int, int]) -> ProductSource:
    """Pictures through the cache, with made-up labels."""
    shown = PicturesConfig(height=size[0], width=size[1], fit="crop" if size[0] == size[1] else "stretch")
    cache = open_cache(catalog, cover_size(shown))
    return ProductSource(PictureTransform(cache, shown), None, {"label": np.arange(len(catalog)) % CLASSES})


def our_training(source: ProductSource, size: tuple[int, int]) -> float:
    """(b): pictures a second of the steps after the first ones."""
    times: list[float] = []
    progress = Progress(step=lambda *_: times.append(time.perf_counter()))
    settings = TrainConfig(epochs=1, batch_size=BATCH, class_weights="none")
    rows = np.arange(BATCH * (STEPS[size] + WARM_UP))
    with tempfile.TemporaryDirectory() as folder:
        spec = StageSpec("benchmark", Path(folder), rows, rows[:2])
        train_stage(resnet50(), source, spec, settings, make_accelerator(cpu=True), progress)
    return BATCH * STEPS[size] / (times[-1] - times[WARM_UP - 1])


def bare_training(size: tuple[int, int]) -> float:
    """(c): pictures a second of the step alone."""
    network = bare(resnet50()).train()
    optimiser = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9, fused=True)
    pictures, targets = _resident(BATCH, size), torch.arange(BATCH) % CLASSES

    def step() -> None:
        with _autocast():
            logits = network(pictures)
        nn.functional.cross_entropy(logits.float(), targets).backward()
        optimiser.step()
        optimiser.zero_grad()

    return _rate(step, BATCH, STEPS[size])


def our_prediction(catalog: Catalog, size: tuple[int, int]) -> float:
    """(b): pictures a second from files to predictions."""
    model, accelerator = resnet50(), make_accelerator(cpu=True)
    count = PREDICTED[size]
    part = replace(catalog, table=catalog.table.iloc[:count].reset_index(drop=True))
    warm = source_of(replace(part, table=part.table.iloc[:256]), size)
    for _ in iterate_logits(model, warm, np.arange(256), accelerator):
        pass
    started = time.perf_counter()
    for _, logits in iterate_logits(model, source_of(part, size), np.arange(count), accelerator):
        logits.argmax(dim=1)
    return count / (time.perf_counter() - started)


def bare_prediction(size: tuple[int, int]) -> float:
    """(c): pictures a second of the forward pass alone."""
    network = bare(resnet50()).eval()
    pictures = _resident(128, size)

    def step() -> None:
        with torch.inference_mode(), _autocast():
            network(pictures)

    return _rate(step, 128, PREDICTED[size] // 128)


def _resident(count: int, size: tuple[int, int]) -> torch.Tensor:
    return torch.randn(count, 3, *size).contiguous(memory_format=torch.channels_last)


def _autocast() -> Any:
    return make_accelerator(cpu=True).autocast()


def _rate(step: Callable[[], None], pictures: int, steps: int) -> float:
    for _ in range(WARM_UP):
        step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return pictures * steps / (time.perf_counter() - started)


def measure(catalog: Catalog, rounds: int) -> Iterator[tuple[str, str, float, float]]:
    """Rows of the table: what, size, pictures/s of ours, pictures/s of the bare step."""
    for size in SIZES:
        name = f"{size[0]}×{size[1]}"
        source = source_of(replace(catalog, table=catalog.table.iloc[:4096].reset_index(drop=True)), size)
        ours, alone = [], []
        for number in range(rounds):
            _log(f"training at {name}, round {number + 1}")
            ours.append(our_training(source, size))
            alone.append(bare_training(size))
        yield "training", name, max(ours), max(alone)
        ours, alone = [], []
        for number in range(rounds):
            _log(f"prediction at {name}, round {number + 1}")
            with empty_cache():
                ours.append(our_prediction(catalog, size))
            alone.append(bare_prediction(size))
        yield "prediction", name, max(ours), max(alone)


@contextmanager
def empty_cache() -> Iterator[None]:
    """A picture cache folder of its own for a while."""
    before = os.environ.get("FUSIONCLF_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FUSIONCLF_CACHE"] = folder
        yield
    if before is None:
        del os.environ["FUSIONCLF_CACHE"]
    else:
        os.environ["FUSIONCLF_CACHE"] = before


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    options = parser.parse_args()
    with empty_cache():
        catalog = read_catalog(options.catalog)
        _log("the plain loop")
        plain = plain_loop(catalog)
        lines = [
            f"ResNet50, batches of {BATCH}, {os.cpu_count()} CPUs, torch {torch.__version__}, "
            f"mixed precision: {make_accelerator(cpu=True).mixed_precision}, {date.today().isoformat()}",
            "",
            f"(a) plain loop, training at 224×224: {plain:.2f} pictures/s",
            "",
            "| | size | ours (b), pictures/s | bare step (c), pictures/s | b / c | b / a |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
        ]
        for what, size, ours, bare in measure(catalog, options.rounds):
            over = f"{ours / plain:.1f}" if what == "training" else "–"
            lines.append(f"| {what} | {size} | {ours:.1f} | {bare:.1f} | {ours / bare:.3f} | {over} |")
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
