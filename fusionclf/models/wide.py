"""A linear expert on title n-grams beside a network, as in wide and deep models.

On titles of other years than it was trained on, a max-margin linear model of sparse n-grams holds up better than an
embedding trained by gradient steps; the network is what knows the picture. `blend` weighs the two by two numbers
that are fitted on validation rows.

Source: Cheng et al., Wide & Deep Learning for Recommender Systems (2016), section 3.
"""

import numpy as np
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from fusionclf.batches import TextBatch
from fusionclf.models.encoders import HashedNGramEncoder

UNSEEN_SCORE = -2.0  # of a class without a training row: below the SVM's usual -1 for "not this one"


class WideTitles(nn.Module):
    """Scores of K classes from a title's TF-IDF-weighted hashed n-grams, (B, K).

    Args:
        buckets: size of the hash, that of the encoder whose prepared titles it shares.
        classes: K.
        words: longest word n-gram, as in the encoder.
    """

    def __init__(self, buckets: int, classes: int, words: int = 2) -> None:
        super().__init__()
        self.scores = HashedNGramEncoder(buckets, classes, words=words)
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.zeros_(self.scores.table.weight)
        self.requires_grad_(False)

    def fit(self, titles: list[str], targets: np.ndarray, seed: int = 0) -> None:
        """Learn all weights at once by a linear SVM, one class against the others.

        Args:
            titles: n training titles.
            targets: (n,) class numbers.
            seed: of the solver.
        """
        self.scores.fit(titles)
        counts = self.scores.hashed(titles).counts
        weighted = TfidfTransformer(sublinear_tf=True).fit_transform(sparse.csr_matrix(counts))
        svm = LinearSVC(random_state=seed).fit(weighted, targets)
        weights, bias = svm.coef_, svm.intercept_
        if len(svm.classes_) == 2:  # scikit-learn keeps one row for two classes
            weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
        self.bias.fill_(UNSEEN_SCORE)
        self.scores.table.weight.zero_()
        self.bias[torch.from_numpy(svm.classes_)] = torch.from_numpy(bias).float()
        self.scores.table.weight[:, torch.from_numpy(svm.classes_)] = torch.from_numpy(weights.T).float()

    def forward(self, titles: TextBatch) -> Tensor:
        own = titles if "ids" in titles else {name.removeprefix("0."): t for name, t in titles.items()}
        return self.scores(own) + self.bias  # (B, K)
