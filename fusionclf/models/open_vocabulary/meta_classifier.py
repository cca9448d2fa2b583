"""The meta-classifier (level 1): what base learners and name-match features say of a product and a class → a logit.

All classes share its weights, except for a few weights of each class where no class is unseen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH_FEATURES

MODALITIES = ("both", "title", "picture")  # which modalities of a product are available
HIDDEN = 32
LEAST_LOG_PROBABILITY = -12.0
LEAST_SPREAD = 1e-4  # standard deviation of a feature
BATCH = 512
STEPS = {"both": 1800, "title": 600, "picture": 600}  # at most
SHOWN_TIMES = 100  # each product at most, of a small catalog; but LEAST_STEPS are made
LEAST_STEPS = 300
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2
CLASS_WEIGHT_DECAY = 2.0  # of a class's own weights, which few products determine
MASKED_LOGIT = -1e4
# Blocks of features. `seen` is zero for unseen classes, the others are zero for seen ones.
META_FEATURES: dict[str, tuple[str, ...]] = {
    "seen": ("linear_text", "base", *NAME_MATCH_FEATURES),
    "unseen": (*NAME_MATCH_FEATURES, "bias"),
    "prototypes": ("title", "features", "bias"),
}
WIDTH = sum(map(len, META_FEATURES.values()))
# One more block where an aligned picture encoder compares the picture with the names of seen and unseen classes.
PICTURE_MATCH = ("seen", "unseen")
MetaFeatures = dict[str, Tensor]  # block of META_FEATURES, and maybe "picture_match" → (B, C, its width)


@dataclass(frozen=True)
class LevelZero:
    """What the base learners give for B products and C classes.

    Attributes:
        base: (B, C) logits of the probe of the base model's features; None where it reads nothing of the product.
        linear_text: (B, C) scores of the linear text model.
        name_match: (B, C, 10) name-match features.
        similarity: (B, C, 2) cosines with the prototypes of classes that have some, by title and by features.
        picture_match: (B, C) cosines of pictures with class names; None without an aligned picture encoder.
    """

    base: Tensor | None
    linear_text: Tensor
    name_match: Tensor
    similarity: Tensor
    picture_match: Tensor | None = None


def meta_features(level_zero: LevelZero, modality: str, seen: Tensor, has_prototype: Tensor) -> MetaFeatures:
    """Block → (B, C, width), with zeros for what the modality does not give.

    Args:
        level_zero: of B products.
        modality: one of MODALITIES.
        seen: (C,) classes with training rows.
        has_prototype: (C,) classes with prototypes.
    """
    known = seen[None, :, None]  # (1, C, 1)
    linear_text = level_zero.linear_text.float()
    name_match, similarity = level_zero.name_match.float(), level_zero.similarity.float()
    base = torch.zeros_like(linear_text)
    if level_zero.base is not None:
        base = _log_probabilities(level_zero.base, seen)
    if modality == "picture":
        linear_text, name_match = torch.zeros_like(linear_text), torch.zeros_like(name_match)
        similarity = similarity * similarity.new_tensor([0, 1])
    elif modality == "title":
        similarity = similarity * similarity.new_tensor([1, 0])
    learners = torch.stack([linear_text, base], dim=-1)  # (B, C, 2)
    unseen = (~known).float()
    with_prototype = (has_prototype[None, :, None] & ~known).float()
    one = torch.ones_like(name_match[:, :, :1])
    found = {
        "seen": torch.cat([learners.masked_fill(~known, 0.0), name_match * known], dim=-1),
        "unseen": torch.cat([name_match * unseen, one * unseen], dim=-1),
        "prototypes": torch.cat([similarity * with_prototype, one * with_prototype], dim=-1),
    }
    if level_zero.picture_match is not None:
        cosine = level_zero.picture_match.float().unsqueeze(-1) * (modality != "title")
        found["picture_match"] = torch.cat([cosine * known, cosine * unseen], dim=-1)
    return found


def _log_probabilities(logits: Tensor, seen: Tensor) -> Tensor:
    """(B, C) among the seen classes; none is below LEAST_LOG_PROBABILITY."""
    return logits.float().masked_fill(~seen, -torch.inf).log_softmax(dim=1).clamp_min(LEAST_LOG_PROBABILITY)


@dataclass(frozen=True)
class MetaTrainingFold:
    """Query rows, and the predictions of base learners that saw neither these rows nor the unseen classes.

    Attributes:
        base: modality → (n, C) logits; without "title" where the base model reads no titles.
        linear_text: (n, C) scores of the linear text model.
        name_match: (n, C, 10) name-match features.
        similarity: modality → (n, C, 2) cosines with prototypes; "title" has those of "both".
        targets: (n,) class numbers.
        weights: (n,) weights of the rows.
        seen: (C,) whether the base learners were fitted on the class.
        has_prototype: (C,) whether an unseen class has support rows.
        has_picture, has_title: (n,) whether a product has one; None: all have.
        picture_match: (n, C) cosines of pictures with class names; None without an aligned picture encoder.
    """

    base: Mapping[str, Tensor]
    linear_text: Tensor
    name_match: Tensor
    similarity: Mapping[str, Tensor]
    targets: Tensor
    weights: Tensor
    seen: Tensor
    has_prototype: Tensor
    has_picture: Tensor | None = None
    has_title: Tensor | None = None
    picture_match: Tensor | None = None

    def features(self, modality: str, rows: Tensor | slice = slice(None)) -> MetaFeatures:
        """Block → (b, C, width) of some rows."""
        base, similarity = self.base.get(modality), self.similarity.get(modality, self.similarity["both"])
        level_zero = LevelZero(
            None if base is None else base[rows], self.linear_text[rows], self.name_match[rows],
            similarity[rows], None if self.picture_match is None else self.picture_match[rows],
        )  # fmt: skip
        return meta_features(level_zero, modality, self.seen, self.has_prototype)

    def subset(self, rows: Tensor) -> "MetaTrainingFold":
        """The same fold with some of its rows, (k,) places."""
        return replace(
            self,
            base={modality: logits[rows] for modality, logits in self.base.items()},
            similarity={modality: values[rows] for modality, values in self.similarity.items()},
            linear_text=self.linear_text[rows], name_match=self.name_match[rows],
            targets=self.targets[rows], weights=self.weights[rows],
            has_picture=None if self.has_picture is None else self.has_picture[rows],
            has_title=None if self.has_title is None else self.has_title[rows],
            picture_match=None if self.picture_match is None else self.picture_match[rows],
        )  # fmt: skip

    def with_modality(self, modality: str) -> "MetaTrainingFold":
        """The rows that have what a meta-classifier reads: both, a title or a picture."""
        needed = {
            "both": (self.has_picture, self.has_title),
            "title": (self.has_title,),
            "picture": (self.has_picture,),
        }
        masks = [mask for mask in needed[modality] if mask is not None]
        rows = torch.stack([torch.ones(len(self.targets), dtype=torch.bool), *masks]).all(dim=0)
        return self if rows.all() else self.subset(rows.nonzero().squeeze(1))

    def row_weights(self, modality: str) -> Tensor:
        """(n,) weights; 0 for rows whose picture cannot identify their class: known by a name for titles alone."""
        if modality != "picture" or self.picture_match is not None:
            return self.weights
        return self.weights * (self.seen | self.has_prototype)[self.targets]


class MetaClassifier(nn.Module):
    """A logit for each (product, class) pair: meta-features (B, C, width) → (B, C).

    All classes share a linear layer and a few hidden units; where no class is unseen, each has some weights of its own.

    Args:
        classes: number of classes that have own weights, on the features of the block `seen`; 0: all are shared.
        reads_picture_match: whether the features have that block.

    Source: stacking, Wolpert, Stacked Generalization (1992).
    """

    scale: Tensor
    class_weights: nn.Parameter | None

    def __init__(self, classes: int = 0, reads_picture_match: bool = False) -> None:
        super().__init__()
        width = WIDTH + len(PICTURE_MATCH) * reads_picture_match
        self.register_buffer("scale", torch.ones(width))
        own = torch.zeros(classes, len(META_FEATURES["seen"]))
        self.class_weights = nn.Parameter(own) if classes else None
        self.linear = nn.Linear(width, 1, bias=False)
        self.hidden = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
        nn.init.zeros_(self.linear.weight)
        self.requires_grad_(False)

    def forward(self, features: MetaFeatures) -> Tensor:
        scaled = concatenated(features) / self.scale
        logits = (self.linear(scaled) + self.hidden(scaled)).squeeze(-1)
        if self.class_weights is None:
            return logits
        own = features["seen"] / self.scale[: features["seen"].shape[-1]]  # the first block
        return logits + (own * self.class_weights).sum(dim=-1)


def concatenated(features: MetaFeatures) -> Tensor:
    """(B, C, width) all blocks, in the order of META_FEATURES, then that of picture match where there is one."""
    return torch.cat(list(features.values()), dim=-1)


def fit_meta_classifiers(
    folds: Sequence[MetaTrainingFold],
    groups: Sequence[Tensor],
    classes: int,
    seed: int,
    modalities: Sequence[str] = MODALITIES,
    on_step: Callable[[], None] = lambda: None,
) -> dict[str, MetaClassifier]:
    """Modality → a meta-classifier.

    Args:
        folds: each with other unseen classes.
        groups: (C,) masks of classes that are also candidates among themselves, such as a part of the split.
        classes: as of MetaClassifier.
        seed: of order and first weights.
        modalities: which to fit.
        on_step: called after each of `count_steps` steps.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        has_match = folds[0].picture_match is not None
        found = {modality: MetaClassifier(classes, has_match) for modality in modalities}
        for modality, classifier in found.items():
            _fit(classifier, _with_modality(folds, modality), groups, modality, on_step)
    return found


