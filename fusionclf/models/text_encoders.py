"""Text encoders: prepared titles → (B, dim)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.batches import (
    Column,
    HashedNGrams,
    NamedTitles,
    TextBatch,
    TextPreparer,
    TitleTable,
    Tokeniser,
    fingerprint,
)
from fusionclf.batches.disk import large_zeros
from fusionclf.batches.kept_texts import KeptTexts
from fusionclf.batches.text import ONE_AT_A_TIME
from fusionclf.catalog.fields import TITLE
from fusionclf.memory import release_pages
from fusionclf.models.architectures import text_architecture, transformer_layers
from fusionclf.models.encoders import PretrainedEncoder

if TYPE_CHECKING:
    from scipy import sparse

TOKENS_AT_ONCE = {"cpu": 1024, "cuda": 16_384}  # what a processor's cache holds well, or fills a GPU
SORTED_TOGETHER = 2**16  # texts whose tokens are in memory, and that are sorted by length
NGRAMS, SENTENCE = "ngrams", "sentence"  # names of the encoders that a title is read by


class TextEncoder(nn.Module):
    """What every title encoder has: `dim`, and `prepare`, which turns titles into its input."""

    dim: int
    prepare: TextPreparer

    def fit(self, titles: list[str]) -> None:
        """Learn from training titles what is no parameter, such as word frequencies."""

    def prepare_fields(self, fields: pd.DataFrame) -> TitleTable:
        """The fields of n products as tensors; this encoder reads their titles alone."""
        return self.prepare(fields[TITLE].tolist())

    def fit_fields(self, fields: pd.DataFrame) -> None:
        """As `fit`, from the fields of training products."""
        self.fit(fields[TITLE].tolist())


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
        """Learn the inverse document frequencies."""
        self.inverse_frequency.copy_(inverse_frequencies(self.hashed(titles).counts))

    def forward(self, titles: TextBatch) -> Tensor:
        """(B, dim) of n-grams in a row, as HashedTitles.batch gives them, or of HashedTitles.padded."""
        return tfidf_sum(titles, self.inverse_frequency, self.table.weight)


def inverse_frequencies(counts: "sparse.csr_matrix") -> Tensor:
    """(buckets,) smoothed inverse document frequencies of n-gram counts (n, buckets); 0 for n-grams that do not occur.

    Source: scikit-learn's TfidfTransformer, `smooth_idf`.
    """
    (rows, buckets) = counts.shape  # pyright: ignore[reportGeneralTypeIssues]
    seen = np.bincount(counts.indices, minlength=buckets)
    frequency = np.log((1 + rows) / (1 + seen)) + 1
    return torch.from_numpy(np.where(seen > 0, frequency, 0.0)).float()


def tfidf_sum(titles: TextBatch, inverse_frequency: Tensor, table: Tensor) -> Tensor:
    """(B, dim) the sum of each title's n-gram embeddings, weighted by TF-IDF of length 1.

    Args:
        titles: ids, counts and offsets of HashedTitles.batch, or ids and counts, (B, L), of HashedTitles.padded.
        inverse_frequency: (buckets,).
        table: (buckets, dim) embeddings.
    """
    if titles["ids"].ndim == 2:
        return _padded_tfidf_sum(titles["ids"], titles["counts"], inverse_frequency, table)
    ids, offsets = titles["ids"], titles["offsets"]
    weights = (1 + titles["counts"].log()) * inverse_frequency[ids]  # (nnz,)
    counts = F.pad(offsets[1:], (0, 1), value=len(ids)) - offsets  # (B,)
    places = torch.arange(len(offsets), device=ids.device)
    # Without output_size a GPU is waited for.
    title = torch.repeat_interleave(places, counts, output_size=len(ids))
    norms = torch.zeros(len(offsets), device=ids.device).index_add_(0, title, weights.square()).sqrt()
    weights = (weights / norms.clamp_min(1e-6)[title]).to(table.dtype)
    return F.embedding_bag(ids, table, offsets, mode="sum", per_sample_weights=weights)  # (B, dim)


def _padded_tfidf_sum(ids: Tensor, counts: Tensor, inverse_frequency: Tensor, table: Tensor) -> Tensor:
    """The same in operations that ONNX has: ids (B, L) and counts (B, L), 0 where a title has no more n-grams."""
    weights = (1 + counts.clamp_min(1).log()) * inverse_frequency[ids] * (counts > 0)  # (B, L)
    norms = weights.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-6)
    rows = F.embedding(ids, table)  # (B, L, dim)
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
        super().__init__(network, transformer_layers(network), frozen)
        self.dim = int(network.config.hidden_size)
        self.tokeniser = Tokeniser(tokenizer, longest)
        self.prepare = self._embedded if frozen else self.tokeniser
        self.embedder: Callable[[list[str], int | None], np.ndarray] | None = None

    def forward(self, titles: TextBatch) -> Tensor:
        if "embedding" in titles:
            return titles["embedding"]
        ids, mask = titles["input_ids"], titles["attention_mask"]
        return (self.graph_now or self.pooled)(ids, mask)

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, dim) what the network gives for tokens, (B, T) both."""
        network: Any = self.network
        hidden = network(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (B, T, dim)
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
        return F.normalize((hidden * mask).sum(1) / mask.sum(1).clamp_min(1), dim=-1)  # (B, dim)

    def embed(self, titles: list[str], longest: int | None = None) -> np.ndarray:
        """(n, dim) embeddings of length 1, by `embedder` where there is one; of `longest` tokens of each text."""
        return (self.embedder or self.compute)(titles, longest)

    def save_configuration(self, folder: Path) -> None:
        """Write what it takes to build the encoder again, but for its weights."""
        network: Any = self.network
        network.config.save_pretrained(folder)
        self.tokeniser.save(folder)

    def embedding_key(self, mixed_precision: str) -> str:
        """A hash of what an embedding depends on besides its text and how many tokens of it are read."""
        with ONE_AT_A_TIME:
            vocabulary = self.tokeniser.vocabulary_key()
        architecture = text_architecture(self.network)
        return fingerprint(self.network.state_dict(), architecture, mixed_precision, vocabulary)

    def open_kept(self, mixed_precision: str) -> KeptTexts:
        """The embeddings of its present weights that are kept on disk."""
        return KeptTexts(f"{self.embedding_key(mixed_precision)}-{self.tokeniser.longest}")

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @torch.no_grad()
    def compute(
        self,
        titles: list[str],
        longest: int | None = None,
        progress: Callable[[int, int], None] = lambda done, count: None,
    ) -> np.ndarray:
        """(n, dim) embeddings, computed here and now, of equal texts once; `progress` is called after each batch."""
        numbers: dict[str, int] = {}
        places = [numbers.setdefault(title, len(numbers)) for title in titles]
        texts, found = list(numbers), large_zeros((len(numbers), self.dim))
        for start in range(0, len(texts), SORTED_TOGETHER):
            chunk = slice(start, start + SORTED_TOGETHER)
            for done in self._embed_into(found[chunk], texts[chunk], longest):
                progress(start + done, len(texts))
            if len(texts) > SORTED_TOGETHER:
                release_pages()  # of `found`
        return found if len(numbers) == len(titles) else _rows(found, places)

    def _embed_into(self, found: np.ndarray, texts: list[str], longest: int | None) -> Iterator[int]:
        """Write the embeddings of n texts, (n, dim); yields how many are written, after each batch."""
        done = 0
        table = self.tokeniser(texts, longest)
        for rows in _of_like_length(table.lengths(), TOKENS_AT_ONCE.get(self.device.type, 1024)):
            batch = {name: tensor.to(self.device) for name, tensor in table.batch(rows).items()}
            found[rows] = self(batch).float().cpu().numpy()
            done += len(rows)
            yield done

    def prepare_longer(self, texts: list[str], longest: int) -> TitleTable:
        """As `prepare`, with up to `longest` tokens of each text."""
        if self.frozen:
            return Column("embedding", self.embed(texts, longest))
        return self.tokeniser(texts, longest)

    def _embedded(self, titles: list[str]) -> TitleTable:
        return Column("embedding", self.embed(titles))


def _rows(array: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """The rows (n, …) of an array at n places, in an array of `large_zeros`."""
    found = large_zeros((len(places), *array.shape[1:]), array.dtype)
    for start in range(0, len(places), SORTED_TOGETHER):
        chunk = slice(start, start + SORTED_TOGETHER)
        found[chunk] = array[places[chunk]]
        if len(places) > SORTED_TOGETHER:
            release_pages()
    return found


def _of_like_length(lengths: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """All places, short titles first, in batches of up to so many tokens with their padding."""
    order = np.argsort(lengths, kind="stable")  # like lengths waste no padding
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > tokens:
            yield order[start:end]
            start = end


class JoinedTextEncoder(TextEncoder):
    """Several text encoders side by side: (B, sum of their dims).

    Args:
        encoders: name → encoder. The tensors of a prepared title carry the name before a dot: `sentence.embedding`.
    """

    def __init__(self, encoders: Mapping[str, TextEncoder]) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(dict(encoders))
        self.dim = sum(encoder.dim for encoder in encoders.values())
        self.prepare = _JoinedPreparer({name: encoder.prepare for name, encoder in encoders.items()})

    def fit(self, titles: list[str]) -> None:
        for encoder in self.encoders.values():
            assert isinstance(encoder, TextEncoder)
            encoder.fit(titles)

    def forward(self, titles: TextBatch) -> Tensor:
        features = [encoder(tensors_of(titles, name)) for name, encoder in self.encoders.items()]
        return torch.cat(features, dim=-1)  # (B, dim)


def ngrams_and_sentence(ngrams: TextEncoder, sentence: TextEncoder) -> JoinedTextEncoder:
    """Hashed n-grams and a sentence encoder side by side."""
    return JoinedTextEncoder({NGRAMS: ngrams, SENTENCE: sentence})


def sentence_encoder(encoder: TextEncoder) -> TransformerEncoder | None:
    """The sentence encoder of a title encoder; None where it reads n-grams alone."""
    if isinstance(encoder, JoinedTextEncoder):
        found = encoder.encoders[SENTENCE] if SENTENCE in encoder.encoders else None
        return found if isinstance(found, TransformerEncoder) else None
    return encoder if isinstance(encoder, TransformerEncoder) else None


def tensors_of(titles: TextBatch, name: str) -> TextBatch:
    """The tensors that a JoinedTextEncoder prepared for one of its encoders, without its name before them."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): t for key, t in titles.items() if key.startswith(prefix)}


@dataclass(frozen=True)
class _JoinedPreparer:
    preparers: Mapping[str, TextPreparer]

    def __call__(self, titles: list[str]) -> NamedTitles:
        return NamedTitles({name: prepare(titles) for name, prepare in self.preparers.items()})
