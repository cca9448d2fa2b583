"""Picture and title encoders: what a picture or a title becomes before it is joined or classified."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.batches import (
    HashedNGrams,
    TextBatch,
    TextPreparer,
    TitleTable,
    Tokeniser,
    joined_lengths,
)
from fusionclf.models.layers.depthwise_conv import speed_up_depthwise

TOKENS_AT_ONCE = {"cpu": 1024, "cuda": 16_384}  # what a processor's cache holds well, or fills a GPU


class PretrainedEncoder(nn.Module):
    """An encoder around a network that may be frozen: for good, up to a layer, or for some epochs.

    What is frozen keeps its weights and its batch statistics.

    Args:
        network: the network.
        layers: its parts in the order in which data passes, for freezing and layer-wise learning rates.
        frozen: keep the whole network as it is.
        frozen_layers: how many of `layers` to keep as they are.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[nn.Module] = (),
        frozen: bool = False,
        frozen_layers: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.frozen = frozen
        self.layers = tuple(layers)  # a tuple, so that they are not registered twice
        self._kept = [network] if frozen else list(layers[:frozen_layers])
        for module in self._kept:
            module.requires_grad_(False)
        self._trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._frozen_now = False

    def freeze(self, frozen: bool) -> None:
        """Freeze the whole network for now, or thaw what is not frozen for good."""
        self._frozen_now = frozen
        for parameter in self._trained:
            parameter.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "PretrainedEncoder":
        """What is frozen stays in evaluation mode."""
        super().train(mode)
        for module in [self.network] if self._frozen_now else self._kept:
            module.eval()
        return self


def pretrained_encoders(model: nn.Module) -> list[PretrainedEncoder]:
    """All of a model's encoders that hold a network."""
    return [module for module in model.modules() if isinstance(module, PretrainedEncoder)]


class ImageEncoder(PretrainedEncoder):
    """A convolutional network without its last layer: (B, 3, H, W) → (B, dim).

    Args:
        network: the network; gives (B, dim) features.
        dim: width of the features.
        layers, frozen, frozen_layers: see PretrainedEncoder.
        normalise: give features mean 0 and variance 1 over their own values, as layer normalisation without weights.

    Attributes:
        is_folded: whether batch normalisations have become part of convolutions, for inference (see folding.py).
    """

    is_folded: bool = False

    def __init__(
        self,
        network: nn.Module,
        dim: int,
        layers: Sequence[nn.Module] = (),
        frozen: bool = False,
        frozen_layers: int = 0,
        normalise: bool = False,
    ) -> None:
        speed_up_depthwise(network)
        super().__init__(network, layers, frozen, frozen_layers)
        self.dim = dim
        self.normalise = normalise

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, dim) features of pictures, or of what the network gave for them before, (B, dim)."""
        features = pictures if pictures.ndim == 2 else self.network(pictures)
        return F.layer_norm(features, (self.dim,)) if self.normalise else features


class TextEncoder(nn.Module):
    """What every title encoder has: `dim`, and `prepare`, which turns titles into its input."""

    dim: int
    prepare: TextPreparer

    def fit(self, titles: list[str]) -> None:
        """Learn from training titles what is no parameter, such as word frequencies."""


class HashedNGramEncoder(TextEncoder):
    """The TF-IDF-weighted mean of hashed n-gram embeddings: (B, dim).

    Args:
        buckets: rows of the embedding table.
        dim: width of the embedding.
        smallest, largest: lengths of the character n-grams.
        words: longest word n-gram; 0 for none.
    """

    inverse_frequency: Tensor

    def __init__(
        self, buckets: int = 2**18, dim: int = 256, smallest: int = 2, largest: int = 5, words: int = 2
    ) -> None:
        super().__init__()
        self.dim = dim
        self.hashed = HashedNGrams(buckets, smallest, largest, words)
        self.prepare = self.hashed
        self.table = nn.EmbeddingBag(buckets, dim, mode="sum")
        nn.init.normal_(self.table.weight, std=dim**-0.5)
        self.register_buffer("inverse_frequency", torch.ones(buckets))

    def fit(self, titles: list[str]) -> None:
        """Inverse document frequencies, smoothed as scikit-learn's TfidfTransformer does; unseen n-grams get 0."""
        self.fit_counts(self.hashed(titles).counts)

    def fit_counts(self, counts: sparse.csr_matrix) -> None:
        """As `fit`, where the titles' n-grams, (n, buckets), are counted already."""
        seen = np.bincount(counts.indices, minlength=len(self.inverse_frequency))
        (rows, _) = counts.shape  # pyright: ignore[reportGeneralTypeIssues]
        frequency = np.log((1 + rows) / (1 + seen)) + 1
        self.inverse_frequency.copy_(torch.from_numpy(np.where(seen > 0, frequency, 0.0)))

    def forward(self, titles: TextBatch) -> Tensor:
        """(B, dim) of n-grams in a row, as HashedTitles.batch gives them, or of HashedTitles.padded."""
        if titles["ids"].ndim == 2:
            return self._of_padded(titles["ids"], titles["counts"])
        ids, offsets = titles["ids"], titles["offsets"]
        weights = (1 + titles["counts"].log()) * self.inverse_frequency[ids]  # (nnz,)
        counts = F.pad(offsets[1:], (0, 1), value=len(ids)) - offsets  # (B,)
        places = torch.arange(len(offsets), device=ids.device)
        # Without output_size a GPU is waited for.
        title = torch.repeat_interleave(places, counts, output_size=len(ids))
        norms = torch.zeros(len(offsets), device=ids.device).index_add_(0, title, weights.square()).sqrt()
        weights = weights / norms.clamp_min(1e-6)[title]
        return self.table(ids, offsets, per_sample_weights=weights.to(self.table.weight.dtype))  # (B, dim)

    def _of_padded(self, ids: Tensor, counts: Tensor) -> Tensor:
        """The same in operations that ONNX has: ids (B, L) and counts (B, L), 0 where a title has no more n-grams."""
        weights = (1 + counts.clamp_min(1).log()) * self.inverse_frequency[ids] * (counts > 0)  # (B, L)
        norms = weights.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-6)
        rows = F.embedding(ids, self.table.weight)  # (B, L, dim)
        return ((weights / norms).to(rows.dtype)[:, None] @ rows).squeeze(1)  # (B, dim)