def _fit(
    classifier: MetaClassifier,
    folds: Sequence[MetaTrainingFold],
    groups: Sequence[Tensor],
    modality: str,
    on_step: Callable[[], None],
) -> None:
    """Train a new meta-classifier, on each fold as often as on the others."""
    classifier.requires_grad_(True)
    some = [concatenated(fold.features(modality, slice(None, None, 7))).flatten(0, 1) for fold in folds]
    spread = torch.cat(some).std(dim=0)
    del some
    # A feature that never varied taught its weights nothing, so it must not count where it does vary.
    classifier.scale.copy_(spread.masked_fill(spread < LEAST_SPREAD, torch.inf))
    steps = _steps(folds, modality)
    weights: list[dict[str, Any]] = [
        {"params": [*classifier.linear.parameters(), *classifier.hidden.parameters()]}
    ]
    if classifier.class_weights is not None:
        weights.append({"params": [classifier.class_weights], "weight_decay": CLASS_WEIGHT_DECAY})
    optimiser = torch.optim.AdamW(weights, LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    for fold, rows in _batches(folds, steps):
        logits = classifier(fold.features(modality, rows))
        optimiser.zero_grad()
        _loss(logits, fold.targets[rows], fold.row_weights(modality)[rows], groups).backward()
        optimiser.step()
        schedule.step()
        on_step()
    classifier.requires_grad_(False)


def count_steps(folds: Sequence[MetaTrainingFold], modalities: Sequence[str] = MODALITIES) -> int:
    """How many steps `fit_meta_classifiers` takes."""
    return sum(_steps(_with_modality(folds, modality), modality) for modality in modalities)


def _steps(folds: Sequence[MetaTrainingFold], modality: str) -> int:
    rows = sum(len(fold.targets) for fold in folds)
    return min(STEPS[modality], max(LEAST_STEPS, SHOWN_TIMES * rows // BATCH))


def _with_modality(folds: Sequence[MetaTrainingFold], modality: str) -> list[MetaTrainingFold]:
    """The folds' rows that have what a meta-classifier reads; all of them where none has."""
    found = [fold.with_modality(modality) for fold in folds]
    return [fold for fold in found if len(fold.targets)] or list(folds)


def _batches(folds: Sequence[MetaTrainingFold], steps: int) -> Iterator[tuple[MetaTrainingFold, Tensor]]:
    while True:
        batches = [(fold, rows) for fold in folds for rows in torch.randperm(len(fold.targets)).split(BATCH)]
        for number in torch.randperm(len(batches)).tolist():
            if steps == 0:
                return
            steps -= 1
            yield batches[number]


def _loss(logits: Tensor, targets: Tensor, weights: Tensor, groups: Sequence[Tensor]) -> Tensor:
    """Weighted cross-entropy among all classes, and among those of the group that the product is in."""
    losses = F.cross_entropy(logits, targets, reduction="none")
    for group in groups:
        inside = group[targets]
        if inside.any():
            masked = logits[inside].masked_fill(~group, MASKED_LOGIT)
            places = inside.nonzero().squeeze(1)
            own = F.cross_entropy(masked, targets[inside], reduction="none")
            losses = losses.index_add(0, places, own)
    return (losses * weights).sum() / weights.sum().clamp_min(1e-9)
