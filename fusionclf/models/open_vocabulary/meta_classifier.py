"""The meta-classifier (level 1): what base learners and name-match features say of products → logits of classes.

It answers three questions, each with few weights that all classes share:

- Which known class is it? The product of the base learners' calibrated probabilities, corrected by how sure they are
  of this product, by how many rows a class was fitted on, and by how well its name matches.
- Which new class is it? By name match, and by prototypes where there are support rows.
- Is it a known class at all? By how sure the first answer is, and how well known and new names match.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.open_vocabulary.level_zero import (
    MASKED_LOGIT,
    ClassFacts,
    LevelZero,
    log_probabilities,
)
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH_FEATURES
from fusionclf.models.open_vocabulary.names_in_titles import OF_NAMES, features_of_names

HIDDEN = 16
NAMES = len(NAME_MATCH_FEATURES) + 1  # and the cosine of the picture with the name
NEW_WIDTH = (
    NAMES + 3
)  # name match, similarity with prototypes by title and features, whether there is a prototype
GATE_WIDTH = 2 * NAMES + 12 + OF_NAMES
SCORE_SPREAD = 3.0  # about the spread of scores by name
LEAST_SPREAD = 1e-4  # standard deviation of a feature
KNOWN_FOR_SURE = 10.0  # log odds where nothing can tell a new class


class Scaler(nn.Module):
    """Features (…, D) of about unit spread; one that never varied in training is 0."""

    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(width))

    def fit(self, features: Tensor) -> None:
        """Learn the spread of each feature from (n, D)."""
        spread = features.std(dim=0) if len(features) > 1 else torch.zeros_like(self.scale)
        # A feature that never varied taught its weights nothing, so it must not count where it does vary.
        self.scale.copy_(spread.masked_fill(spread < LEAST_SPREAD, torch.inf))

    def forward(self, features: Tensor) -> Tensor:
        return features / self.scale


class Calibrator(nn.Module):
    """A correction of a base learner's score by its size and by how many rows the class has, (B, C).

    It starts at 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = _small_network(2)

    def forward(self, scores: Tensor, counts: Tensor) -> Tensor:
        size = (counts.float().log1p() / 5).expand_as(scores)
        return self.hidden(torch.stack([scores, size], dim=-1)).squeeze(-1)


class KnownClassifier(nn.Module):
    """Log probabilities of the known classes, (B, C); others get MASKED_LOGIT. It reads the known classes alone.

    Attributes:
        weights: (2,) of the linear text model's scores and of the base model's log probabilities: with these alone it
            is the product of the two, each to a power.
        corrected: whether the corrections count; 0 leaves the product.

    Source: product of experts, Hinton (2002); Platt scaling (1999) for the calibration.
    """

    corrected: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([2.0, 0.5]))
        self.calibrators = nn.ModuleList([Calibrator(), Calibrator()])
        self.confidence = nn.Linear(5, 2)
        self.names = nn.Linear(NAMES, 1, bias=False)
        self.name_scale = Scaler(NAMES)
        self.register_buffer("corrected", torch.ones(()))
        for layer in (self.confidence, self.names):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.confidence.bias)

    def forward(self, level_zero: LevelZero, classes: ClassFacts) -> Tensor:
        known = level_zero.of_classes(classes.seen_places)
        counts = classes.counts[classes.seen_places]  # (S,)
        nothing = known.similarity[..., 0].float() * 0
        scores = [
            nothing if known.linear_text is None else known.linear_text.float(),
            nothing if known.base is None else log_probabilities(known.base),
        ]
        weights = self.weights.expand(nothing.shape[0], 2)  # a trace knows no `len`
        weights = weights + self.corrected * self.confidence(self._confidence(scores, counts))
        logits = weights[:, :1] * scores[0] + weights[:, 1:] * scores[1]  # (B, S)
        logits = logits + self.corrected * self._corrections(known, scores, counts)
        return classes.spread(logits.log_softmax(dim=1))

    def _confidence(self, scores: list[Tensor], counts: Tensor) -> Tensor:
        """(B, 5): greatest probability and entropy by each base learner, and how many rows the text's classes have."""
        found = []
        for score, weight in zip(scores, (self.weights[0], 1.0), strict=True):
            log = (weight * score).log_softmax(dim=1)
            chances = log.exp()
            found += [chances.amax(dim=1), -(chances * log).sum(dim=1)]
            if len(found) == 2:
                found.append(chances @ counts.float().log1p() / 5)
        return torch.stack(found, dim=1)

    def _corrections(self, known: LevelZero, scores: list[Tensor], counts: Tensor) -> Tensor:
        found = torch.zeros_like(scores[0])
        if known.linear_text is not None:
            found = found + self.calibrators[0](scores[0], counts)
        if known.base is not None:
            found = found + self.calibrators[1](scores[1] / 4, counts)
        return found + self.names(self.name_scale(torch.cat(_names(known), dim=-1))).squeeze(-1)


