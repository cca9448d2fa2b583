"""Encoders of the fields beside the title: further texts, such as a description, and attributes, such as a brand."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fusionclf.batches import Column, HashedNGrams, MergedTitles, NamedTitles, TextBatch, TitleTable
from fusionclf.catalog.attributes import BINS, BUCKETS, attribute_ids, bin_edges
from fusionclf.catalog.fields import Fields
from fusionclf.catalog.titles import have_titles
from fusionclf.models.text_encoders import (
    NGRAMS,
    SENTENCE,
    HashedNGramEncoder,
    TextEncoder,
    TransformerEncoder,
    tensors_of,
)

TEXT_BUCKETS = 2**16  # of the words of a further text
ATTRIBUTE_DIM = 16
PRESENT, ID = "present", "id"
HIDDEN_SHARE = 0.2  # of the training products that have a field, for which it is hidden


def tensor_names(fields: Sequence[str]) -> dict[str, str]:
    """Field → the name of its tensors and modules, such as `field.description`.

    >>> tensor_names(["description", "Price (EUR)", "price.eur"])
    {'description': 'field_description', 'Price (EUR)': 'field_Price__EUR_', 'price.eur': 'field_price_eur'}
    """
    found: dict[str, str] = {}
    for field in fields:
        name = "field_" + re.sub(r"\W", "_", field, flags=re.ASCII)
        found[field] = name if name not in found.values() else f"{name}_{len(found)}"
    return found


class TextReader:
    """Prepares a further text: the counts of its words and word pairs, and its sentence embedding or tokens.

    Args:
        sentence: sentence encoder of the title, which is shared; None for words alone.
        longest: tokens that the sentence encoder reads.
    """

    def __init__(self, sentence: TransformerEncoder | None, longest: int = 128) -> None:
        self.words = HashedNGrams(TEXT_BUCKETS, largest=0, words=2)
        self.sentence, self.longest = sentence, longest

    def fit(self, texts: list[str]) -> None:
        """Nothing is learned."""

    def prepare(self, texts: list[str]) -> TitleTable:
        """The tensors `present` (B,), and those of `ngrams` and of `sentence`."""
        tables: dict[str, TitleTable] = {NGRAMS: self.words(texts)}
        if self.sentence is not None:
            tables[SENTENCE] = self.sentence.prepare_longer(texts, self.longest)
        return MergedTitles([Column(PRESENT, present(texts)), NamedTitles(tables)])

    def embed(self, texts: list[str]) -> np.ndarray:
        """(n, D) sentence embeddings, zeros where a text is missing; D is 0 without a sentence encoder."""
        if self.sentence is None:
            return np.zeros((len(texts), 0), np.float32)
        return self.sentence.embed(texts, self.longest) * present(texts)[:, None]


def present(texts: Sequence[str]) -> np.ndarray:
    """(n,) 1 for each text that is there, 0 for a missing one."""
    return have_titles(texts).astype(np.float32)


class AttributeReader(nn.Module):
    """Prepares an attribute: the id of its category, or of the bin of its number; 0 where it is missing."""

    edges: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("edges", torch.full((BINS,), torch.nan, dtype=torch.float64))

    def fit(self, cells: list[str]) -> None:
        """Learn from training cells whether they are numbers, and the edges of their bins."""
        edges = torch.from_numpy(bin_edges(cells))
        self.edges.fill_(torch.nan)[: len(edges)] = edges

    @property
    def known_edges(self) -> list[float]:
        """The inner edges of the bins of numbers; empty for categories."""
        return [edge for edge in self.edges.tolist() if np.isfinite(edge)]

    def ids(self, cells: list[str]) -> np.ndarray:
        """(n,) ids of n cells."""
        return attribute_ids(cells, np.array(self.known_edges))

    def prepare(self, cells: list[str]) -> TitleTable:
        """The tensor `id` (B,)."""
        return Column(ID, self.ids(cells))


class FieldReaders(nn.Module):
    """Prepares the further fields of products.

    Args:
        fields: their names.
        sentence: sentence encoder of the title, which is shared; None for words alone.
        longest: tokens of a further text that the sentence encoder reads.

    Attributes:
        names: field → the name of its tensors.
        text: field → reader of a further text.
    """

    def __init__(self, fields: Fields, sentence: TransformerEncoder | None, longest: int = 128) -> None:
        super().__init__()
        self.fields = fields
        self.names = tensor_names([*fields.text, *fields.attributes])
        self.text = {field: TextReader(sentence, longest) for field in fields.text}
        self.bins = nn.ModuleDict({self.names[field]: AttributeReader() for field in fields.attributes})

    @property
    def attributes(self) -> dict[str, AttributeReader]:
        """Field → reader of an attribute."""
        found = {field: self.bins[self.names[field]] for field in self.fields.attributes}
        return {field: reader for field, reader in found.items() if isinstance(reader, AttributeReader)}

    def fit(self, fields: pd.DataFrame) -> None:
        """Learn from the fields of training products."""
        for field, reader in self.attributes.items():
            reader.fit(fields[field].tolist())

    def prepare(self, fields: pd.DataFrame) -> TitleTable:
        """The tensors of each field, with its name before a dot."""
        readers = {**self.text, **self.attributes}
        tables = {self.names[field]: each.prepare(fields[field].tolist()) for field, each in readers.items()}
        return NamedTitles(tables)


class TitleAndFields(TextEncoder):
    """Prepares the title and further fields, without an encoding of its own.

    Args:
        title: encoder of the title.
        readers: of the further fields.
    """

    def __init__(self, title: TextEncoder, readers: FieldReaders) -> None:
        super().__init__()
        self.title, self.readers, self.dim = title, readers, title.dim
        self.prepare = title.prepare

    def fit(self, titles: list[str]) -> None:
        self.title.fit(titles)

    def fit_fields(self, fields: pd.DataFrame) -> None:
        self.title.fit_fields(fields)
        self.readers.fit(fields)

    def prepare_fields(self, fields: pd.DataFrame) -> TitleTable:
        """The title's tensors, and those of each further field."""
        return MergedTitles([self.title.prepare_fields(fields), self.readers.prepare(fields)])


