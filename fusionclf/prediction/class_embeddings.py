"""Embeddings of what classes are called, kept on disk: a run's classes and a taxonomy are read again and again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusionclf.batches import cached_features, fingerprint, text_fingerprint
from fusionclf.errors import PictureError
from fusionclf.models import StackedClassifier
from fusionclf.models.aligned_encoders import NameEncoder
from fusionclf.models.engine import LEAST_EXPORTED, Engine
from fusionclf.models.layers.embedding_cache import EmbeddingCache
from fusionclf.models.text_encoders import TransformerEncoder

LEAST_STORED = 100  # texts that are worth a file


@dataclass(frozen=True)
class ClassEmbeddings:
    """Gives a model's embedding caches what they lack.

    Attributes:
        checksum: of the model's stored weights, which tells by what texts are embedded; None: it is not known.
        engine: runs the encoders where texts are embedded.
    """

    checksum: str | None
    engine: Engine

    def learn(self, model: StackedClassifier, titles: Sequence[str], pictures: Sequence[str]) -> None:
        """Embed texts, or take their embeddings from the disk.

        Args:
            model: its encoders get embedding caches, where they have none.
            titles: texts that titles are compared with.
            pictures: texts that pictures are compared with.
        """
        sentences, match = model.linear_text_model.sentences, model.picture_match
        if sentences is not None:
            if sentences.embedder is None:
                sentences.embedder = EmbeddingCache(sentences.compute)
            self._learn_stored(sentences.embedder, sentences, (sentences.tokeniser.longest,), titles)
        if match is not None:
            if match.embedder is None:
                match.embedder = EmbeddingCache(match.encoder.compute)
            self._learn_stored(match.embedder, match.encoder, match.encoder.prompts, pictures)

    def _learn_stored(
        self,
        embedder: object,
        encoder: TransformerEncoder | NameEncoder,
        how: tuple[object, ...],
        texts: Sequence[str],
    ) -> None:
        if not isinstance(embedder, EmbeddingCache):
            return  # another one that a caller has set
        unknown = embedder.unknown(texts)
        if len(unknown) < LEAST_STORED:
            return
        weights = self.checksum or fingerprint(encoder.network.state_dict())
        precision, kind = self.engine.mixed_precision, type(encoder).__name__
        key = fingerprint({}, weights, precision, kind, *how, text_fingerprint(unknown))

        def compute() -> np.ndarray:
            if isinstance(encoder, TransformerEncoder):
                is_kept, kept = encoder.open_kept(precision).find(unknown, 0)
                if is_kept.all():  # by training
                    return kept
                # An export takes as long as the names of thousands of classes: only a kept graph is opened.
                self.engine.start(encoder, min(len(unknown), LEAST_EXPORTED - 1))
            return embedder.compute(unknown)

        try:
            found, _ = cached_features("class_names", key, len(unknown), compute)
        except PictureError:
            return  # a cache that cannot be written: they are embedded, and not stored
        embedder.learn(unknown, np.array(found))
