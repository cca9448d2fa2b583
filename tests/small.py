"""Small inputs that several tests share: hand-made catalogs, tiny settings, one batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fusionclf.batches import Batch
from fusionclf.catalog.fields import field_table
from fusionclf.models import Model, Variant, find_variant

HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
# A network of 0.4 million weights, ten times faster than ResNet-18.
NETWORK = {"library": "timm", "backbone": "test_resnet", "weights": "none"}
IMAGE = (
    *(f"model.image.{name}={value}" for name, value in NETWORK.items()),
    "pictures.height=32",
    "pictures.width=32",
    "pictures.fit=crop",
)
TEXT = ("model.text.buckets=4096", "model.text.dim=16")
# The least settings below `model` with which each variant can be built without a download.
TINY: dict[str, dict[str, Any]] = {
    "image": {"image": NETWORK},
    "multitask": {"image": NETWORK},
    "text": {"text": {"buckets": 4096, "dim": 16}},
    "fusion": {
        "image": NETWORK,
        "text": {"buckets": 4096, "dim": 16},
        "hidden": 16,
        "modality_dropout": 0.5,
    },
}
CLASSES = {"label": 4, "masterCategory": 3, "subCategory": 3}


def tiny_model(name: str, **changes: Any) -> tuple[Variant, Any, Model]:
    """A variant, its tiny parameters, and a model of four classes."""
    variant = find_variant(name)
    params = variant.params.model_validate({**TINY[name], **changes})
    torch.manual_seed(0)
    return variant, params, variant.model(params, CLASSES)


def one_batch(model: Model, size: int = 16) -> Batch:
    """Products of four classes that both picture and title distinguish."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(size) % 4
    pictures = torch.randn(size, 3, 32, 32, generator=generator) * 0.3 + labels.view(-1, 1, 1, 1) - 1.5
    words = ["red shirt", "blue shoe", "gold watch", "black bag"]
    titles = [f"{words[int(n)]} {i}" for i, n in enumerate(labels)]
    prepared = None
    if model.text_encoder is not None:
        model.text_encoder.fit(titles)
        prepared = model.prepare_fields(field_table(titles)).batch(np.arange(size))
    targets = {"label": labels, "masterCategory": labels % 3, "subCategory": labels % 3}
    return Batch(np.arange(size), pictures if model.image is not None else None, prepared, targets)


def write_catalog(folder: Path, rows: list[str], header: str = HEADER, pictures: bool = True) -> Path:
    """A catalog of these CSV lines, each with a plain picture unless `pictures` is false."""
    (folder / "images").mkdir(parents=True)
    (folder / "styles.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    for number, row in enumerate(rows if pictures else ()):
        colour = (number * 37 % 256, number * 91 % 256, number * 13 % 256)
        Image.new("RGB", (6, 8), colour).save(folder / "images" / f"{row.split(',')[0]}.jpg")
    return folder


def short_fitting(patch: pytest.MonkeyPatch) -> None:
    """Fit stacked heads in a tenth of the steps, which is enough for the sample catalog."""
    package = "fusionclf.models.open_vocabulary"
    patch.setattr(f"{package}.linear_probe.LEAST_STEPS", 40)
    patch.setattr(f"{package}.meta_training.LEAST_STEPS", 60)
    patch.setattr(f"{package}.meta_training.SHOWN_TIMES", 10)


def small_late_fusion(bert: Path) -> tuple[str, ...]:
    """Settings of a fusion that takes seconds, with a transformer in the folder `bert`."""
    return ("scheme=single_stage", "model.fuser=late", "model.text.kind=both", f"model.text.model={bert}",
            "model.text.buckets=4096", *IMAGE)  # fmt: skip
