"""Embeddings of products by a network: one pass gives the features of each encoder and the logits."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fusionclf.batches import Batch
from fusionclf.catalog.titles import have_titles
from fusionclf.models import Model, StackedClassifier, base_model
from fusionclf.models.linear_text_model import LinearTextModel
from fusionclf.prediction.embeddings import normalised_rows, side_by_side
from fusionclf.prediction.projection import project, tfidf
from fusionclf.training import predict_tasks

if TYPE_CHECKING:
    from fusionclf.batches import PictureCache
    from fusionclf.prediction.network import NetworkModel


class Embedder(nn.Module):
    """What a network computes of a product on the way to its classes: name → (B, D).

    Args:
        network: the model.

    Attributes:
        widths: name → D: `label` has the logits of all classes, `joint` what the heads read, and where two encoders
            are fused `picture` and `text` what these give.
    """

    def __init__(self, network: Model, classes: int) -> None:
        super().__init__()
        self.network, base = network, base_model(network)
        encoders = {"picture": base.image, "text": base.text}
        dims = {name: encoder.dim for name, encoder in encoders.items() if encoder is not None}
        self.names = list(dims)
        joint = next(iter(dims.values())) if base.fuser is None else int(base.fuser.dim)  # pyright: ignore
        self.widths = {**(dims if len(dims) > 1 else {}), "joint": joint, "label": classes}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        base = base_model(self.network)
        encoded = base.encode(batch)
        found = dict(zip(self.names, encoded, strict=True))
        found["joint"] = base.fuse(encoded, batch)
        return found | {"label": self.network.classify(encoded, batch)["label"]}


def embed_products(
    model: "NetworkModel", pictures: "PictureCache | None", fields: pd.DataFrame
) -> dict[str, np.ndarray]:
    """As NetworkModel.embed.

    Where picture and text are not fused, because a linear text model reads the text, the joint embedding is both side
    by side. Its text embedding is that of its sentence encoder, or without one its projected n-grams.
    """
    source, embedder = model.source(pictures, fields), Embedder(model.model, len(model.every))
    found = predict_tasks(embedder, source, np.arange(len(fields)), model.process, embedder.widths)
    known = {"label": model.probabilities_of("label", found.pop("label"))}
    has_picture, has_text = source.has_picture, source.has_title
    if isinstance(model.model, StackedClassifier) and model.model.base.text is None:
        assert has_picture is not None
        picture = normalised_rows(found["joint"].numpy(), has_picture)
        text = _text_embeddings(model, model.model.linear_text_model, fields)
        return known | {"picture": picture, "text": text, "joint": side_by_side(picture, text)}
    there = {"picture": has_picture, "text": has_text, "joint": None}
    return known | {name: normalised_rows(values.numpy(), there[name]) for name, values in found.items()}


def _text_embeddings(model: "NetworkModel", linear: LinearTextModel, fields: pd.DataFrame) -> np.ndarray:
    """(n, Dt) of each product's title, or where it has none its first further text."""
    assert isinstance(model.model, StackedClassifier)
    texts = model.model.main_texts(fields)
    if linear.sentences is not None:
        with model.process.autocast(), torch.inference_mode():
            return normalised_rows(linear.embed(texts), have_titles(texts))
    frequencies = linear.ngrams.inverse_frequency.cpu().numpy()
    return normalised_rows(project(tfidf(linear.hashed(texts).counts, frequencies)), have_titles(texts))
