"""The tensor part of a model, for export: prepared tensors → probabilities.

How titles become tensors, and how pictures are cut, is no part of it: the runtime does that by the manifest.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fusionclf.batches import Batch, HashedNGrams
from fusionclf.errors import PredictionError
from fusionclf.models import Model, StackedClassifier, base_model
from fusionclf.models.field_encoders import ID, PRESENT, TitleAndFields
from fusionclf.models.open_vocabulary.level_zero import MODALITIES
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH, NAME_MATCH_FEATURES
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.outputs import BaseOutputs
from fusionclf.models.text_encoders import (
    NGRAMS,
    SENTENCE,
    HashedNGramEncoder,
    JoinedTextEncoder,
    TextEncoder,
    TransformerEncoder,
)

POOLING = "pooling"
PICTURES, HAS_PICTURE, HAS_TITLE = "pictures", "has_picture", "has_title"
TITLE = "title."  # before the names of the tensors that a model reads of a title
TRACED_BATCH, TRACED_PICTURES, TRACED_LENGTH = (
    2,
    3,
    7,
)  # any sizes but 0 and 1, which tracing takes for constants


class TensorModel(nn.Module):
    """Probabilities of each task, (B, K), from tensors in the order of `inputs`.

    Args:
        model: the trained model, on the CPU; it is changed, and cannot be used otherwise afterwards.
        temperatures: task → what divides its logits before the softmax.
        size: height and width of the pictures, in pixels.
        several_pictures: whether there is an input `pooling`, (B, P): the share of each picture in each product.

    Attributes:
        readers: how titles become tensors, one description for each encoder of the title.
        inputs: name → example of the right type and number of dimensions.
        tasks: what the outputs are of, in their order; `label` is the first.
    """

    def __init__(
        self,
        model: Model,
        temperatures: Mapping[str, float],
        size: tuple[int, int],
        several_pictures: bool = False,
    ) -> None:
        super().__init__()
        self.model = model.float().eval()
        self.temperatures = dict(temperatures)
        self.readers = title_readers(model)
        self.inputs = _examples(model, self.readers, size)
        if several_pictures and model.image is not None:
            self.inputs[PICTURES] = torch.zeros(TRACED_PICTURES, 3, *size)
            self.inputs[POOLING] = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
        self._title_keys = {name: name.removeprefix(TITLE) for name in self.inputs if name.startswith(TITLE)}
        self.tasks = ["label", *(task for task in model.tasks if task != "label")]
        if isinstance(model, StackedClassifier) and isinstance(model.head, StackedHead):
            model.head = _AllModalities(model.head)
            if model.picture_match is not None:
                del model.picture_match.encoder  # names are embedded already

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """(B, K) for each of `tasks`; NaN for a further column of a product that its head has no input for."""
        given = dict(zip(self.inputs, tensors, strict=True))
        titles = {
            self._title_keys[name]: tensor for name, tensor in given.items() if name in self._title_keys
        }
        batch = Batch(
            np.arange(0),
            given.get(PICTURES),
            titles or None,
            {},
            given.get(HAS_PICTURE),
            given.get(HAS_TITLE),
            given.get(POOLING),
        )
        logits = self.model(batch)
        found = [
            (logits[task] / self.temperatures.get(task, 1.0)).float().softmax(dim=1) for task in self.tasks
        ]
        if batch.has_picture is not None and base_model(self.model).text is None:  # heads that read no title
            found[1:] = [values.where(batch.has_picture[:, None], torch.nan) for values in found[1:]]
        return tuple(found)


class SentenceModel(nn.Module):
    """Sentence embeddings (B, D) from tokens, by which titles and runs of their words are compared with names."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        super().__init__()
        self.encoder = encoder.float().eval()
        self.inputs = _token_examples("")

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return (self.encoder(dict(zip(self.inputs, tensors, strict=True))),)


class _AllModalities(nn.Module):
    """A stacked head that scores every product by all meta-classifiers and then picks: nothing depends on the data."""

    seen_places: Tensor

    def __init__(self, head: StackedHead) -> None:
        super().__init__()
        self.head = head
        # A trace cannot find them: their number would depend on values.
        self.register_buffer("seen_places", head.facts.seen_places)

    def forward(self, outputs: BaseOutputs) -> Tensor:
        """As StackedHead.forward."""
        head, level_zero, logits = self.head, self.head.level_zero(outputs), {}
        facts = replace(head.facts, seen_places=self.seen_places)
        for modality in MODALITIES:
            own = head.subset(level_zero, slice(None), modality, outputs.base_reads_titles)
            logits[modality] = head.logits(own, modality, facts)
        assert outputs.has_picture is not None and outputs.has_title is not None
        with_picture = torch.where(outputs.has_title[:, None], logits["both"], logits["picture"])
        chosen = torch.where(outputs.has_picture[:, None], with_picture, logits["title"])
        return chosen


