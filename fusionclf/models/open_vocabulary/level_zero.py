"""Level 0 of stacking: what base learners and name-match features say of products and classes."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

MODALITIES = ("both", "title", "picture")  # which modalities of a product are available
MASKED_LOGIT = -1e4
LEAST_LOG_PROBABILITY = -12.0


@dataclass(frozen=True)
class LevelZero:
    """What the base learners give for B products and C classes.

    Attributes:
        base: (B, C) logits of the probe of the base model's features; None where it reads nothing of the product.
        linear_text: (B, C) scores of the linear text model; None for a product without a text.
        name_match: (B, C, 10) name-match features; None for a product without a text.
        similarity: (B, C, 2) cosines with the prototypes of classes that have some, by title and by features.
        picture_match: (B, C) cosines of pictures with class names; None without an aligned picture encoder.
    """

    base: Tensor | None
    linear_text: Tensor | None
    name_match: Tensor | None
    similarity: Tensor
    picture_match: Tensor | None = None

    def rows(self, rows: Tensor | slice) -> "LevelZero":
        """That of some products."""
        return LevelZero(
            None if self.base is None else self.base[rows],
            None if self.linear_text is None else self.linear_text[rows],
            None if self.name_match is None else self.name_match[rows],
            self.similarity[rows],
            None if self.picture_match is None else self.picture_match[rows],
        )

    def of_classes(self, classes: Tensor) -> "LevelZero":
        """That of the classes of a mask, (C,)."""
        return LevelZero(
            None if self.base is None else self.base[:, classes],
            None if self.linear_text is None else self.linear_text[:, classes],
            None if self.name_match is None else self.name_match[:, classes],
            self.similarity[:, classes],
            None if self.picture_match is None else self.picture_match[:, classes],
        )

    def of_modality(self, modality: str) -> "LevelZero":
        """Without what the modality, one of MODALITIES, does not give; `base` is left to the caller."""
        if modality == "both":
            return self
        used = self.similarity.new_tensor([modality == "title", modality == "picture"])
        absent = ("linear_text", "name_match") if modality == "picture" else ("picture_match",)
        return replace(self, similarity=self.similarity * used, **dict.fromkeys(absent))


@dataclass(frozen=True)
class ClassFacts:
    """What is known of C classes.

    Attributes:
        counts: (C,) rows that the base learners were fitted on; 0 for an unseen class.
        has_prototype: (C,) whether a class has prototypes.
        share: () expected share of products that are of one unseen class, against those of all seen ones.
    """

    counts: Tensor
    has_prototype: Tensor
    share: Tensor

    @classmethod
    def of(cls, counts: Tensor, has_prototype: Tensor) -> "ClassFacts":
        """Where an unseen class is as frequent as the median of the seen ones."""
        return cls(counts, has_prototype, typical_share(counts))

    @property
    def seen(self) -> Tensor:
        """(C,) whether a class has training rows."""
        return self.counts > 0

    def of_classes(self, classes: Tensor) -> "ClassFacts":
        """Those of the classes of a mask, (C,)."""
        return ClassFacts(self.counts[classes], self.has_prototype[classes], self.share)

    def nameable(self, level_zero: LevelZero) -> Tensor:
        """(C,) whether a class can be named without training rows: by its name or its prototype."""
        if level_zero.name_match is None and level_zero.picture_match is None:
            return self.has_prototype
        return torch.ones_like(self.has_prototype)

    def known_log_odds(self, level_zero: LevelZero) -> Tensor:
        """Log odds of a seen class before a product is looked at; at least 0, however many classes are unseen."""
        unseen = (self.nameable(level_zero) & ~self.seen).sum()
        return -(unseen * self.share).clamp(1e-9, 1.0).log()


def log_probabilities(logits: Tensor, seen: Tensor) -> Tensor:
    """(B, C) among the seen classes; none is below LEAST_LOG_PROBABILITY, which the others get."""
    masked = logits.float().masked_fill(~seen, -torch.inf)
    return masked.log_softmax(dim=1).clamp_min(LEAST_LOG_PROBABILITY)


def typical_share(counts: Tensor) -> Tensor:
    """() the share of rows that the median of the classes with rows has; counts: (C,)."""
    own = counts[counts > 0].double()
    return (own.median() / own.sum()).float() if len(own) else torch.ones(())
