"""A cache of sentence embeddings: titles of a catalog share words, and many occur more than once."""

from collections.abc import Callable, Iterable, Sequence
from threading import Lock

import numpy as np

from fusionclf.batches.kept_texts import KeptTexts

MOST_TEXTS = 50_000  # 77 MB of embeddings of 384 numbers


class EmbeddingCache:
    """Embeds texts, each once as long as it is cached; safe for several threads.

    Args:
        compute: texts → (n, D) embeddings.
        most: texts that are cached; with one more, the cache is cleared.

    Attributes:
        kept: embeddings on disk, which are read before a text is embedded, and added to; None: none.
        prepare: called once, before the first text is computed; None: nothing is to be done.
    """

    def __init__(self, compute: Callable[..., np.ndarray], most: int = MOST_TEXTS) -> None:
        self.compute, self.most = compute, most
        self.kept: KeptTexts | None = None
        self.prepare: Callable[[], None] | None = None
        self._preparing = Lock()
        self._known: dict[str, np.ndarray] = {}  # text → (D,)
        self._lock = Lock()

    def __call__(self, texts: list[str], longest: int | None = None) -> np.ndarray:
        """(n, D) embeddings; those of up to `longest` tokens, of long texts that hardly repeat, are not cached."""
        if longest is not None:
            return self._embed(texts, longest)
        if not texts:
            return self.compute([])
        distinct = dict.fromkeys(texts)
        with self._lock:
            found = {text: self._known[text] for text in distinct if text in self._known}
        new = [text for text in distinct if text not in found]
        if new:
            embeddings = self._embed(new)
            found |= zip(new, embeddings, strict=True)
            self.learn(new, embeddings)
        return np.stack([found[text] for text in texts])

    def _embed(self, texts: list[str], longest: int | None = None) -> np.ndarray:
        """(n, D) embeddings that are kept on disk, or else computed and kept."""
        further = () if longest is None else (longest,)
        if self.kept is None:
            return self._compute(texts, *further)
        is_kept, found = self.kept.find(texts, longest or 0)
        if is_kept.all():
            return found
        new = [text for text, known in zip(texts, is_kept, strict=True) if not known]
        computed = self._compute(new, *further)
        self.kept.add(new, longest or 0, computed)
        if len(new) == len(texts):
            return computed
        embeddings = np.empty((len(texts), computed.shape[1]), np.float32)
        embeddings[is_kept], embeddings[~is_kept] = found, computed
        return embeddings

    def _compute(self, *given: object) -> np.ndarray:
        with self._preparing:
            prepare, self.prepare = self.prepare, None
            if prepare is not None:
                prepare()
        return self.compute(*given)

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """Those texts, each once, that are not cached."""
        with self._lock:
            return [text for text in dict.fromkeys(texts) if text not in self._known]

    def learn(self, texts: Sequence[str], embeddings: np.ndarray) -> None:
        """Cache the (n, D) embeddings of n texts."""
        with self._lock:
            if len(self._known) + len(texts) > self.most:
                self._known.clear()
            self._known |= zip(texts, embeddings, strict=True)
