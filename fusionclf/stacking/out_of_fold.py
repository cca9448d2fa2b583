"""Out-of-fold predictions: what a stacked head answers for rows that it was not fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fusionclf.console import Console
from fusionclf.models.open_vocabulary.meta_training import (
    MetaTrainingFold,
    count_steps,
    fit_meta_classifiers,
)
from fusionclf.stacking.base_learners import ROWS_AT_ONCE, PlacedFold, StackingData
from fusionclf.stacking.folds import BRAND, CLASS_FOLDS, FoldPlan
from fusionclf.stacking.part_answers import PartAnswers, answers_of_parts, join_folds


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Predictions for held-out rows, each row once.

    Attributes:
        rows: (n,) catalog rows.
        logits: (n, C).
        seen: (n, C) whether the model that predicted was trained on the class.
        parts: what each part of a stacked head answers for those with a picture and a title; None: not a stacked head.
    """

    rows: np.ndarray
    logits: np.ndarray
    seen: np.ndarray
    parts: PartAnswers | None = None


@torch.no_grad()
def predict_out_of_fold(
    data: StackingData,
    plan: FoldPlan,
    by_brand: Mapping[int, PlacedFold],
    folds: Sequence[PlacedFold],
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
        seed: of order and first weights.
        console: where progress shows.

    Raises:
        RunError: there are too few rows to hold some of them out.
    """
    masks, fold_of = data.modality_masks(), plan.fold_of[BRAND]
    rows, logits, seen, parts = [], [], [], []
    for turn in range(CLASS_FOLDS):
        numbers = [number for number in by_brand if number % CLASS_FOLDS == turn]
        others = _without(folds, np.isin(fold_of, numbers))
        if not numbers or not others:
            continue
        title = f"meta-classifiers {turn + 1} of {CLASS_FOLDS} for held-out rows"
        with console.progress(title, count_steps(others, list(masks))) as on_step:
            fitted = fit_meta_classifiers(others, seed, list(masks), on_step)
        for number in numbers:
            fold, query = by_brand[number]
            for modality, mask in masks.items():
                wanted = np.flatnonzero((fold_of[query] == number) & mask[query])
                for places in np.array_split(wanted, -(-len(wanted) // ROWS_AT_ONCE) or 1):
                    level_zero = fold.level_zero(modality, torch.from_numpy(places))
                    found = fitted[modality](level_zero, fold.classes, data.allows_unseen).numpy()
                    logits.append(found)
                    if modality == "both" and len(places):
                        own = answers_of_parts(fitted[modality], fold, places, found, seed)
                        parts.append((data.rows[query[places]], own))
                rows.append(data.rows[query[wanted]])
                seen.append(np.broadcast_to(fold.classes.seen.numpy(), (len(wanted), data.classes)))
    if not rows:
        raise data.too_few()
    return OutOfFoldPredictions(
        np.concatenate(rows), np.concatenate(logits), np.concatenate(seen),
        join_folds([own for own, _ in parts], [own for _, own in parts]),
    )  # fmt: skip


def _without(folds: Sequence[PlacedFold], held_out: np.ndarray) -> list[MetaTrainingFold]:
    """The folds without the query rows of an (n,) mask."""
    left = [fold.subset(torch.from_numpy(np.flatnonzero(~held_out[query]))) for fold, query in folds]
    return [fold for fold in left if len(fold.targets)]
