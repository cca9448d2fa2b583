"""A linear model of what is written about a product → a score for each class.

It reads TF-IDF of the title's hashed n-grams and of the words of further texts, sentence embeddings of both, and
attributes. On titles of other years than it was trained on, a max-margin linear model of sparse n-grams, and of a
pretrained sentence embedding, generalises better than an embedding trained by gradient steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fusionclf.batches import HashedNGrams, HashedTitles, TextBatch
from fusionclf.batches.disk import untouched_zeros
from fusionclf.catalog.attributes import BUCKETS
from fusionclf.catalog.fields import TITLE
from fusionclf.models.field_encoders import ID, PRESENT, TEXT_BUCKETS, FieldReaders, TitleAndFields
from fusionclf.models.linear_text_inputs import LinearTextInputs
from fusionclf.models.packing import round_tensor_to_half
from fusionclf.models.text_encoders import (
    NGRAMS,
    SENTENCE,
    HashedNGramEncoder,
    TextEncoder,
    TransformerEncoder,
    inverse_frequencies,
    ngrams_and_sentence,
    tensors_of,
    tfidf_sum,
)

UNSEEN_SCORE = -2.0  # of a class without a training row: below the SVM's usual -1 for "not this one"


@dataclass(frozen=True)
class LinearTextWeights:
    """What a linear text model learned.

    Attributes:
        inverse_frequency: field → (buckets,) of the n-grams.
        ngrams: field → (buckets, K) weights.
        embeddings: field → (K, D) weights of the sentence embedding; D is 0 without a sentence encoder.
        ids: attribute → (BUCKETS, K) weights.
        bias: (K,).
    """

    inverse_frequency: Mapping[str, Tensor]
    ngrams: Mapping[str, Tensor]
    embeddings: Mapping[str, Tensor]
    ids: Mapping[str, Tensor]
    bias: Tensor

    @torch.no_grad()
    def scores(self, inputs: LinearTextInputs) -> Tensor:
        """(n, K) scores of n products, by the fields that are given."""
        scores = self.bias.expand(len(inputs), -1)
        for field, counts in inputs.ngrams.items():
            titles = HashedTitles.of(counts).batch(np.arange(len(inputs)))
            scores = tfidf_sum(titles, self.inverse_frequency[field], self.ngrams[field]) + scores
        for field, values in inputs.embeddings.items():
            if values.shape[1]:
                own = torch.tensor(values)  # a copy: kept embeddings are read-only
                scores = scores + nn.functional.linear(own.to(self.bias), self.embeddings[field])
        for field, ids in inputs.ids.items():
            scores = scores + nn.functional.embedding(torch.from_numpy(ids), self.ids[field])
        return scores


def fit_linear_text_model(
    inputs: LinearTextInputs, targets: np.ndarray, classes: int, seed: int = 0
) -> LinearTextWeights:
    """All weights at once, by a linear SVM of one class against the others; of half precision, as a run stores them.

    Args:
        inputs: of n training products.
        targets: (n,) class numbers.
        classes: K; those without a training row get UNSEEN_SCORE.
        seed: of the solver.
    """
    from scipy import sparse

    from fusionclf.linear_svm import SVMSettings, fit_linear_svm

    blocks = inputs.sparse_features()
    widths = {key: int(block.shape[1]) for key, block in blocks.items()}  # pyright: ignore[reportOptionalSubscript]
    features = sparse.csr_matrix(sparse.hstack(list(blocks.values())))
    del blocks
    widths |= {("embeddings", field): values.shape[1] for field, values in inputs.embeddings.items()}
    embeddings = [values for values in inputs.embeddings.values() if values.shape[1]]
    dense = np.hstack(embeddings) if len(embeddings) > 1 else embeddings[0] if embeddings else None
    settings = SVMSettings(seed=seed, threads=torch.get_num_threads())
    svm = fit_linear_svm(features, targets, settings, dense=dense, every=np.arange(classes))
    seen = torch.from_numpy(np.bincount(targets, minlength=classes) > 0)
    all_bias = torch.from_numpy(svm.bias).masked_fill(~seen, UNSEEN_SCORE)
    found: dict[str, dict[str, Tensor]] = {"ngrams": {}, "embeddings": {}, "ids": {}}
    start = 0
    for (kind, field), width in widths.items():
        own = torch.from_numpy(svm.weights.T[start : start + width])  # (width, K)
        round_tensor_to_half(own)
        found[kind][field] = own.T.contiguous() if kind == "embeddings" else own
        start += width
    frequencies = {field: inverse_frequencies(counts) for field, counts in inputs.ngrams.items()}
    return LinearTextWeights(frequencies, found["ngrams"], found["embeddings"], found["ids"], all_bias)


class LinearTextModel(nn.Module):
    """Scores of K classes from what is written about a product, (B, K).

    Args:
        buckets: size of the hash; that of the text encoder whose prepared titles are shared, where there is one.
        classes: K.
        words: longest word n-gram, as in that encoder.
        sentences: pretrained sentence encoder, which is not trained; None for n-grams alone.
        shared: the sentence encoder and the readers are part of the base model, so they are not saved here too.
        readers: of further fields; None for the title alone.

    Attributes:
        added: number of further classes without weights; their scores, UNSEEN_SCORE, come last.
    """

    added = 0

    def __init__(
        self,
        buckets: int,
        classes: int,
        words: int = 2,
        sentences: TransformerEncoder | None = None,
        shared: bool = False,
        readers: FieldReaders | None = None,
    ) -> None:
        super().__init__()
        self.ngrams = _zero_table(HashedNGramEncoder(buckets, classes, words=words))
        self.bias = nn.Parameter(torch.zeros(classes))
        self._shared = (sentences, readers)  # a tuple, so that shared ones are not registered twice
        self.own_sentences = None if shared else sentences
        self.own_readers = None if shared else readers
        self.sentence = nn.Linear(sentences.dim, classes, bias=False) if sentences is not None else None
        self.further_ngrams, self.further_sentences = nn.ModuleDict(), nn.ModuleDict()
        self.further_ids = nn.ModuleDict()
        if readers is not None:
            self._add_fields(readers, classes)
        self.requires_grad_(False)

    def _add_fields(self, readers: FieldReaders, classes: int) -> None:
        for field in readers.text:
            name = readers.names[field]
            self.further_ngrams[name] = _zero_table(HashedNGramEncoder(TEXT_BUCKETS, classes, largest=0))
            if self.sentences is not None:
                self.further_sentences[name] = nn.Linear(self.sentences.dim, classes, bias=False)
        for field in readers.fields.attributes:
            self.further_ids[readers.names[field]] = nn.Embedding(BUCKETS, classes, padding_idx=0)

    @property
    def sentences(self) -> TransformerEncoder | None:
        """The sentence encoder, own or shared."""
        return self._shared[0]

    @property
    def readers(self) -> FieldReaders | None:
        """The readers of further fields, own or shared."""
        return self._shared[1]

    @property
    def hashed(self) -> HashedNGrams:
        """Counts the n-grams of titles."""
        return self.ngrams.hashed

    @property
    def text_encoder(self) -> TextEncoder:
        """The encoder whose `prepare_fields` gives what `forward` takes."""
        title: TextEncoder = self.ngrams
        if self.sentences is not None:
            title = ngrams_and_sentence(self.ngrams, self.sentences)
        return title if self.readers is None else TitleAndFields(title, self.readers)

    def embed(self, titles: list[str]) -> np.ndarray:
        """(n, D) sentence embeddings; D is 0 without a sentence encoder."""
        if self.sentences is None:
            return np.zeros((len(titles), 0), np.float32)
        return self.sentences.embed(titles)

    def read(self, fields: pd.DataFrame, rows: np.ndarray) -> LinearTextInputs:
        """What this model reads of some products.

        Args:
            fields: of all products, whose embeddings are computed together: training has cached them.
            rows: (n,) places of the products.
        """
        some = fields.iloc[rows]
        ngrams = {TITLE: self.hashed(some[TITLE].tolist()).counts}
        embeddings = {TITLE: self.embed(fields[TITLE].tolist())[rows]}
        ids: dict[str, np.ndarray] = {}
        if self.readers is not None:
            for field, reader in self.readers.text.items():
                ngrams[field] = reader.words(some[field].tolist()).counts
                if self.sentences is not None:
                    embeddings[field] = reader.embed(fields[field].tolist())[rows]
            for field, bins in self.readers.attributes.items():
                ids[field] = bins.ids(some[field].tolist())
        return LinearTextInputs(ngrams, embeddings, ids)

    def read_titles(self, titles: list[str]) -> LinearTextInputs:
        """What this model reads of titles alone."""
        return LinearTextInputs({TITLE: self.hashed(titles).counts}, {TITLE: self.embed(titles)}, {})

    def title_scores(self, titles: list[str]) -> Tensor:
        """(n, K) scores of titles alone, on the CPU; K does not count the added classes."""
        rarity, table = self.ngrams.inverse_frequency.cpu(), self.ngrams.table.weight.cpu()
        of_sentences = {} if self.sentence is None else {TITLE: self.sentence.weight.cpu()}
        weights = LinearTextWeights({TITLE: rarity}, {TITLE: table}, of_sentences, {}, self.bias.cpu())
        return weights.scores(self.read_titles(titles))

    @torch.no_grad()
    def set_weights(self, weights: LinearTextWeights) -> None:
        """Take over what `fit_linear_text_model` learned; large tables are shared, not copied."""
        self.ngrams.inverse_frequency.copy_(weights.inverse_frequency[TITLE])
        _share(self.ngrams.table.weight, weights.ngrams[TITLE])
        self.bias.copy_(weights.bias)
        if self.sentence is not None:
            self.sentence.weight.copy_(weights.embeddings[TITLE])
        for field, name in self.readers.names.items() if self.readers is not None else ():
            if name in self.further_ngrams:
                encoder = self.further_ngrams[name]
                encoder.inverse_frequency.copy_(weights.inverse_frequency[field])  # pyright: ignore
                _share(encoder.table.weight, weights.ngrams[field])  # pyright: ignore
            if name in self.further_sentences:
                self.further_sentences[name].weight.copy_(weights.embeddings[field])  # pyright: ignore
            if name in self.further_ids:
                self.further_ids[name].weight.copy_(weights.ids[field])  # pyright: ignore

    def forward(self, titles: TextBatch) -> Tensor:
        hashed = titles if "ids" in titles else tensors_of(titles, NGRAMS)
        scores = self.ngrams(hashed) + self.bias  # (B, K)
        if self.sentence is not None:
            scores = scores + self.sentence(self.embedding(titles))
        for name, ngrams in self.further_ngrams.items():
            tensors = tensors_of(titles, name)
            scores = scores + ngrams(tensors_of(tensors, NGRAMS))
            if name in self.further_sentences:
                assert self.sentences is not None
                embedding = self.sentences(tensors_of(tensors, SENTENCE)) * tensors[PRESENT][:, None]
                scores = scores + self.further_sentences[name](embedding)
        for name, table in self.further_ids.items():
            scores = scores + table(tensors_of(titles, name)[ID])
        return nn.functional.pad(scores, (0, self.added), value=UNSEEN_SCORE) if self.added else scores

    def embedding(self, titles: TextBatch) -> Tensor:
        """(B, D) sentence embeddings of prepared titles."""
        assert self.sentences is not None, "this model reads n-grams alone"
        return self.sentences(tensors_of(titles, SENTENCE))


def _zero_table(encoder: HashedNGramEncoder) -> HashedNGramEncoder:
    """The encoder with weights of 0, which take no memory before they are set."""
    zeros = untouched_zeros(tuple(encoder.table.weight.shape))
    encoder.table.weight = nn.Parameter(torch.from_numpy(zeros))
    return encoder


def _share(parameter: Tensor, values: Tensor) -> None:
    """Give a parameter values of its shape without a copy, unless it is on another device."""
    assert parameter.shape == values.shape, f"{tuple(values.shape)} for {tuple(parameter.shape)}"
    parameter.data = values.to(parameter.device)
