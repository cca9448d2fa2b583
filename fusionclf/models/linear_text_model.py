"""A linear model of the title: TF-IDF of hashed n-grams and a sentence embedding → a score for each class.

On titles of other years than it was trained on, a max-margin linear model of sparse n-grams, and of a pretrained
sentence embedding, generalises better than an embedding trained by gradient steps.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from fusionclf.batches import HashedNGrams, HashedTitles, TextBatch
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
        inverse_frequency: (buckets,) of the n-grams.
        ngrams: (buckets, K) weights.
        sentence: (K, D) weights of the sentence embedding; D is 0 without a sentence encoder.
        bias: (K,).
    """

    inverse_frequency: Tensor
    ngrams: Tensor
    sentence: Tensor
    bias: Tensor

    @torch.no_grad()
    def scores(self, counts: sparse.csr_matrix, embeddings: np.ndarray) -> Tensor:
        """(n, K) scores of n-gram counts (n, buckets) and sentence embeddings (n, D)."""
        titles = HashedTitles(counts).batch(np.arange(len(embeddings)))
        scores = tfidf_sum(titles, self.inverse_frequency, self.ngrams) + self.bias
        if self.sentence.shape[1]:
            scores = scores + nn.functional.linear(torch.from_numpy(embeddings).to(self.bias), self.sentence)
        return scores


def fit_linear_text_model(
    counts: sparse.csr_matrix, embeddings: np.ndarray, targets: np.ndarray, classes: int, seed: int = 0
) -> LinearTextWeights:
    """Learn all weights at once by a linear SVM, one class against the others.

    Args:
        counts: (n, buckets) n-gram counts of the training titles.
        embeddings: (n, D) sentence embeddings of the titles; D may be 0.
        targets: (n,) class numbers.
        classes: K; those without a training row get UNSEEN_SCORE.
        seed: of the solver.
    """
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    features = sparse.csr_matrix(sparse.hstack([weighted, sparse.csr_matrix(embeddings)]))
    known = np.unique(targets)
    buckets = weighted.shape[1]
    # One class alone is the answer to every title.
    weights, bias = np.zeros((1, buckets + embeddings.shape[1])), np.zeros(1)
    if len(known) > 1:
        with warnings.catch_warnings():
            # scikit-learn's, on few products of many classes: that the labels may be meant for numbers.
            warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
            svm = LinearSVC(random_state=seed).fit(features, targets)
        weights, bias = np.asarray(svm.coef_), np.asarray(svm.intercept_)
    if len(known) == 2:  # scikit-learn keeps one row for two classes
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    places = torch.from_numpy(known)
    found = LinearTextWeights(
        inverse_frequencies(counts),
        torch.zeros(buckets, classes),
        torch.zeros(classes, embeddings.shape[1]),
        torch.full((classes,), UNSEEN_SCORE),
    )
    found.bias[places] = torch.from_numpy(bias).float()
    found.ngrams[:, places] = torch.from_numpy(weights[:, :buckets].T).float()
    found.sentence[places] = torch.from_numpy(weights[:, buckets:]).float()
    return found


class LinearTextModel(nn.Module):
    """Scores of K classes from a title's TF-IDF-weighted hashed n-grams and its sentence embedding, (B, K).

    Args:
        buckets: size of the hash; that of the text encoder whose prepared titles are shared, where there is one.
        classes: K.
        words: longest word n-gram, as in that encoder.
        sentences: pretrained sentence encoder, which is not trained; None for n-grams alone.
        shared: the sentence encoder is part of the base model, so its weights are not saved here too.

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
    ) -> None:
        super().__init__()
        self.ngrams = HashedNGramEncoder(buckets, classes, words=words)
        nn.init.zeros_(self.ngrams.table.weight)
        self.bias = nn.Parameter(torch.zeros(classes))
        self._sentences = (sentences,)  # a tuple, so that a shared one is not registered twice
        self.own_sentences = None if shared else sentences
        self.sentence = nn.Linear(sentences.dim, classes, bias=False) if sentences is not None else None
        self.requires_grad_(False)

    @property
    def sentences(self) -> TransformerEncoder | None:
        """The sentence encoder, own or shared."""
        return self._sentences[0]

    @property
    def hashed(self) -> HashedNGrams:
        """Counts the n-grams of titles."""
        return self.ngrams.hashed

    @property
    def text_encoder(self) -> TextEncoder:
        """The encoder whose `prepare` gives what `forward` takes."""
        if self.sentences is None:
            return self.ngrams
        return ngrams_and_sentence(self.ngrams, self.sentences)

    def embed(self, titles: list[str]) -> np.ndarray:
        """(n, D) sentence embeddings; D is 0 without a sentence encoder."""
        if self.sentences is None:
            return np.zeros((len(titles), 0), np.float32)
        return self.sentences.embed(titles)

    @torch.no_grad()
    def set_weights(self, weights: LinearTextWeights) -> None:
        """Take over what `fit_linear_text_model` learned."""
        self.ngrams.inverse_frequency.copy_(weights.inverse_frequency)
        self.ngrams.table.weight.copy_(weights.ngrams)
        self.bias.copy_(weights.bias)
        if self.sentence is not None:
            self.sentence.weight.copy_(weights.sentence)

    def forward(self, titles: TextBatch) -> Tensor:
        hashed = titles if "ids" in titles else tensors_of(titles, NGRAMS)
        scores = self.ngrams(hashed) + self.bias  # (B, K)
        if self.sentence is not None:
            scores = scores + self.sentence(self.embedding(titles))
        return nn.functional.pad(scores, (0, self.added), value=UNSEEN_SCORE) if self.added else scores

    def embedding(self, titles: TextBatch) -> Tensor:
        """(B, D) sentence embeddings of prepared titles."""
        assert self.sentences is not None, "this model reads n-grams alone"
        return self.sentences(tensors_of(titles, SENTENCE))