class TransformerEncoder(PretrainedEncoder, TextEncoder):
    """A transformers encoder with mean pooling: (B, dim).

    Args:
        network: a model whose output has `last_hidden_state` (B, T, dim).
        tokenizer: its tokenizer.
        longest: tokens kept of a title.
        frozen: keep the network's weights; titles are then embedded when they are prepared, once for all epochs.

    Attributes:
        embedder: takes the place of `compute`, to remember embeddings or to share the work with other processes.
    """

    def __init__(self, network: Any, tokenizer: Any, longest: int = 64, frozen: bool = False) -> None:
        super().__init__(network, _transformer_layers(network), frozen)
        self.dim = int(network.config.hidden_size)
        self.tokeniser = Tokeniser(tokenizer, longest)
        self.prepare = self._embedded if frozen else self.tokeniser
        self.embedder: Callable[[list[str]], np.ndarray] | None = None

    def forward(self, titles: TextBatch) -> Tensor:
        if "embedding" in titles:
            return titles["embedding"]
        hidden = self.network(**titles).last_hidden_state  # (B, T, dim)
        mask = titles["attention_mask"].unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
        return F.normalize((hidden * mask).sum(1) / mask.sum(1).clamp_min(1), dim=-1)  # (B, dim)

    def embed(self, titles: list[str]) -> np.ndarray:
        """(n, dim) embeddings of length 1, by `embedder` where there is one."""
        return self.compute(titles) if self.embedder is None else self.embedder(titles)

    def save_configuration(self, folder: Path) -> None:
        """Write what it takes to build the encoder again, but for its weights."""
        network: Any = self.network
        network.config.save_pretrained(folder)
        self.tokeniser.save(folder)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @torch.no_grad()
    def compute(self, titles: list[str]) -> np.ndarray:
        """(n, dim) embeddings, computed here and now."""
        table = self.tokeniser(titles)
        found = np.zeros((len(titles), self.dim), np.float32)
        for rows in _of_like_length(table.lengths(), TOKENS_AT_ONCE.get(self.device.type, 1024)):
            batch = {name: tensor.to(self.device) for name, tensor in table.batch(rows).items()}
            found[rows] = self(batch).float().cpu().numpy()
        return found

    def _embedded(self, titles: list[str]) -> "EmbeddedTitles":
        return EmbeddedTitles(self.embed(titles))


def _of_like_length(lengths: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """All places, short titles first, in batches of up to so many tokens with their padding."""
    order = np.argsort(lengths, kind="stable")  # like lengths waste no padding
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > tokens:
            yield order[start:end]
            start = end


def _transformer_layers(network: Any) -> list[nn.Module]:
    """Embeddings, then the layers, of BERT and its kin; others have none that are known here."""
    embeddings, stack = getattr(network, "embeddings", None), getattr(network, "encoder", None)
    if embeddings is None or stack is None:
        return []
    return [embeddings, *getattr(stack, "layer", ())]


@dataclass(frozen=True)
class EmbeddedTitles:
    """Titles as embeddings of a frozen encoder, (n, D)."""

    embeddings: np.ndarray

    def batch(self, rows: np.ndarray) -> TextBatch:
        """embedding (B, D)."""
        return {"embedding": torch.from_numpy(np.asarray(self.embeddings[rows]))}

    def lengths(self) -> None:
        return None


class JoinedTextEncoder(TextEncoder):
    """Several title encoders side by side: (B, sum of their dims)."""

    def __init__(self, encoders: Sequence[TextEncoder]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.dim = sum(encoder.dim for encoder in encoders)
        self.prepare = _JoinedPreparer([encoder.prepare for encoder in encoders])

    def fit(self, titles: list[str]) -> None:
        for encoder in self.encoders:
            assert isinstance(encoder, TextEncoder)
            encoder.fit(titles)

    def forward(self, titles: TextBatch) -> Tensor:
        parts = [encoder(part_of_titles(titles, number)) for number, encoder in enumerate(self.encoders)]
        return torch.cat(parts, dim=-1)  # (B, dim)


def part_of_titles(titles: TextBatch, number: int) -> TextBatch:
    """What a JoinedTextEncoder prepared for one of its encoders."""
    prefix = f"{number}."
    return {name.removeprefix(prefix): t for name, t in titles.items() if name.startswith(prefix)}


class _JoinedPreparer:
    def __init__(self, preparers: Sequence[TextPreparer]) -> None:
        self.preparers = preparers

    def __call__(self, titles: list[str]) -> "_JoinedTitles":
        return _JoinedTitles([prepare(titles) for prepare in self.preparers])


class _JoinedTitles:
    def __init__(self, tables: Sequence[TitleTable]) -> None:
        self.tables = tables

    def lengths(self) -> np.ndarray | None:
        return joined_lengths(self.tables)

    def batch(self, rows: np.ndarray) -> TextBatch:
        return {
            f"{n}.{name}": t for n, table in enumerate(self.tables) for name, t in table.batch(rows).items()
        }
