"""The contract of resuming: a killed stage ends with the tensors of an uncut one, bit for bit on a CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from fusionclf.batches import PictureCache, PictureTransform, ProductSource
from fusionclf.catalog.fields import field_table
from fusionclf.config import PicturesConfig, TrainConfig
from fusionclf.models import ProductClassifier, base_model, variant_names
from fusionclf.training import Progress, StageSpec, make_accelerator, train_stage
from fusionclf.training.checkpoints import load_checkpoint, optimiser_tensors, restore_optimiser
from tests.small import CLASSES, tiny_model
from tests.training.small_stage import TITLES, differing

TRAIN, VALIDATION = np.arange(12), np.arange(12, 16)
SIZE = 32
OPTIMISERS: dict[str, dict[str, Any]] = {
    "sgd": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9},
    "adam": {"name": "adam", "learning_rate": 0.001},
    "adamw": {"name": "adamw", "learning_rate": 0.001, "weight_decay": 0.05},
}


class Killed(Exception):
    """Stands for a machine that is switched off."""


def kill(epoch: int, step: int, *_: Any) -> None:
    if (epoch, step) == (1, 2):
        raise Killed


def make(variant: str) -> tuple[ProductClassifier, ProductSource]:
    """The tiny model of a variant, and products as it reads them."""
    model = base_model(tiny_model(variant, dropout=0.2)[2])
    labels = np.arange(16) % CLASSES["label"]
    pictures = None
    if model.image is not None:
        pixels = np.random.default_rng(0).integers(0, 256, 16 * SIZE * SIZE * 3, np.uint8)
        offsets, sizes = np.arange(16) * SIZE * SIZE * 3, np.full((16, 2), SIZE, np.int32)
        shown = PicturesConfig(height=SIZE, width=SIZE)
        pictures = PictureTransform(PictureCache(pixels, offsets, sizes), shown)
    titles = None
    if model.text is not None:
        model.text.fit(TITLES[:16])
        titles = model.prepare_fields(field_table(TITLES[:16]))
    targets = {task: labels % CLASSES[task] for task in model.task_weights}
    return model, ProductSource(pictures, titles, targets)


def run(folder: Path, variant: str, changes: dict[str, Any], **options: Any) -> ProductClassifier:
    settings = TrainConfig.model_validate(
        {"epochs": 1, "batch_size": 4, "precision": "fp32", "select_by": "last", **changes}
    )
    model, source = make(variant)
    progress = options.pop("progress", None)
    spec = StageSpec("all", folder, TRAIN, VALIDATION, **options)
    train_stage(model, source, spec, settings, make_accelerator("fp32", cpu=True), progress)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("ema_decay", [None, 0.9], ids=["plain", "ema"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("variant", variant_names())
def test_a_killed_stage_ends_as_an_uncut_one(
    variant: str, optimiser: str, ema_decay: float | None, tmp_path: Path
) -> None:
    changes = {"optimiser": OPTIMISERS[optimiser], "ema_decay": ema_decay}
    run(tmp_path / "whole", variant, changes)
    with pytest.raises(Killed):
        run(tmp_path / "cut", variant, changes, progress=Progress(step=kill), save_every_s=0.0)
    checkpoint = load_checkpoint(tmp_path / "cut")
    assert checkpoint is not None and (checkpoint.state["epoch"], checkpoint.state["step"]) == (1, 1)
    run(tmp_path / "cut", variant, changes)
    assert differing(tmp_path / "whole", tmp_path / "cut") == []


def test_a_stage_trains_convolutions_channels_last(tmp_path: Path) -> None:
    model = run(tmp_path, "image", {})
    convolutions = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert convolutions
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in convolutions)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_moments_come_back_in_the_layout_of_parameters(kind: Any) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    turned = nn.Parameter(torch.randn(5, 7).T)  # dense, but neither row-major nor channels last
    scalar = nn.Parameter(torch.tensor(1.0))
    parameters = [*layer.parameters(), turned, scalar]
    more: dict[str, Any] = {"momentum": 0.9} if kind is SGD else {}
    first, second = (kind(parameters, lr=0.1, fused=True, **more) for _ in range(2))
    sum(parameter.square().sum() for parameter in parameters).backward()  # pyright: ignore
    first.step()
    saved = {name: tensor.clone().contiguous() for name, tensor in optimiser_tensors(first).items()}
    restore_optimiser(second, saved)
    for parameter in parameters:
        assert first.state[parameter].keys() == second.state[parameter].keys()
        for key, value in first.state[parameter].items():
            if value is None:
                continue
            back = second.state[parameter][key]
            assert torch.equal(back, value) and back.dtype == value.dtype
            assert back.stride() == value.stride(), key