class NewClassifier(nn.Module):
    """Scores by name match and prototypes, (B, C), which mean the same for every class."""

    def __init__(self) -> None:
        super().__init__()
        self.scaler = Scaler(NEW_WIDTH)
        self.linear = nn.Linear(NEW_WIDTH, 1, bias=False)
        self.hidden = _small_network(NEW_WIDTH, 2 * HIDDEN)
        nn.init.zeros_(self.linear.weight)

    def forward(self, features: Tensor) -> Tensor:
        scaled = self.scaler(features)
        return (self.linear(scaled) + self.hidden(scaled)).squeeze(-1)


class Gate(nn.Module):
    """Log odds (B,) that a product is of a known class, where known and new ones are equally frequent."""

    def __init__(self) -> None:
        super().__init__()
        self.scaler = Scaler(GATE_WIDTH)
        self.linear = nn.Linear(GATE_WIDTH, 1)
        self.hidden = _small_network(GATE_WIDTH, 2 * HIDDEN)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        scaled = self.scaler(features)
        return (self.linear(scaled) + self.hidden(scaled)).squeeze(-1)


class MetaClassifier(nn.Module):
    """Log probabilities of C classes, (B, C).

    Source: stacking, Wolpert, Stacked Generalization (1992); a gate before generalised zero-shot classes, Socher et
    al., Zero-Shot Learning Through Cross-Modal Transfer (2013).
    """

    def __init__(self) -> None:
        super().__init__()
        self.known, self.new, self.gate = KnownClassifier(), NewClassifier(), Gate()
        self.requires_grad_(False)

    def forward(self, level_zero: LevelZero, classes: ClassFacts, allows_unseen: bool = True) -> Tensor:
        known, seen = self.known(level_zero, classes), classes.seen
        if not allows_unseen:
            return known
        new, odds = self.new_and_odds(level_zero, classes, known)
        can_be_new = (classes.nameable(level_zero) & ~seen).any()
        odds = odds + classes.known_log_odds(level_zero)
        odds = torch.where(can_be_new, odds, KNOWN_FOR_SURE)[:, None]
        new = new.masked_fill(seen, MASKED_LOGIT).log_softmax(dim=1)
        return torch.where(seen, known + F.logsigmoid(odds), new + F.logsigmoid(-odds))

    def scores_by_name(self, level_zero: LevelZero, classes: ClassFacts) -> Tensor:
        """(B, C) scores by name and prototypes alone, of known classes too."""
        return self.new(new_features(level_zero, classes))

    @torch.no_grad()
    def use_product(self, powers: tuple[float, float]) -> None:
        """Answer which known class it is by the product of the base learners alone."""
        self.known.weights.copy_(torch.tensor(powers))
        self.known.corrected.zero_()

    def new_and_odds(
        self, level_zero: LevelZero, classes: ClassFacts, known: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, C) scores by name and prototypes, and (B,) log odds of a known class at equal frequencies.

        Args:
            level_zero: of B products.
            classes: facts of C classes.
            known: (B, C) log probabilities of the known classes.
        """
        features = new_features(level_zero, classes)
        scores = self.new(features)
        of_gate = gate_features(level_zero, classes, known.detach(), scores.detach(), features)
        return scores, self.gate(of_gate)


def new_features(level_zero: LevelZero, classes: ClassFacts) -> Tensor:
    """(B, C, NEW_WIDTH): name match, similarity with prototypes, and whether a new class has a prototype."""
    similarity = level_zero.similarity.float()
    has_prototype = (classes.has_prototype & ~classes.seen)[None, :, None].float()
    flags = has_prototype.expand(*similarity.shape[:2], 1)
    return torch.cat([*_names(level_zero), similarity * has_prototype, flags], dim=-1)


def gate_features(
    level_zero: LevelZero, classes: ClassFacts, known: Tensor, scores: Tensor, features: Tensor
) -> Tensor:
    """(B, GATE_WIDTH): how sure the best known class is, and how well its name and that of the best new one match.

    Args:
        level_zero, classes: of B products and C classes, some of them seen and some not.
        known: (B, C) log probabilities of the known classes.
        scores: (B, C) by name and prototypes.
        features: (B, C, NEW_WIDTH) of `new_features`.
    """
    places, nothing = classes.seen_places, scores[:, 0] * 0
    text, base = level_zero.linear_text, level_zero.base
    has_title = level_zero.name_match is not None  # names in titles do not count for a picture alone
    known, of_known = known[:, places], scores[:, places]  # (B, S)
    best_known = known.argmax(dim=1)
    of_new = scores.masked_fill(classes.seen, MASKED_LOGIT)
    names_of_known = _of_class(features, places[best_known])[:, :NAMES]
    best_new = of_new.argmax(dim=1)
    of_best_new = _of_class(features, best_new)
    columns = [
        known.amax(dim=1),
        -(known.exp() * known).sum(dim=1),
        classes.counts[places].float().log1p()[best_known],
        nothing if text is None else text[:, places].float().amax(dim=1),
        nothing if base is None else log_probabilities(base[:, places]).amax(dim=1),
        of_new.amax(dim=1) / SCORE_SPREAD,
        of_new.logsumexp(dim=1) / SCORE_SPREAD,
        of_known.amax(dim=1) / SCORE_SPREAD,
        of_known.gather(1, best_known[:, None]).squeeze(1) / SCORE_SPREAD,
        of_best_new[:, -1],
    ]
    return torch.cat(
        [
            torch.stack(columns, dim=1), names_of_known, of_best_new[:, :NAMES], of_best_new[:, NAMES:-1],
            features_of_names(classes, best_new, best_known) * has_title,
        ],
        dim=1,
    )  # fmt: skip


def _of_class(values: Tensor, classes: Tensor) -> Tensor:
    """(B, D) of (B, C, D), each product's for one class, (B,)."""
    return values.gather(1, classes[:, None, None].expand(-1, 1, values.shape[2])).squeeze(1)


def _names(level_zero: LevelZero) -> list[Tensor]:
    """How well names match the title, (B, C, NAMES - 1), and the picture, (B, C, 1); 0 where there is none."""
    nothing = level_zero.similarity[..., :1].float() * 0
    of_title, of_picture = level_zero.name_match, level_zero.picture_match
    return [
        nothing.expand(*nothing.shape[:2], NAMES - 1) if of_title is None else of_title.float(),
        nothing if of_picture is None else of_picture.float()[..., None],
    ]


def _small_network(width: int, hidden: int = HIDDEN) -> nn.Sequential:
    """A network that starts at 0."""
    layers = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 1))
    nn.init.zeros_(layers[2].weight)  # pyright: ignore
    nn.init.zeros_(layers[2].bias)  # pyright: ignore
    return layers
