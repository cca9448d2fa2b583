"""Sentence embeddings that are remembered: titles of a catalog share words, and are asked about more than once."""

from collections.abc import Callable

import numpy as np

MOST_TEXTS = 50_000  # 77 MB of embeddings of 384 numbers


class Remembered:
    """Embeds texts, each once as long as it is remembered.

    Args:
        compute: texts → (n, D) embeddings.
        most: texts that are remembered; with one more, all are forgotten.
    """

    def __init__(self, compute: Callable[[list[str]], np.ndarray], most: int = MOST_TEXTS) -> None:
        self.compute, self.most = compute, most
        self._known: dict[str, np.ndarray] = {}  # text → (D,)

    def __call__(self, texts: list[str]) -> np.ndarray:
        """(n, D) embeddings."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if len(self._known) + len(new) > self.most:
            self._known.clear()
            new = list(dict.fromkeys(texts))
        if new or not texts:
            found = self.compute(new)
            if not texts:
                return found
            self._known.update(zip(new, found, strict=True))
        return np.stack([self._known[text] for text in texts])
