"""What a head of a stacked classifier reads."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class BaseOutputs:
    """What the base model and the linear text model give for B products and C classes.

    Attributes:
        features: (B, D) of the base model.
        logits: (B, C) of the base model.
        linear_text: (B, C) scores.
        has_picture, has_title: (B,) whether a product has one; None: all have.
        base_reads_titles: whether the base model reads titles, too.
        embedding: (B, Dt) sentence embeddings of the titles; None without a sentence encoder.
        name_match: (B, C, 10) name-match features; None where classes are not scored by their names.
        picture_match: (B, C) cosines of pictures with class names; None without an aligned picture encoder.
    """

    features: Tensor
    logits: Tensor
    linear_text: Tensor
    has_picture: Tensor | None
    has_title: Tensor | None
    base_reads_titles: bool
    embedding: Tensor | None = None
    name_match: Tensor | None = None
    picture_match: Tensor | None = None
