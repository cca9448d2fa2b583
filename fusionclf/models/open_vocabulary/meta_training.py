"""Meta-training folds, and the meta-classifiers that are fitted on them."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fusionclf.batches.disk import large_zeros
from fusionclf.batches.threads import core_threads
from fusionclf.models.open_vocabulary.level_zero import MODALITIES, ClassFacts, LevelZero
from fusionclf.models.open_vocabulary.meta_classifier import (
    NEW_WIDTH,
    MetaClassifier,
    gate_features,
    new_features,
)

BATCH = 256
MOST_CLASSES = 256  # for more, a batch has fewer rows, so that a step takes no longer
ROWS_AT_ONCE = 64  # whose hidden layers fit into the cache of a core
MOST_SCALED = 2**21  # pairs that the spread of features is learned from: 0.1 GB
STEPS = {"both": 700, "title": 300, "picture": 300}  # at most
SHOWN_TIMES = 50  # each product at most, of a small catalog; but LEAST_STEPS are made
LEAST_STEPS = 300
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-2


@dataclass(frozen=True)
class MetaTrainingFold:
    """Query rows, and the predictions of base learners that saw neither these rows nor the unseen classes.

    Attributes:
        base: modality → (m, C) logits; without "title" where the base model reads no titles.
        linear_text: (m, C) scores of the linear text model.
        name_match: (N, C, 10) name-match features, which all folds share.
        similarity: modality → (m, P, 2) cosines with prototypes; "title" has those of "both".
        targets: (n,) class numbers.
        weights: (n,) weights of the rows in the question whether a class is known.
        classes: how many rows of each class the base learners were fitted on, and which have support rows.
        has_picture, has_title: (n,) whether a product has one; None: all have.
        picture_match: (N, C) cosines of pictures with class names, which all folds share; None without an aligned
            picture encoder.
        places: (n,) of the rows among the m; None: all of them.
        shared_places: (n,) of the rows among the N; None: as `places`.
        with_prototype: (P,) places of the classes in `similarity`; 0 is that of the others. None: all of them.
    """

    base: Mapping[str, Tensor]
    linear_text: Tensor
    name_match: Tensor
    similarity: Mapping[str, Tensor]
    targets: Tensor
    weights: Tensor
    classes: ClassFacts
    has_picture: Tensor | None = None
    has_title: Tensor | None = None
    picture_match: Tensor | None = None
    places: Tensor | None = None
    shared_places: Tensor | None = None
    with_prototype: Tensor | None = None

    def level_zero(self, modality: str, rows: Tensor | slice = slice(None)) -> LevelZero:
        """What the base learners give for some rows."""
        base, similarity = self.base.get(modality), self.similarity.get(modality, self.similarity["both"])
        own = rows if self.places is None else self.places[rows]
        shared = own if self.shared_places is None else self.shared_places[rows]
        found = LevelZero(
            None if base is None else base[own], self.linear_text[own], self.name_match[shared],
            self._of_all_classes(similarity[own]),
            None if self.picture_match is None else self.picture_match[shared],
        )  # fmt: skip
        return found.of_modality(modality)

    def _of_all_classes(self, similarity: Tensor) -> Tensor:
        """(b, C, 2) of (b, P, 2)."""
        if self.with_prototype is None:
            return similarity
        found = similarity.new_zeros(len(similarity), self.linear_text.shape[1], 2)
        found[:, self.with_prototype] = similarity
        return found

    def subset(self, rows: Tensor) -> "MetaTrainingFold":
        """The same fold with some of its rows, (k,) places; what is large is shared, not copied."""
        return replace(
            self,
            targets=self.targets[rows], weights=self.weights[rows],
            has_picture=None if self.has_picture is None else self.has_picture[rows],
            has_title=None if self.has_title is None else self.has_title[rows],
            places=rows if self.places is None else self.places[rows],
            shared_places=None if self.shared_places is None else self.shared_places[rows],
        )  # fmt: skip

    @property
    def pairs(self) -> int:
        """Number of pairs of a row and a class."""
        return len(self.targets) * self.linear_text.shape[1]

    def with_modality(self, modality: str) -> "MetaTrainingFold":
        """The rows that have what a meta-classifier reads: both, a title or a picture.

        Most picture encoders cannot identify a class that is known by its name alone: such rows do not count for them.
        """
        can_be_named = None
        if self.picture_match is None:
            can_be_named = (self.classes.seen | self.classes.has_prototype)[self.targets]
        needed = {
            "both": (self.has_picture, self.has_title),
            "title": (self.has_title,),
            "picture": (self.has_picture, can_be_named),
        }
        masks = [mask for mask in needed[modality] if mask is not None]
        rows = torch.stack([torch.ones(len(self.targets), dtype=torch.bool), *masks]).all(dim=0)
        return self if rows.all() else self.subset(rows.nonzero().squeeze(1))


def fit_meta_classifiers(
    folds: Sequence[MetaTrainingFold],
    seed: int,
    modalities: Sequence[str] = MODALITIES,
    on_step: Callable[[], None] = lambda: None,
) -> dict[str, MetaClassifier]:
    """Modality → a meta-classifier, for known and new classes that are equally frequent.

    Args:
        folds: each with other unseen classes, or none with any.
        seed: of order and first weights.
        modalities: which to fit.
        on_step: called after each of `count_steps` steps, one call at a time.
    """
    return fit_several([folds], seed, modalities, on_step)[0]


def fit_several(
    several: Sequence[Sequence[MetaTrainingFold]],
    seed: int,
    modalities: Sequence[str],
    on_step: Callable[[], None] = lambda: None,
) -> list[dict[str, MetaClassifier]]:
    """As `fit_meta_classifiers`, for each of several lists of folds.

    All are fitted side by side: the operations of a step are too small for many cores.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = {modality: MetaClassifier() for modality in modalities}
        order = torch.get_rng_state()
    found = [copy.deepcopy(first) for _ in several]
    stepping = Lock()

    def one_by_one() -> None:
        with stepping:
            on_step()

    def fit(folds: Sequence[MetaTrainingFold], classifier: MetaClassifier, modality: str) -> None:
        generator = torch.Generator().set_state(order)
        _fit(classifier, _with_modality(folds, modality), modality, generator, one_by_one)

    with core_threads(max(len(several) * len(modalities), 1)) as pool:
        jobs = [
            pool.submit(fit, folds, classifier, modality)
            for folds, classifiers in zip(several, found, strict=True)
            for modality, classifier in classifiers.items()
        ]
        for job in jobs:
            job.result()
    return found