def title_readers(model: Model) -> list[dict[str, Any]]:
    """How a model's titles and further fields become tensors: one entry for each encoder, with its inputs' prefix.

    Raises:
        PredictionError: an encoder is of a kind that cannot be exported.
    """
    encoder = model.text_encoder
    if encoder is None:
        return []
    by_name = sentence_encoder(model) is not None
    if not isinstance(encoder, TitleAndFields):
        return _title_readers(encoder, by_name)
    found = _title_readers(encoder.title, by_name)
    for field, reader in encoder.readers.text.items():
        prefix = f"{TITLE}{encoder.readers.names[field]}."
        found.append({"kind": "present", "field": field, "prefix": prefix})
        found.append(
            {"kind": "hashed", "field": field, "prefix": f"{prefix}{NGRAMS}.", **_hashing(reader.words)}
        )
        if reader.sentence is not None:
            own = _reader(reader.sentence, f"{prefix}{SENTENCE}.", by_name)
            found.append({**own, "field": field, "longest": reader.longest})
    for field, reader in encoder.readers.attributes.items():
        prefix = f"{TITLE}{encoder.readers.names[field]}."
        found.append({"kind": "category", "field": field, "prefix": prefix, "edges": reader.known_edges})
    return found


def _title_readers(encoder: TextEncoder, by_name: bool) -> list[dict[str, Any]]:
    encoders: dict[str, Any] = {TITLE: encoder}
    if isinstance(encoder, JoinedTextEncoder):
        encoders = {f"{TITLE}{name}.": own for name, own in encoder.encoders.items()}
    return [_reader(own, prefix, by_name) for prefix, own in encoders.items()]


def sentence_encoder(model: Model) -> TransformerEncoder | None:
    """The encoder that embeds titles before they are compared with class names; None for a model that does not."""
    if isinstance(model, StackedClassifier) and model.class_names is not None:
        return model.linear_text_model.sentences
    return None


def _reader(encoder: TextEncoder, prefix: str, by_name: bool) -> dict[str, Any]:
    if isinstance(encoder, HashedNGramEncoder):
        return {"kind": "hashed", "prefix": prefix, **_hashing(encoder.hashed)}
    if isinstance(encoder, TransformerEncoder):
        kind = "embedding" if by_name and encoder.frozen else "tokens"
        return {"kind": kind, "prefix": prefix, "longest": encoder.tokeniser.longest, "dim": encoder.dim}
    raise PredictionError(
        f"{type(encoder).__name__}: this title encoder cannot be exported; use model.text.kind=hashed, "
        "transformer or both"
    )


def _hashing(hashed: HashedNGrams) -> dict[str, Any]:
    smallest = hashed.smallest if hashed.largest else 0
    return {
        "buckets": hashed.buckets,
        "smallest": smallest,
        "largest": hashed.largest,
        "words": hashed.words,
    }


def _examples(model: Model, readers: list[dict[str, Any]], size: tuple[int, int]) -> dict[str, Tensor]:
    """Name → example, in the order of the exported model's inputs."""
    found: dict[str, Tensor] = {}
    if model.image is not None:
        found[PICTURES] = torch.zeros(TRACED_BATCH, 3, *size)
    for reader in readers:
        prefix = reader["prefix"]
        if reader["kind"] == "hashed":
            found[f"{prefix}ids"] = torch.zeros(TRACED_BATCH, TRACED_LENGTH, dtype=torch.long)
            found[f"{prefix}counts"] = torch.ones(TRACED_BATCH, TRACED_LENGTH)
        elif reader["kind"] == "present":
            found[f"{prefix}{PRESENT}"] = torch.ones(TRACED_BATCH)
        elif reader["kind"] == "category":
            found[f"{prefix}{ID}"] = torch.ones(TRACED_BATCH, dtype=torch.long)
        elif reader["kind"] == "embedding":
            found[f"{prefix}embedding"] = torch.ones(TRACED_BATCH, reader["dim"])
        else:
            found |= _token_examples(prefix)
    if isinstance(model, StackedClassifier) and model.class_names is not None:
        shape = (TRACED_BATCH, len(model.class_names.names), len(NAME_MATCH_FEATURES))
        found[f"{TITLE}{NAME_MATCH}"] = torch.zeros(shape)
    if model.image is not None and model.text_encoder is not None:
        for name in (HAS_PICTURE, HAS_TITLE):
            found[name] = torch.ones(TRACED_BATCH, dtype=torch.bool)
    return found


def _token_examples(prefix: str) -> dict[str, Tensor]:
    ones = torch.ones(TRACED_BATCH, TRACED_LENGTH, dtype=torch.long)
    return {f"{prefix}input_ids": ones, f"{prefix}attention_mask": ones.clone()}
