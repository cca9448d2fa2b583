"""One small stage of training that several tests run: pictures and titles, every kind of randomness."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fusionclf.batches import PictureCache, PictureTransform, ProductSource
from fusionclf.config import PicturesConfig, TrainConfig
from fusionclf.models import ProductClassifier
from fusionclf.models.classifier import linear_heads
from fusionclf.models.encoders import ImageEncoder
from fusionclf.models.fusers import ConcatFuser
from fusionclf.models.text_encoders import HashedNGramEncoder
from fusionclf.models.weights import load_weights
from fusionclf.training import StageSpec, StageState, make_accelerator, train_stage
from fusionclf.training.checkpoints import load_checkpoint

PRODUCTS, CLASSES = 96, 4
TRAIN = np.array(
    [n for n in range(72) if n % 4 < 3 or n < 24]
)  # the last class has a third of the others' rows
VALIDATION = np.arange(72, PRODUCTS)
TITLES = [f"{('red shirt', 'blue shoe', 'gold watch', 'black bag')[n % 4]} {n}" for n in range(PRODUCTS)]
SETTINGS: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 8,
    "optimiser": {"name": "adamw", "learning_rate": 0.01},
    "class_weights": "none",
    "precision": "fp32",
}


def settings(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({**SETTINGS, **changes})


def picture_encoder() -> ImageEncoder:
    """Two convolutions, the second of which is the layer nearer the head."""
    first = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU())
    second = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())
    return ImageEncoder(
        nn.Sequential(first, second, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 8, [first, second]
    )


def picture_source(size: int = 16) -> ProductSource:
    """Noise with a colour for each class."""
    generator = np.random.default_rng(0)
    labels = np.arange(PRODUCTS) % CLASSES
    pixels = generator.integers(0, 128, (PRODUCTS, 20, 20, 3), np.uint8)
    pixels[..., 0] += (labels * 40).astype(np.uint8)[:, None, None]
    offsets = np.arange(PRODUCTS) * 20 * 20 * 3
    cache = PictureCache(pixels.ravel(), offsets, np.full((PRODUCTS, 2), 20, np.int32))
    shown = PicturesConfig(height=size, width=size)
    ids = [f"id-{n}" for n in range(PRODUCTS)]
    return ProductSource(PictureTransform(cache, shown, seed=0), None, {"label": labels}, ids=ids)


def picture_model() -> ProductClassifier:
    torch.manual_seed(0)
    encoder = picture_encoder()
    return ProductClassifier(encoder, None, None, linear_heads(8, {"label": CLASSES}), {"label": 1.0}, 0.2)


def fusion() -> tuple[ProductClassifier, ProductSource]:
    """A model of pictures and titles, with dropout, and its products."""
    torch.manual_seed(0)
    image, text = picture_encoder(), HashedNGramEncoder(512, 8)
    text.fit(TITLES)
    fuser = ConcatFuser(image.dim, text.dim, 8, 0.2)
    heads = linear_heads(fuser.dim, {"label": CLASSES})
    model = ProductClassifier(image, text, fuser, heads, {"label": 1.0}, 0.2)
    pictures = picture_source()
    return model, ProductSource(pictures.pictures, text.prepare(TITLES), pictures.targets, ids=pictures.ids)


def train_pictures(
    folder: Path, changes: dict[str, Any] | None = None, **options: Any
) -> tuple[ProductClassifier, StageState]:
    """Train the picture model; the trained model and where the stage ended."""
    model = options.pop("model", None) or picture_model()
    source = options.pop("source", None) or picture_source()
    progress = options.pop("progress", None)
    spec = StageSpec("all", folder, TRAIN, VALIDATION, **options)
    accelerator = make_accelerator("fp32", cpu=True)
    state = train_stage(model, source, spec, settings(**(changes or {})), accelerator, progress)
    return model, state


def equal_weights(first: nn.Module, second: nn.Module) -> bool:
    """Whether two modules of one shape hold the same tensors, bit for bit."""
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def differing(first: Path, second: Path) -> list[str]:
    """Names of the tensors that two folders of checkpoints do not hold alike, bit for bit."""
    ours, theirs = _saved(first), _saved(second)
    both = ours.keys() & theirs.keys()
    return sorted({*ours, *theirs} - both) + sorted(n for n in both if not torch.equal(ours[n], theirs[n]))


def _saved(folder: Path) -> dict[str, torch.Tensor]:
    """All that a stage saved: the newest checkpoint and the best weights."""
    checkpoint = load_checkpoint(folder)
    assert checkpoint is not None
    groups = {**checkpoint.tensors, "best": load_weights(folder / "best.safetensors")}
    return {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