@torch.enable_grad()
def _fit(
    classifier: MetaClassifier,
    folds: Sequence[MetaTrainingFold],
    modality: str,
    order: torch.Generator,
    on_step: Callable[[], None],
) -> None:
    """Train a new meta-classifier, on each fold as often as on the others."""
    classifier.requires_grad_(True)
    _fit_scales(classifier, folds, modality)
    steps = _steps(folds, modality)
    optimiser = torch.optim.AdamW(
        classifier.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
    )
    schedule: Any = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    for fold, rows in _batches(folds, steps, order):
        optimiser.zero_grad()
        _loss(classifier, fold, rows, modality).backward()
        optimiser.step()
        schedule.step()
        on_step()
    classifier.requires_grad_(False)


@torch.no_grad()
def _fit_scales(classifier: MetaClassifier, folds: Sequence[MetaTrainingFold], modality: str) -> None:
    """Learn the spread of features from every seventh row, or fewer where there are very many pairs."""
    step = max(7, -(-sum(fold.pairs for fold in folds) // MOST_SCALED))
    counts = [len(fold.targets[::step]) * fold.linear_text.shape[1] for fold in folds]
    of_new, of_gate, start = torch.from_numpy(large_zeros((sum(counts), NEW_WIDTH))), [], 0
    for fold, count in zip(folds, counts, strict=True):
        level_zero, seen = fold.level_zero(modality, slice(None, None, step)), fold.classes.seen
        features = new_features(level_zero, fold.classes)
        of_new[start : start + count] = features.flatten(0, 1)
        start += count
        if not seen.all():
            known = classifier.known(level_zero, fold.classes)
            of_gate.append(gate_features(level_zero, fold.classes, known, features[..., 0], features))
    classifier.new.scaler.fit(of_new)
    classifier.known.name_scale.fit(of_new[:, : len(classifier.known.name_scale.scale)])
    if of_gate:
        classifier.gate.scaler.fit(torch.cat(of_gate))


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


def _batches(
    folds: Sequence[MetaTrainingFold], steps: int, order: torch.Generator
) -> Iterator[tuple[MetaTrainingFold, Tensor]]:
    size = max(1, BATCH * MOST_CLASSES // max(folds[0].linear_text.shape[1], MOST_CLASSES))
    while True:
        batches = [
            (fold, rows)
            for fold in folds
            for rows in torch.randperm(len(fold.targets), generator=order).split(size)
        ]
        for number in torch.randperm(len(batches), generator=order).tolist():
            if steps == 0:
                return
            steps -= 1
            yield batches[number]


def _loss(classifier: MetaClassifier, fold: MetaTrainingFold, rows: Tensor, modality: str) -> Tensor:
    """The sum of three cross-entropies: of known classes, of new ones, and of whether a class is known.

    Gradients pass only through what a loss depends on: products of known classes with the known classes, and products
    of new classes with the new ones.
    """
    classes, seen = fold.classes, fold.classes.seen
    is_known = seen[fold.targets[rows]]
    rows, count = torch.cat([rows[is_known], rows[~is_known]]), int(is_known.sum())
    targets, level_zero = fold.targets[rows], fold.level_zero(modality, rows)
    known = classifier.known(level_zero.rows(slice(count)), classes)
    loss = F.nll_loss(known, targets[:count]) if count else known.sum()
    if seen.all():
        return loss
    with torch.no_grad():
        of_others = classifier.known(level_zero.rows(slice(count, None)), classes)
        features = new_features(level_zero, classes)
        scores = torch.cat([classifier.new(some) for some in features.split(ROWS_AT_ONCE)])
        of_gate = gate_features(level_zero, classes, torch.cat([known, of_others]), scores, features)
    weights = fold.weights[rows]
    if count < len(rows):
        own, place = classifier.new(features[count:, ~seen]), (~seen).cumsum(0) - 1
        losses = F.cross_entropy(own, place[targets[count:]], reduction="none")
        loss = loss + _mean(losses, weights[count:])
    is_known = torch.arange(len(rows)) < count
    losses = F.binary_cross_entropy_with_logits(classifier.gate(of_gate), is_known.float(), reduction="none")
    return loss + _mean(losses, weights)


def _mean(losses: Tensor, weights: Tensor) -> Tensor:
    return (losses * weights).sum() / weights.sum().clamp_min(1e-9)
