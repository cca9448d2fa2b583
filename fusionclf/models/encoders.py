"""Picture and title encoders: what a picture or a title becomes before it is joined or classified."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.batches import HashedNGrams, TextBatch, TextPreparer, Tokeniser
from fusionclf.models.depthwise import speed_up_depthwise


class ImageEncoder(nn.Module):
    """A convolutional network without its last layer: (B, 3, H, W) → (B, dim).

    Args:
        network: the network; gives (B, dim) features.
        dim: width of the features.
        stages: the network's parts in the order in which data passes, for freezing from the front.
        frozen_stages: how many of `stages` keep their weights and batch statistics.
    """

    def __init__(
        self, network: nn.Module, dim: int, stages: Sequence[nn.Module] = (), frozen_stages: int = 0
    ) -> None:
        super().__init__()
        speed_up_depthwise(network)
        self.network = network
        self.dim = dim
        self._frozen = list(stages[:frozen_stages])
        for module in self._frozen:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> "ImageEncoder":
        """Frozen stages stay in evaluation mode: their batch statistics are frozen too."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, pictures: Tensor) -> Tensor:
        return self.network(pictures)  # (B, dim)


class TextEncoder(nn.Module):
    """What every title encoder has: `dim`, and `prepare`, which turns titles into its input."""

    dim: int
    prepare: TextPreparer

    def fit(self, titles: list[str]) -> None:
        """Learn from training titles what is no parameter, such as word frequencies."""

    def forward(self, titles: TextBatch) -> Tensor:
        raise NotImplementedError(type(self).__name__)


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
        counts = self.hashed(titles).counts
        seen = np.bincount(counts.indices, minlength=len(self.inverse_frequency))
        frequency = np.log((1 + len(titles)) / (1 + seen)) + 1
        self.inverse_frequency.copy_(torch.from_numpy(np.where(seen > 0, frequency, 0.0)))

    def forward(self, titles: TextBatch) -> Tensor:
        ids, offsets = titles["ids"], titles["offsets"]
        weights = (1 + titles["counts"].log()) * self.inverse_frequency[ids]  # (nnz,)
        ends = torch.cat([offsets[1:], offsets.new_tensor([len(ids)])])
        title = torch.repeat_interleave(torch.arange(len(offsets), device=ids.device), ends - offsets)
        norms = torch.zeros(len(offsets), device=ids.device).index_add_(0, title, weights.square()).sqrt()
        weights = weights / norms.clamp_min(1e-6)[title]
        return self.table(ids, offsets, per_sample_weights=weights.to(self.table.weight.dtype))  # (B, dim)


class TransformerEncoder(TextEncoder):
    """A transformers encoder with mean pooling: (B, dim).

    Args:
        network: a model whose output has `last_hidden_state` (B, T, dim).
        tokenizer: its tokenizer.
        longest: tokens kept of a title.
        frozen: keep the network's weights.
    """

    def __init__(self, network: Any, tokenizer: Any, longest: int = 64, frozen: bool = False) -> None:
        super().__init__()
        self.network = network
        self.dim = int(network.config.hidden_size)
        self.prepare = Tokeniser(tokenizer, longest)
        self.frozen = frozen
        if frozen:
            network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "TransformerEncoder":
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self

    def forward(self, titles: TextBatch) -> Tensor:
        hidden = self.network(**titles).last_hidden_state  # (B, T, dim)
        mask = titles["attention_mask"].unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
        return F.normalize((hidden * mask).sum(1) / mask.sum(1).clamp_min(1), dim=-1)  # (B, dim)


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
        parts = []
        for number, encoder in enumerate(self.encoders):
            prefix = f"{number}."
            own = {name.removeprefix(prefix): t for name, t in titles.items() if name.startswith(prefix)}
            parts.append(encoder(own))
        return torch.cat(parts, dim=-1)  # (B, dim)


class _JoinedPreparer:
    def __init__(self, preparers: Sequence[TextPreparer]) -> None:
        self.preparers = preparers

    def __call__(self, titles: list[str]) -> "_JoinedTitles":
        return _JoinedTitles([prepare(titles) for prepare in self.preparers])


class _JoinedTitles:
    def __init__(self, tables: Sequence[Any]) -> None:
        self.tables = tables

    def batch(self, rows: np.ndarray) -> TextBatch:
        return {
            f"{n}.{name}": t for n, table in enumerate(self.tables) for name, t in table.batch(rows).items()
        }
