"""Logits of some products and classes → predictions, a few products at a time if there are thousands of classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from fusionclf.evaluation import CategoryGraph, make_predictions
from fusionclf.memory import release_pages

PAIRS_AT_ONCE = 2**24  # of a product and a class, whose probabilities are in memory together: 0.4 GB


@dataclass(frozen=True)
class ChosenLogits:
    """The logits of n products and K candidates, among those of all.

    Attributes:
        logits: (N, C) of a model.
        rows: (n,) places of the products.
        columns: K places of the candidates.
        temperature: by which the logits are divided.
    """

    logits: np.ndarray
    rows: np.ndarray
    columns: Sequence[int]
    temperature: float

    def predictions(
        self, context: pd.DataFrame, candidates: Sequence[str], status: pd.DataFrame, graph: CategoryGraph
    ) -> pd.DataFrame:
        """As `make_predictions`, of n products and K candidates."""
        size = max(1, PAIRS_AT_ONCE // self.logits.shape[1])
        chunks = [slice(start, start + size) for start in range(0, max(len(self.rows), 1), size)]
        frames = []
        for chunk in chunks:
            probabilities = self._probabilities(self.rows[chunk])
            frames.append(
                make_predictions(context.iloc[chunk], candidates, probabilities, status.iloc[chunk], graph)
            )
            if len(chunks) > 1:
                release_pages()  # of logits in a file
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def _probabilities(self, rows: np.ndarray) -> np.ndarray:
        """(b, K) float64."""
        logits = (self.logits[rows][:, self.columns] / self.temperature).astype(np.float64)
        return softmax(logits, axis=1)
