"""The tensor part of a model, for export: prepared tensors → probabilities, without Python's own decisions.

What a title becomes before it is a tensor, and how a picture is cut, stays outside: `exported` does that again from
the description that goes with an export.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fusionclf.batches import Batch, HashedNGrams
from fusionclf.errors import PredictionError
from fusionclf.models import ProductClassifier
from fusionclf.models.text_encoders import (
    HashedNGramEncoder,
    JoinedTextEncoder,
    TextEncoder,
    TransformerEncoder,
)
from fusionclf.models.open_vocabulary.meta_classifier import AT_HAND, scorer_inputs
from fusionclf.models.open_vocabulary.name_match_features import FIGURES
from fusionclf.models.open_vocabulary.stacked_head import Vocabulary

PICTURES, HAS_PICTURE, HAS_TITLE, PAIRS = "pictures", "has_picture", "has_title", "title_pairs"
TITLE = "title_"
TRACED_BATCH, TRACED_LENGTH = 2, 7  # any sizes but 0 and 1, which tracing takes for constants


class TensorModel(nn.Module):
    """Probabilities of each task, (B, K), from tensors in the order of `inputs`.

    Args:
        model: the trained model, on the CPU; it is changed, and no longer fit for other use.
        temperature: divides the label's logits before the softmax.
        size: height and width of the pictures, in pixels.

    Attributes:
        readers: how titles become tensors, one description for each encoder of the title.
        inputs: name → example of the right type and number of dimensions.
        tasks: what the outputs are of, in their order; `label` is the first.
    """

    def __init__(self, model: ProductClassifier, temperature: float, size: tuple[int, int]) -> None:
        super().__init__()
        self.model = model.float().eval()
        self.temperature = temperature
        self.readers = title_readers(model)
        self.inputs = _examples(model, self.readers, size)
        self._title_keys = {name: _key(name) for name in self.inputs if name.startswith(TITLE)}
        self.tasks = ["label", *(task for task in model.heads if task != "label")]
        if model.vocabulary is not None:
            model.vocabulary = _EveryKind(model.vocabulary)  # pyright: ignore[reportAttributeAccessIssue]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """(B, K) for each of `tasks`."""
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
        )
        logits = self.model(batch)
        scaled = [logits["label"] / self.temperature, *(logits[task] for task in self.tasks[1:])]
        return tuple(values.float().softmax(dim=1) for values in scaled)


class SentenceModel(nn.Module):
    """Sentence embeddings (B, D) from tokens: what titles and runs of their words are compared with names by."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        super().__init__()
        self.encoder = encoder.float().eval()
        self.inputs = _token_examples("")

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return (self.encoder(dict(zip(self.inputs, tensors, strict=True))),)


class _EveryKind(nn.Module):
    """A vocabulary that scores every product in all three ways and then picks: no way depends on the data."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary, self.hears_head = vocabulary, vocabulary.hears_head

    def forward(
        self,
        features: Tensor,
        expert: Tensor,
        pairs: Tensor,
        embedding: Tensor,
        has_picture: Tensor,
        has_title: Tensor,
        reads_titles: bool = False,
        title_network: Tensor | None = None,
        head: Tensor | None = None,
    ) -> Tensor:
        """As Vocabulary.forward."""
        known = self.vocabulary
        pairs, network = known.figures(pairs), known.probe(features) if head is None else head.float()
        similar = known.similar(features, embedding)
        logits = {}
        for at_hand in AT_HAND:
            said = None if at_hand == "title" and not reads_titles else network
            inputs = scorer_inputs(
                at_hand, said, expert, pairs, similar, known.seen, known.examples, title_network
            )
            logits[at_hand] = known.scorers[at_hand](inputs)
        with_picture = torch.where(has_title[:, None], logits["both"], logits["picture"])
        chosen = torch.where(has_picture[:, None], with_picture, logits["title"])
        return known.answered(chosen, known.seen)


def title_readers(model: ProductClassifier) -> list[dict[str, Any]]:
    """How a model's titles become tensors: one entry for each encoder, with the prefix of its inputs.

    Raises:
        PredictionError: an encoder is of a kind that cannot be exported.
    """
    encoder = model.title_encoder
    if encoder is None:
        return []
    parts: Sequence[Any] = [encoder]
    prefixes = [TITLE]
    if isinstance(encoder, JoinedTextEncoder):
        parts = list(encoder.encoders)
        prefixes = [f"{TITLE}{number}_" for number in range(len(parts))]
    return [
        _reader(part, prefix, model.vocabulary is not None)
        for part, prefix in zip(parts, prefixes, strict=True)
    ]


def sentence_encoder(model: ProductClassifier) -> TransformerEncoder | None:
    """Who embeds titles before a vocabulary compares them with names; None for a model without one."""
    return model.wide.sentences if model.vocabulary is not None and model.wide is not None else None


def _reader(encoder: TextEncoder, prefix: str, by_name: bool) -> dict[str, Any]:
    if isinstance(encoder, HashedNGramEncoder):
        return {"kind": "hashed", "prefix": prefix, **_hashing(encoder.hashed)}
    if isinstance(encoder, TransformerEncoder):
        kind = "embedding" if by_name and encoder.frozen else "tokens"
        return {"kind": kind, "prefix": prefix, "longest": encoder.tokeniser.longest, "dim": encoder.dim}
    raise PredictionError(
        f"{type(encoder).__name__}: this title encoder has no export; those with model.text.kind=hashed, "
        "transformer and both have one"
    )


def _hashing(hashed: HashedNGrams) -> dict[str, Any]:
    smallest, largest = hashed.characters.ngram_range
    words: Any = hashed.words.analyzer if hashed.words is not None else None
    return {
        "buckets": hashed.characters.n_features,
        "smallest": smallest,
        "largest": largest,
        "words": words.largest if words is not None else 0,
    }


def _examples(
    model: ProductClassifier, readers: list[dict[str, Any]], size: tuple[int, int]
) -> dict[str, Tensor]:
    """Name → example, in the order of the exported model's inputs."""
    found: dict[str, Tensor] = {}
    if model.image is not None:
        found[PICTURES] = torch.zeros(TRACED_BATCH, 3, *size)
    for reader in readers:
        prefix = reader["prefix"]
        if reader["kind"] == "hashed":
            found[f"{prefix}ids"] = torch.zeros(TRACED_BATCH, TRACED_LENGTH, dtype=torch.long)
            found[f"{prefix}counts"] = torch.ones(TRACED_BATCH, TRACED_LENGTH)
        elif reader["kind"] == "embedding":
            found[f"{prefix}embedding"] = torch.ones(TRACED_BATCH, reader["dim"])
        else:
            found |= _token_examples(prefix)
    if model.names is not None:
        found[PAIRS] = torch.zeros(TRACED_BATCH, len(model.names.names), len(FIGURES))
    if model.image is not None and model.title_encoder is not None:
        for name in (HAS_PICTURE, HAS_TITLE):
            found[name] = torch.ones(TRACED_BATCH, dtype=torch.bool)
    return found


def _key(name: str) -> str:
    """What a model calls an input of its titles: title_0_ids is 0.ids to it."""
    return re.sub(r"^(\d+)_", r"\1.", name.removeprefix(TITLE))


def _token_examples(prefix: str) -> dict[str, Tensor]:
    ones = torch.ones(TRACED_BATCH, TRACED_LENGTH, dtype=torch.long)
    return {f"{prefix}input_ids": ones, f"{prefix}attention_mask": ones.clone()}
