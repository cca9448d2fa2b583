"""The tensor part of a model gives the same as the model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fusionclf.catalog.fields import field_table
from fusionclf.export.tensor_model import TensorModel
from fusionclf.models import StackedClassifier
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.stacked_classifier import WeightedSum
from fusionclf.models.text_encoders import HashedNGramEncoder, JoinedTextEncoder
from tests.export.test_export import TEMPERATURE, TITLES
from tests.small import NETWORK, one_batch, tiny_model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fuser": "late"},
        {"fuser": "attention", "image": {**NETWORK, "regions": 2}},
    ],
)
def test_a_missing_picture_or_title_counts_as_in_the_model(changes: dict) -> None:
    _, _, model = tiny_model("fusion", **changes)
    model.eval()
    batch = one_batch(model, 4)
    assert batch.titles is not None and batch.pictures is not None
    assert isinstance(model, StackedClassifier) and isinstance(model.head, WeightedSum)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(
                ("base.heads.", "linear_text_model.", "base.missing.")
            ):  # which are 0 before training
                parameter.add_(0.1 * torch.randn_like(parameter))
        model.head.weights.copy_(torch.tensor([1.0, 0.7]))
    there = (torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False]))
    prepared = model.text_encoder.prepare([f"red shirt {n}" for n in range(4)])
    rows = np.arange(4)
    products = replace(batch, titles=prepared.batch(rows), has_picture=there[0], has_title=there[1])
    with torch.no_grad():
        wanted = model(products)["label"].div(TEMPERATURE).softmax(dim=1)
        tensors = TensorModel(model, {"label": TEMPERATURE}, (32, 32))
        given = {"pictures": batch.pictures, "has_picture": there[0], "has_title": there[1]}
        padded = prepared.padded(rows)  # pyright: ignore[reportAttributeAccessIssue]
        given |= {f"title.{name}": tensor for name, tensor in padded.items()}
        found = tensors(*(given[name] for name in tensors.inputs))[0]
    assert torch.allclose(found, wanted, atol=1e-5)
    assert not torch.allclose(wanted[0], wanted[1], atol=1e-3)


@pytest.mark.parametrize(("fuser", "vocabulary"), [("late", "open"), ("concat", "open"), ("late", "named")])
def test_an_export_picks_the_same_meta_classifier(fuser: str, vocabulary: str, tiny_bert: Path) -> None:
    text = {"kind": "both", "model": str(tiny_bert), "buckets": 4096, "dim": 16}
    _, _, model = tiny_model("fusion", fuser=fuser, text=text, vocabulary=vocabulary)
    model.eval()
    assert isinstance(model, StackedClassifier) and isinstance(model.head, StackedHead)
    names = ["shirt", "shoe", "watch", "bag"]
    model.name_classes(names, names)
    batch = one_batch(model, 4)
    assert batch.titles is not None and batch.pictures is not None
    with torch.no_grad():
        for module in (model.head, model.linear_text_model):
            for name, values in module.named_parameters():
                if "own_sentences" not in name:
                    values.add_(0.3 * torch.randn_like(values))
        model.head.counts[1] = 0
    titles = ["red shirt", "blue shoe", "gold watch", "black bag"]
    assert isinstance(model.text_encoder, JoinedTextEncoder)
    has_picture, has_title = (
        torch.tensor([True, True, False, False]),
        torch.tensor([True, False, True, False]),
    )
    table, rows = model.prepare_fields(field_table(titles)), np.arange(4)
    given = {"pictures": batch.pictures, "has_picture": has_picture, "has_title": has_title}
    given |= {f"title.{name}": tensor for name, tensor in table.batch(rows).items()}
    hashed = model.text_encoder.encoders["ngrams"]
    assert isinstance(hashed, HashedNGramEncoder)
    given |= {f"title.ngrams.{name}": tensor for name, tensor in hashed.hashed(titles).padded(rows).items()}
    with torch.no_grad():
        wanted = model(
            replace(batch, titles=table.batch(rows), has_picture=has_picture, has_title=has_title)
        )["label"]
        whole = model(replace(batch, titles=table.batch(rows)))["label"]
        tensors = TensorModel(model, {"label": TEMPERATURE}, (32, 32))
        found = tensors(*(given[name] for name in tensors.inputs))[0]
    assert torch.allclose(found, wanted.div(TEMPERATURE).softmax(dim=1), atol=1e-5)
    assert not torch.allclose(wanted[1:], whole[1:], atol=1e-2)


def test_padded_n_grams_are_embedded_as_n_grams_in_a_row() -> None:
    torch.manual_seed(0)
    encoder = HashedNGramEncoder(buckets=512, dim=8)
    encoder.fit(TITLES[:3])
    table = encoder.hashed(TITLES)
    rows = np.array([3, 1, 0, 4, 2])
    assert torch.allclose(encoder(table.batch(rows)), encoder(table.padded(rows)), atol=1e-6)
    assert encoder(table.padded(np.array([1]))).abs().max() == 0  # a title without an n-gram
