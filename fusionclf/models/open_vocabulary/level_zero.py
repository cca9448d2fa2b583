"""Level 0 of stacking: what base learners and name-match features say of products and classes."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

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
        """That of some classes: a mask (C,), or their places."""
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
        seen_places: (S,) places of the classes with rows.
        of_names: (2, U, S) how rows of seen classes relate to the names of unseen ones: the linear text model's
            scores for the name alone, and log(1 + k), where k titles of a seen class contain it. None: nothing.
    """

    counts: Tensor
    has_prototype: Tensor
    share: Tensor
    seen_places: Tensor
    of_names: Tensor | None = None

    @classmethod
    def of(
        cls,
        counts: Tensor,
        has_prototype: Tensor,
        share: Tensor | None = None,
        of_names: Tensor | None = None,
    ) -> "ClassFacts":
        """The facts; without a share, an unseen class is as frequent as the median of the seen ones."""
        places = (counts > 0).nonzero().squeeze(1)
        return cls(counts, has_prototype, typical_share(counts) if share is None else share, places, of_names)

    @property
    def seen(self) -> Tensor:
        """(C,) whether a class has training rows."""
        return self.counts > 0

    def of_classes(self, classes: Tensor) -> "ClassFacts":
        """Those of the classes of a mask, (C,)."""
        own = self.of_names
        if own is not None:
            own = own[:, classes[~self.seen]][:, :, classes[self.seen_places]]
        return ClassFacts.of(self.counts[classes], self.has_prototype[classes], self.share, own)

    def spread(self, values: Tensor) -> Tensor:
        """(B, C) of the values (B, S) of the seen classes; the others get MASKED_LOGIT."""
        rank = torch.where(self.seen, self.seen.cumsum(0) - 1, values.shape[1])  # (C,)
        return F.pad(values, (0, 1), value=MASKED_LOGIT)[:, rank]

    def nameable(self, level_zero: LevelZero) -> Tensor:
        """(C,) whether a class can be named without training rows: by its name or its prototype."""
        if level_zero.name_match is None and level_zero.picture_match is None:
            return self.has_prototype
        return torch.ones_like(self.has_prototype)

    def known_log_odds(self, level_zero: LevelZero) -> Tensor:
        """Log odds of a seen class before a product is looked at; at least 0, however many classes are unseen."""
        unseen = (self.nameable(level_zero) & ~self.seen).sum()
        return -(unseen * self.share).clamp(1e-9, 1.0).log()


def log_probabilities(logits: Tensor) -> Tensor:
    """(B, S) of the logits of seen classes; none is below LEAST_LOG_PROBABILITY."""
    return logits.float().log_softmax(dim=1).clamp_min(LEAST_LOG_PROBABILITY)


def typical_share(counts: Tensor) -> Tensor:
    """() the share of rows that the median of the classes with rows has; counts: (C,)."""
    own = counts[counts > 0].double()
    return (own.median() / own.sum()).float() if len(own) else torch.ones(())