class FieldsEncoder(TitleAndFields):
    """The title and further fields, each by an encoder of its own: (B, sum of their dims).

    A further text is read by the sentence encoder, or without one by its hashed words. In training, each further field
    is hidden for a share of the products, so that none of them is needed.

    Args:
        title: encoder of the title.
        readers: of the further fields.
        words_dim: width of the embedding of a text's words, where there is no sentence encoder.
    """

    def __init__(self, title: TextEncoder, readers: FieldReaders, words_dim: int = 64) -> None:
        super().__init__(title, readers)
        self.words = nn.ModuleDict()
        for field, reader in readers.text.items():
            if reader.sentence is None:
                self.words[readers.names[field]] = HashedNGramEncoder(TEXT_BUCKETS, words_dim, largest=0)
            self.dim += words_dim if reader.sentence is None else reader.sentence.dim
        self.categories = nn.ModuleDict()
        for field in readers.attributes:
            self.categories[readers.names[field]] = nn.Embedding(BUCKETS, ATTRIBUTE_DIM, padding_idx=0)
            self.dim += ATTRIBUTE_DIM

    def fit_fields(self, fields: pd.DataFrame) -> None:
        super().fit_fields(fields)
        for field, reader in self.readers.text.items():
            if reader.sentence is None:
                self._words_of(self.readers.names[field]).fit(fields[field].tolist())

    def forward(self, titles: TextBatch) -> Tensor:
        found = [self.title(titles)]
        for field, reader in self.readers.text.items():
            name = self.readers.names[field]
            found.append(self._hidden(self._text(reader, name, tensors_of(titles, name))))
        for name, table in self.categories.items():
            found.append(self._hidden(table(tensors_of(titles, name)[ID])))
        return torch.cat(found, dim=-1)  # (B, dim)

    def _words_of(self, name: str) -> HashedNGramEncoder:
        encoder = self.words[name]
        assert isinstance(encoder, HashedNGramEncoder)
        return encoder

    def _text(self, reader: TextReader, name: str, tensors: TextBatch) -> Tensor:
        """(B, D) features of a further text, zeros where it is missing."""
        if reader.sentence is None:
            return self._words_of(name)(tensors_of(tensors, NGRAMS))
        return reader.sentence(tensors_of(tensors, SENTENCE)) * tensors[PRESENT][:, None]

    def _hidden(self, features: Tensor) -> Tensor:
        """In training, zeros for a share of the products."""
        if not self.training:
            return features
        return features * (torch.rand(len(features), 1, device=features.device) >= HIDDEN_SHARE)
