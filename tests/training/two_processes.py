"""A stage trained by two processes: once at a stretch, once cut in the second epoch and resumed; are they equal?

Started by tests/workflows/test_processes.py: LAUNCHER -m tests.training.two_processes FOLDER
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertModel

from fusionclf.batches import ProductSource
from fusionclf.models import ProductClassifier
from fusionclf.models.classifier import linear_heads
from fusionclf.models.encoders import TransformerEncoder
from fusionclf.models.fusers import ConcatFuser
from fusionclf.models.weights import load_weights
from fusionclf.training import Progress, checkpointer, make_accelerator, train_stage
from tests.training.small_stage import (
    CLASSES,
    TITLES,
    TRAIN,
    VALIDATION,
    differing,
    picture_encoder,
    picture_source,
    settings,
)

CHANGES: dict[str, Any] = {
    "ema_decay": 0.9,
    "freeze_epochs": 1,
    "gradient_accumulation_steps": 2,
    "batch_size": 16,
}


class Cut(Exception):
    """Stands for a machine that is switched off."""


class Words:
    """A tokenizer of single characters."""

    pad_token_id = 0

    def __call__(self, titles: list[str], **_: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [[1 + ord(letter) % 30 for letter in title][:12] for title in titles]}


def make() -> tuple[ProductClassifier, ProductSource]:
    """Pictures through convolutions with batch norm, titles through a transformer, both trained."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    network = BertModel(config)
    assert network.pooler is not None
    network.pooler.requires_grad_(False)
    image, text = picture_encoder(), TransformerEncoder(network, Words(), longest=12)
    fuser = ConcatFuser(image.dim, text.dim, 8, 0.2)
    heads = linear_heads(fuser.dim, {"label": CLASSES})
    shown = picture_source()
    source = ProductSource(shown.pictures, text.prepare(TITLES), shown.targets, ids=shown.ids)
    return ProductClassifier(image, text, fuser, heads, {"label": 1.0}, 0.2), source


def train(folder: Path, progress: Progress | None = None) -> None:
    model, source = make()
    train_stage(
        model, source, TRAIN, VALIDATION, settings(**CHANGES), make_accelerator("fp32", cpu=True), folder,
        stage="all", progress=progress, save_every_s=0.0,
    )  # fmt: skip


def cut(epoch: int, step: int, *_: Any) -> None:
    if (epoch, step) == (2, 2):
        raise Cut


def main() -> None:
    folder, was_cut = Path(sys.argv[1]), False
    checkpointer.LOOK_EVERY_STEPS = 1  # so that a checkpoint stands in the middle of an epoch
    train(folder / "whole")
    try:
        train(folder / "cut", Progress(step=cut))
    except Cut:
        was_cut = True
    accelerator = make_accelerator("fp32", cpu=True)
    accelerator.wait_for_everyone()
    train(folder / "cut")
    if accelerator.is_main_process:
        differ = differing(folder / "whole", folder / "cut")
        start, average = make()[0].state_dict(), load_weights(folder / "whole/last/average.safetensors")
        followed = not torch.equal(start["heads.label.weight"], average["heads.label.weight"])
        found = {"cut": was_cut, "differ": differ, "average follows": followed}
        found["processes"] = accelerator.num_processes
        (folder / "found.json").write_text(json.dumps(found))
    accelerator.end_training()


if __name__ == "__main__":
    main()
