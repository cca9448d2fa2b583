"""Out-of-fold predictions: what a stacked head answers for rows that it was not fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusionclf.console import Console
from fusionclf.models.open_vocabulary.meta_classifier import (
    MASKED_LOGIT,
    MetaClassifier,
    MetaTrainingFold,
    count_steps,
    fit_meta_classifiers,
)
from fusionclf.stacking.base_learners import ROWS_AT_ONCE, PlacedFold, StackingData
from fusionclf.stacking.folds import BRAND, CLASS_FOLDS, RANDOM, FoldPlan


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Predictions for held-out rows, each row once.

    Attributes:
        rows: (n,) catalog rows.
        logits: (n, C).
        seen: (n, C) whether the model that predicted was trained on the class.
    """

    rows: np.ndarray
    logits: np.ndarray
    seen: np.ndarray


@torch.no_grad()
def predict_out_of_fold(
    data: StackingData,
    plan: FoldPlan,
    folds: Mapping[str, Mapping[int, PlacedFold]],
    groups: Sequence[Tensor],
    seed: int,
    console: Console,
) -> OutOfFoldPredictions:
    """Predictions for held-out rows, by base learners and meta-classifiers that were fitted without these rows.

    The head's own meta-classifiers are fitted on all folds, so their predictions for these rows would be too good. A
    row is predicted in its fold of brands; in its random fold where the former leaves no row of its class to fit on
    (one brand alone has the class, or the fold holds the class out); not at all where both leave none. So predictions
    are those of a model that knows the class, as the run's own model does.

    Args:
        data: all rows.
        plan: which rows are in which fold.
        folds: kind → number → fold.
        groups: as of `fit_meta_classifiers`.
        seed: of order and first weights.
        console: where progress shows.
    """
    classes = 0 if data.allows_unseen else data.classes
    masks, brand = data.modality_masks(), plan.fold_of[BRAND]
    every, answering = (
        [placed for kind in folds.values() for placed in kind.values()],
        _answering(data, folds),
    )
    places, logits, seen = [], [np.zeros((0, data.classes), np.float32)], []
    for turn in range(CLASS_FOLDS):
        own = [(placed, wanted) for number, placed, wanted in answering if number % CLASS_FOLDS == turn]
        held_out = brand % CLASS_FOLDS == turn
        for (_, query), wanted in own:
            held_out[query[wanted]] = True
        others = _without(every, held_out)
        if not own or not others:
            continue
        title = f"meta-classifiers {turn + 1} of {CLASS_FOLDS} for held-out rows"
        with console.progress(title, count_steps(others, list(masks))) as on_step:
            fitted = fit_meta_classifiers(others, groups, classes, seed, list(masks), on_step)
        for (fold, query), wanted in own:
            for modality, mask in masks.items():
                some = wanted[mask[query[wanted]]]
                logits += _predict(fitted[modality], fold, modality, some, data.allows_unseen)
                places.append(query[some])
                seen.append(np.broadcast_to(fold.seen.numpy(), (len(some), data.classes)))
    rows = data.rows[np.concatenate([np.zeros(0, np.int64), *places])]
    return OutOfFoldPredictions(
        rows, np.concatenate(logits), np.concatenate([np.zeros((0, data.classes), bool), *seen])
    )


def _answering(
    data: StackingData, folds: Mapping[str, Mapping[int, PlacedFold]]
) -> list[tuple[int, PlacedFold, np.ndarray]]:
    """Number, fold and the query rows that it predicts, by place among them; each row is in the first that can."""
    left, found = np.ones(len(data.rows), bool), []
    for kind in (BRAND, RANDOM):
        for number, (fold, query) in folds[kind].items():
            wanted = np.flatnonzero(left[query] & fold.seen.numpy()[data.targets[query]])
            left[query[wanted]] = False
            found.append((number, (fold, query), wanted))
    return found


def _without(folds: Sequence[PlacedFold], held_out: np.ndarray) -> list[MetaTrainingFold]:
    """The folds without the query rows of an (n,) mask."""
    left = [fold.subset(torch.from_numpy(np.flatnonzero(~held_out[query]))) for fold, query in folds]
    return [fold for fold in left if len(fold.targets)]


def _predict(
    classifier: MetaClassifier,
    fold: MetaTrainingFold,
    modality: str,
    places: np.ndarray,
    allows_unseen: bool,
) -> list[np.ndarray]:
    """Logits (b, C) of some query rows, chunk by chunk."""
    found = []
    for chunk in torch.from_numpy(places).split(ROWS_AT_ONCE):
        logits = classifier(fold.features(modality, chunk))
        if not allows_unseen:
            logits = logits.masked_fill(~fold.seen, MASKED_LOGIT)
        found.append(logits.numpy())
    return found
