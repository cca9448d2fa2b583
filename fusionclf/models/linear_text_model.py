"""A linear expert on the title beside a network, as in wide and deep models.

On titles of other years than it was trained on, a max-margin linear model of sparse n-grams, and of a pretrained
sentence embedding, holds up better than an embedding trained by gradient steps; the network is what knows the
picture. `blend` of a model weighs the two by two numbers that are fitted on validation rows.

Source: Cheng et al., Wide & Deep Learning for Recommender Systems (2016), section 3.
"""

import warnings

import numpy as np
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from fusionclf.batches import HashedTitles, TextBatch
from fusionclf.models.encoders import (
    HashedNGramEncoder,
    JoinedTextEncoder,
    TextEncoder,
    TransformerEncoder,
    part_of_titles,
)

UNSEEN_SCORE = -2.0  # of a class without a training row: below the SVM's usual -1 for "not this one"


class WideTitles(nn.Module):
    """Scores of K classes from a title's TF-IDF-weighted hashed n-grams and its sentence embedding, (B, K).

    Args:
        buckets: size of the hash; that of the encoder whose prepared titles are shared, where there is one.
        classes: K.
        words: longest word n-gram, as in that encoder.
        encoder: pretrained sentence encoder, kept as it is; None for n-grams alone.
        shared: the encoder is part of the model elsewhere, so its weights are not kept here too.
    """

    def __init__(
        self,
        buckets: int,
        classes: int,
        words: int = 2,
        encoder: TransformerEncoder | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.scores = HashedNGramEncoder(buckets, classes, words=words)
        nn.init.zeros_(self.scores.table.weight)
        self.bias = nn.Parameter(torch.zeros(classes))
        self._sentences = (encoder,)  # a tuple, so that a shared one is not registered twice
        self.encoder = None if shared else encoder
        self.dense = nn.Linear(encoder.dim, classes, bias=False) if encoder is not None else None
        self.requires_grad_(False)

    @property
    def sentences(self) -> TransformerEncoder | None:
        """The sentence encoder, own or shared."""
        return self._sentences[0]

    @property
    def reader(self) -> TextEncoder:
        """The encoder whose `prepare` makes what `forward` takes."""
        return self.scores if self.sentences is None else JoinedTextEncoder([self.scores, self.sentences])

    def embed(self, titles: list[str]) -> np.ndarray:
        """(n, D) sentence embeddings; D is 0 without an encoder."""
        if self.sentences is None:
            return np.zeros((len(titles), 0), np.float32)
        return self.sentences.embed(titles)

    def count(self, titles: list[str]) -> sparse.csr_matrix:
        """(n, buckets) n-gram counts, for `fit` and `score`."""
        return self.scores.hashed(titles).counts

    @torch.no_grad()
    def fit(
        self, counts: sparse.csr_matrix, targets: np.ndarray, embeddings: np.ndarray, seed: int = 0
    ) -> None:
        """Learn all weights at once by a linear SVM, one class against the others.

        Args:
            counts: (n, buckets), `count` of the training titles.
            targets: (n,) class numbers.
            embeddings: (n, D), `embed` of the titles.
            seed: of the solver.
        """
        self.scores.fit_counts(counts)
        weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
        features = sparse.csr_matrix(sparse.hstack([weighted, sparse.csr_matrix(embeddings)]))
        classes = np.unique(targets)
        # One class alone is the answer to every title.
        buckets = self.scores.table.num_embeddings
        weights, bias = np.zeros((1, buckets + embeddings.shape[1])), np.zeros(1)
        if len(classes) > 1:
            with warnings.catch_warnings():
                # scikit-learn's, on few products of many classes: that the labels may be meant for numbers.
                warnings.filterwarnings(
                    "ignore", "The number of unique classes is greater than 50%", UserWarning
                )
                svm = LinearSVC(random_state=seed).fit(features, targets)
            weights, bias = np.asarray(svm.coef_), np.asarray(svm.intercept_)
        if len(classes) == 2:  # scikit-learn keeps one row for two classes
            weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
        known = torch.from_numpy(classes)
        self.bias.fill_(UNSEEN_SCORE)
        self.bias[known] = torch.from_numpy(bias).to(self.bias)
        self.scores.table.weight.zero_()
        self.scores.table.weight[:, known] = torch.from_numpy(weights[:, :buckets].T).to(self.bias)
        if self.dense is not None:
            self.dense.weight.zero_()
            self.dense.weight[known] = torch.from_numpy(weights[:, buckets:]).to(self.bias)

    @torch.no_grad()
    def score(self, counts: sparse.csr_matrix, embeddings: np.ndarray) -> Tensor:
        """(n, K) scores where counts and embeddings are at hand."""
        table = HashedTitles(counts).batch(np.arange(len(embeddings)))
        scores = self.scores({name: t.to(self.bias.device) for name, t in table.items()}) + self.bias
        if self.dense is not None:
            scores = scores + self.dense(torch.from_numpy(embeddings).to(self.bias))
        return scores

    def forward(self, titles: TextBatch) -> Tensor:
        hashed = titles if "ids" in titles else part_of_titles(titles, 0)
        scores = self.scores(hashed) + self.bias  # (B, K)
        if self.dense is not None:
            scores = scores + self.dense(self.embedding(titles))
        return scores

    def embedding(self, titles: TextBatch) -> Tensor:
        """(B, D) sentence embeddings of prepared titles."""
        assert self.sentences is not None, "this expert reads n-grams alone"
        return self.sentences(part_of_titles(titles, 1))
