"""Out-of-fold predictions: what a stacked head answers for rows that it was not fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fusionclf.console import Console
from fusionclf.models.open_vocabulary.level_zero import MASKED_LOGIT
from fusionclf.models.open_vocabulary.meta_classifier import MetaClassifier
from fusionclf.models.open_vocabulary.meta_training import (
    MetaTrainingFold,
    count_steps,
    fit_meta_classifiers,
)
from fusionclf.stacking.base_learners import ROWS_AT_ONCE, PlacedFold, StackingData
from fusionclf.stacking.folds import BRAND, CLASS_FOLDS, RANDOM, FoldPlan
from fusionclf.stacking.part_answers import PartAnswers, answers_of_parts, join_folds
from fusionclf.training.accelerator import give_back_memory

HeldOut = tuple[
    int, PlacedFold, np.ndarray
]  # number of a fold, the fold, and the query rows that it predicts


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Predictions for held-out rows, each row once, by a model that was fitted on other rows of its class.

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
    folds: Mapping[str, Mapping[int, PlacedFold]],
    seed: int,
    console: Console,
) -> OutOfFoldPredictions:
    """Predictions of each row by its brand fold, or by its random fold where that has not seen its class.

    Candidates are those of the model that is trained on all rows, without the classes that only the fold has not seen.

    The meta-classifiers are fitted without these rows and without their brands; a row whose class neither fold has seen
    is left out, because the model that is trained on all rows knows it better.

    Args:
        data: all rows.
        plan: which rows are in which fold.
        folds: kind → number → fold.
        seed: of order and first weights.
        console: where progress shows.
    """
    masks, brand = data.modality_masks(), plan.fold_of[BRAND]
    every = [placed for kind in folds.values() for placed in kind.values()]
    answering = _answering(data, folds)
    places, logits, seen = [], [np.zeros((0, data.classes), np.float32)], []
    parts = []
    for turn in range(CLASS_FOLDS):
        own = [(placed, wanted) for number, placed, wanted in answering if number % CLASS_FOLDS == turn]
        held_out = brand % CLASS_FOLDS == turn
        for (_, query), wanted in own:
            held_out[query[wanted]] = True
        others = _without(every, held_out)
        if not own or not others:
            continue
        give_back_memory()
        title = f"meta-classifiers {turn + 1} of {CLASS_FOLDS} for held-out rows"
        with console.progress(title, count_steps(others, list(masks))) as on_step:
            fitted = fit_meta_classifiers(others, seed, list(masks), on_step)
        for (fold, query), wanted in own:
            for modality, mask in masks.items():
                some = wanted[mask[query[wanted]]]
                found = _predict(fitted[modality], fold, modality, some, data)
                logits.append(found)
                places.append(query[some])
                seen.append(np.broadcast_to(fold.classes.seen.numpy(), (len(some), data.classes)))
                if modality == "both" and len(some):
                    own_parts = answers_of_parts(fitted[modality], fold, some, found, seed)
                    parts.append((data.rows[query[some]], own_parts))
    rows = data.rows[np.concatenate([np.zeros(0, np.int64), *places])]
    of_seen = np.concatenate([np.zeros((0, data.classes), bool), *seen])
    return OutOfFoldPredictions(
        rows,
        np.concatenate(logits),
        of_seen,
        join_folds([row for row, _ in parts], [own for _, own in parts]),
    )


def _answering(data: StackingData, folds: Mapping[str, Mapping[int, PlacedFold]]) -> list[HeldOut]:
    """Which fold predicts which of its query rows; each row is in the first fold that can."""
    left, found = np.ones(len(data.rows), bool), []
    for kind in (BRAND, RANDOM):
        for number, (fold, query) in folds[kind].items():
            wanted = np.flatnonzero(left[query] & fold.classes.seen.numpy()[data.targets[query]])
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
    data: StackingData,
) -> np.ndarray:
    """Logits (b, C) of some query rows."""
    candidates = fold.classes.seen.clone()
    if data.allows_unseen:
        candidates[np.bincount(data.targets, minlength=data.classes) == 0] = True
    facts = fold.classes.of_classes(candidates)
    found = np.full((len(places), data.classes), MASKED_LOGIT, np.float32)
    for start in range(0, len(places), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        level_zero = fold.level_zero(modality, torch.from_numpy(places[rows])).of_classes(candidates)
        found[rows, candidates.numpy()] = classifier(level_zero, facts, data.allows_unseen).numpy()
    return found
