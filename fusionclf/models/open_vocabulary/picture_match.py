"""Picture match: how well a picture fits the name of a class, by an aligned encoder of pictures and texts."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.aligned_encoders import NameEncoder


class PictureMatch(nn.Module):
    """(B, C) cosine of each picture with the name, or synonym, of each class that it fits best.

    Args:
        encoder: embeds names.

    Attributes:
        embedder: takes the place of the encoder's `compute`, to remember embeddings.
    """

    vectors: Tensor
    places: Tensor

    def __init__(self, encoder: NameEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.embedder: Callable[[list[str]], np.ndarray] | None = None
        self.register_buffer("vectors", torch.zeros(0, 0), persistent=False)  # (M, D) of all names
        self.register_buffer("places", torch.zeros(1, 0, dtype=torch.long), persistent=False)  # (S, C)

    def name_classes(self, names: Sequence[str], synonyms: Sequence[Sequence[str]]) -> None:
        """Set the names of the classes."""
        called = [list(dict.fromkeys((name, *more))) for name, more in zip(names, synonyms, strict=True)]
        embeddings = (self.embedder or self.encoder.compute)([text for own in called for text in own])
        device = self.vectors.device
        self.vectors = torch.from_numpy(np.array(embeddings)).to(device)
        counts = np.array([len(own) for own in called])
        first = np.cumsum(counts) - counts
        # A class with fewer names than another has its first one again.
        rank = np.arange(counts.max(initial=1))[:, None]
        self.places = torch.from_numpy(np.where(rank < counts, first + rank, first)).to(device)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C) cosines of picture features (B, D)."""
        with torch.autocast(features.device.type, enabled=False):
            cosines = F.normalize(features.float(), dim=-1) @ self.vectors.T  # (B, M)
            best = cosines[:, self.places[0]]
            for rank in range(1, len(self.places)):
                best = torch.maximum(best, cosines[:, self.places[rank]])
            return best
