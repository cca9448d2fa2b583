"""Small inputs that several tests share: hand-made catalogs, tiny settings, one batch."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fusionclf.batches import Batch
from fusionclf.models import ProductClassifier, Variant, find_variant

HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
# The least settings below `model` with which each variant can be built without a download.
TINY: dict[str, dict[str, Any]] = {
    "image": {"image": {"backbone": "resnet18", "weights": "none"}},
    "multitask": {"image": {"backbone": "resnet18", "weights": "none"}},
    "text": {"text": {"buckets": 4096, "dim": 16}},
    "fusion": {
        "image": {"backbone": "resnet18", "weights": "none"},
        "text": {"buckets": 4096, "dim": 16},
        "hidden": 16,
        "modality_dropout": 0.5,
    },
}
CLASSES = {"label": 4, "masterCategory": 3, "subCategory": 3}


def tiny_model(name: str, **changes: Any) -> tuple[Variant, Any, ProductClassifier]:
    """A variant, its tiny parameters, and a model of four classes."""
    variant = find_variant(name)
    params = variant.params.model_validate({**TINY[name], **changes})
    torch.manual_seed(0)
    return variant, params, variant.build(params, CLASSES)


def one_batch(model: ProductClassifier, size: int = 16) -> Batch:
    """Products of four classes that picture and title both tell apart."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(size) % 4
    pictures = torch.randn(size, 3, 32, 32, generator=generator) * 0.3 + labels.view(-1, 1, 1, 1) - 1.5
    words = ["red shirt", "blue shoe", "gold watch", "black bag"]
    titles = [f"{words[int(n)]} {i}" for i, n in enumerate(labels)]
    prepared = None
    if model.title_encoder is not None:
        model.title_encoder.fit(titles)
        prepared = model.prepare_titles(titles).batch(np.arange(size))
    targets = {"label": labels, "masterCategory": labels % 3, "subCategory": labels % 3}
    return Batch(np.arange(size), pictures if model.image is not None else None, prepared, targets)


def write_catalog(folder: Path, rows: list[str], header: str = HEADER, pictures: bool = True) -> Path:
    """A catalog of these CSV lines, each with a plain picture unless told otherwise."""
    (folder / "images").mkdir(parents=True)
    (folder / "styles.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    for number, row in enumerate(rows if pictures else ()):
        colour = (number * 37 % 256, number * 91 % 256, number * 13 % 256)
        Image.new("RGB", (6, 8), colour).save(folder / "images" / f"{row.split(',')[0]}.jpg")
    return folder


def small_late_fusion(bert: Path) -> tuple[str, ...]:
    """Settings of a fusion that takes seconds, with a transformer in the folder `bert`."""
    return ("scheme=single_stage", "model.fuser=late", "model.text.kind=both", f"model.text.model={bert}",
            "model.text.buckets=4096", "pictures.height=32", "pictures.width=32", "model.image.backbone=resnet18",
            "model.image.weights=none")  # fmt: skip
