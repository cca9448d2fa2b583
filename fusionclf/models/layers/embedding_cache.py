"""A cache of sentence embeddings: titles of a catalog share words, and many occur more than once."""

from collections.abc import Callable
from threading import Lock

import numpy as np

MOST_TEXTS = 50_000  # 77 MB of embeddings of 384 numbers


class EmbeddingCache:
    """Embeds texts, each once as long as it is cached; safe for several threads.

    Args:
        compute: texts and the most tokens of each → (n, D) embeddings.
        most: texts that are cached; with one more, the cache is cleared.
    """

    def __init__(self, compute: Callable[[list[str], int], np.ndarray], most: int = MOST_TEXTS) -> None:
        self.compute, self.most = compute, most
        self._known: dict[tuple[str, int], np.ndarray] = {}  # text and longest → (D,)
        self._lock = Lock()

    def __call__(self, texts: list[str], longest: int) -> np.ndarray:
        """(n, D) embeddings."""
        if not texts:
            return self.compute([], longest)
        distinct = dict.fromkeys(texts)
        with self._lock:
            found = {text: self._known[text, longest] for text in distinct if (text, longest) in self._known}
        new = [text for text in distinct if text not in found]
        if new:
            made = dict(zip(new, self.compute(new, longest), strict=True))
            found |= made
            with self._lock:
                if len(self._known) + len(new) > self.most:
                    self._known.clear()
                self._known |= {(text, longest): embedding for text, embedding in made.items()}
        return np.stack([found[text] for text in texts])
