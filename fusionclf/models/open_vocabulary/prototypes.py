"""Prototypes: the mean of a class's support rows, by which a class without training rows is recognised."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Prototypes(nn.Module):
    """Means of support rows, by title and by features of the base model, for those of C classes that have some.

    Args:
        classes: C.
        dim: D, width of the base model's features.
        text_dim: Dt, width of the sentence embeddings.

    Source: Snell et al., Prototypical Networks for Few-shot Learning (2017).
    """

    available: Tensor
    title: Tensor
    features: Tensor

    def __init__(self, classes: int, dim: int, text_dim: int) -> None:
        super().__init__()
        self.register_buffer("available", torch.zeros(classes, dtype=torch.bool))
        self.register_buffer("title", torch.zeros(classes, text_dim))
        self.register_buffer("features", torch.zeros(classes, dim))

    def set(self, number: int, features: Tensor, embeddings: Tensor) -> None:
        """Give a class its support rows: (n, D) features and (n, Dt) embeddings; either may have no rows."""
        self.available[number] = True
        if len(features):
            self.features[number] = mean_direction(normalised(features))
        if len(embeddings):
            self.title[number] = mean_direction(embeddings)

    def similarity(self, features: Tensor, embeddings: Tensor) -> Tensor:
        """(B, C, 2) cosines with the prototypes: by title, and by features."""
        own = F.normalize(normalised(features), dim=-1)
        return torch.stack([embeddings.float() @ self.title.T, own @ self.features.T], dim=-1)


def normalised(features: Tensor) -> Tensor:
    """(B, D) features of mean 0 and variance 1."""
    return F.layer_norm(features.float(), features.shape[-1:])


def mean_direction(vectors: Tensor) -> Tensor:
    """(D,) the mean of (n, D) vectors of length 1, itself of length 1."""
    return F.normalize(F.normalize(vectors.float(), dim=-1).mean(0), dim=0)
