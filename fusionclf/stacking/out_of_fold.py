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
from fusionclf.stacking.folds import BRAND, CLASS_FOLDS, FoldPlan


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
    by_brand: Mapping[int, PlacedFold],
    folds: Sequence[PlacedFold],
    groups: Sequence[Tensor],
    seed: int,
    console: Console,
) -> OutOfFoldPredictions:
    """Predictions for the folds of brands, by meta-classifiers that were fitted without these brands.

    The head's own meta-classifiers are fitted on all folds, so their predictions for these rows would be too good.

    Args:
        data: all rows.
        plan: which rows are in which fold.
        by_brand: number → fold of brands.
        folds: all folds, those of brands included.
        groups: as of `fit_meta_classifiers`.
        seed: of order and first weights.
        console: where progress shows.

    Raises:
        RunError: there are too few rows to hold some of them out.
    """
    classes = 0 if data.allows_unseen else data.classes
    masks, fold_of = data.modality_masks(), plan.fold_of[BRAND]
    rows, logits, seen = [], [], []
    for turn in range(CLASS_FOLDS):
        numbers = [number for number in by_brand if number % CLASS_FOLDS == turn]
        others = _without(folds, np.isin(fold_of, numbers))
        if not numbers or not others:
            continue
        title = f"meta-classifiers {turn + 1} of {CLASS_FOLDS} for held-out rows"
        with console.progress(title, count_steps(others, list(masks))) as on_step:
            fitted = fit_meta_classifiers(others, groups, classes, seed, list(masks), on_step)
        for number in numbers:
            fold, query = by_brand[number]
            for modality, mask in masks.items():
                wanted = np.flatnonzero((fold_of[query] == number) & mask[query])
                logits += _predict(fitted[modality], fold, modality, wanted, data.allows_unseen)
                rows.append(data.rows[query[wanted]])
                seen.append(np.broadcast_to(fold.seen.numpy(), (len(wanted), len(fold.seen))))
    if not rows:
        raise data.too_few()
    return OutOfFoldPredictions(np.concatenate(rows), np.concatenate(logits), np.concatenate(seen))


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
