"""Out-of-fold predictions of a stacked head: for rows that it was not fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from fusionclf.console import Console
from fusionclf.memory import give_back_memory
from fusionclf.models.open_vocabulary.level_zero import MASKED_LOGIT, ClassFacts, typical_share
from fusionclf.models.open_vocabulary.meta_classifier import MetaClassifier
from fusionclf.models.open_vocabulary.meta_training import (
    MetaTrainingFold,
    count_steps,
    fit_several,
)
from fusionclf.stacking.base_learners import ROWS_AT_ONCE, StackingData
from fusionclf.stacking.fold_fitting import PlacedFold
from fusionclf.stacking.folds import BRAND, CLASS_FOLDS, RANDOM, FoldPlan
from fusionclf.stacking.part_answers import PartAnswers, PartsOfFold, answers_of_parts, join_folds

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
        parts: predictions of each part of a stacked head, for rows with picture and title; None: not a stacked head.
        as_unseen: predictions for rows whose class the model was not trained on, while their class and those without
            any row were candidates; None if every class has rows, or unseen classes are not candidates.
    """

    rows: np.ndarray
    logits: np.ndarray
    seen: np.ndarray
    parts: PartAnswers | None = None
    as_unseen: "OutOfFoldPredictions | None" = None


@torch.no_grad()
def predict_out_of_fold(
    data: StackingData,
    plan: FoldPlan,
    folds: Mapping[str, Mapping[int, PlacedFold]],
    seed: int,
    console: Console,
) -> OutOfFoldPredictions:
    """Predictions of each row by its brand fold or, if that has not seen its class, by its random fold.

    Candidates are those of the model of all rows, except classes that only the fold has not seen.

    The meta-classifiers are fitted without these rows and without their brands; a row whose class neither fold has seen
    is left out, because the model of all rows was trained on its class.

    If classes without rows are candidates, each row is also predicted as if its class had none: by the brand fold that
    holds out this class without its family. The meta-classifiers for it are fitted without this class as an unseen one.

    Args:
        data: all rows.
        plan: which rows are in which fold.
        folds: kind → number → fold.
        seed: of order and initial weights.
        console: where progress shows.
    """
    masks = data.modality_masks()
    has_rows = np.bincount(data.targets, minlength=data.classes) > 0
    without_rows = torch.from_numpy(~has_rows & data.allows_unseen)
    turns = _turns(data, plan, folds, without_rows)
    give_back_memory()
    steps = sum(count_steps(turn.others, list(masks)) for turn in turns)
    with console.progress("meta-classifiers for held-out rows", steps) as on_step:
        of_turns = fit_several([turn.others for turn in turns], seed, list(masks), on_step)
    fitted_turns = list(zip(turns, of_turns, strict=True))
    found = _predict_turns(fitted_turns, folds, without_rows, data, seed)
    if found.parts is None or not found.parts.product_is_better:
        return found
    for fitted in of_turns:  # so that held-out rows are predicted as new products will be
        fitted["both"].use_product(found.parts.powers)
    return replace(_predict_turns(fitted_turns, folds, without_rows, data, seed), parts=found.parts)


@dataclass(frozen=True)
class _Turn:
    """One of the sets of rows that are held out from meta-classifiers.

    Attributes:
        number: of the turn.
        answering: the folds that predict its rows.
        others: what the meta-classifiers are fitted on.
        new: (C,) mask of the classes whose rows are also predicted as if they had none.
    """

    number: int
    answering: list[tuple[PlacedFold, np.ndarray]]
    others: list[MetaTrainingFold]
    new: np.ndarray


def _predict_turns(
    turns: Sequence[tuple[_Turn, Mapping[str, MetaClassifier]]],
    folds: Mapping[str, Mapping[int, PlacedFold]],
    without_rows: Tensor,
    data: StackingData,
    seed: int,
) -> OutOfFoldPredictions:
    """Predictions for the held-out rows of all turns, by the meta-classifiers of each."""
    masks = data.modality_masks()
    found, parts, as_unseen = list[OutOfFoldPredictions](), list[PartsOfFold](), list[OutOfFoldPredictions]()
    for turn, fitted in turns:
        for placed, wanted in turn.answering:
            predicted = _predict_seen(fitted, placed, wanted, without_rows, data)
            found += predicted.values()
            if (both := predicted.get("both")) and len(both.rows):
                places = wanted[masks["both"][placed[1][wanted]]]
                parts.append(
                    (both.rows, answers_of_parts(fitted["both"], placed[0], places, both.logits, seed))
                )
        if turn.new.any():
            as_unseen.append(_predict_unseen(fitted, folds[BRAND][turn.number], turn.new, data))
    nothing = np.zeros((0, data.classes))
    joined = _joined(found) or OutOfFoldPredictions(
        data.rows[:0], nothing.astype(np.float32), nothing.astype(bool)
    )
    of_parts = join_folds([rows for rows, _ in parts], [own for _, own in parts])
    return replace(joined, parts=of_parts, as_unseen=_joined(as_unseen))


def _turns(
    data: StackingData,
    plan: FoldPlan,
    folds: Mapping[str, Mapping[int, PlacedFold]],
    without_rows: Tensor,
) -> list[_Turn]:
    """Which rows are held out together; each class without its rows is new in one turn at most."""
    answering, brand = _answering(data, folds), plan.fold_of[BRAND]
    every = [placed for kind in folds.values() for placed in kind.values()]
    has_rows = np.bincount(data.targets, minlength=data.classes) > 0
    left = has_rows & bool(without_rows.any())  # classes still to be predicted as if they had no rows
    turns = []
    for turn in range(CLASS_FOLDS):
        own = [(placed, wanted) for number, placed, wanted in answering if number % CLASS_FOLDS == turn]
        held_out = brand % CLASS_FOLDS == turn
        for (_, query), wanted in own:
            held_out[query[wanted]] = True
        new = np.zeros_like(left)
        if turn in folds[BRAND]:
            new[plan.unseen[turn]] = True
            new &= left
            left &= ~new
        others = _without(every, held_out, new)
        if own and others:
            turns.append(_Turn(turn, own, others, new))
    return turns


def _answering(data: StackingData, folds: Mapping[str, Mapping[int, PlacedFold]]) -> list[HeldOut]:
    """Which fold predicts which of its query rows; each row is in the first fold that can."""
    left, found = np.ones(len(data.rows), bool), []
    for kind in (BRAND, RANDOM):
        for number, (fold, query) in folds[kind].items():
            wanted = np.flatnonzero(left[query] & fold.classes.seen.numpy()[data.targets[query]])
            left[query[wanted]] = False
            found.append((number, (fold, query), wanted))
    return found


def _without(folds: Sequence[PlacedFold], held_out: np.ndarray, new: np.ndarray) -> list[MetaTrainingFold]:
    """The folds without some query rows.

    Args:
        folds: all folds.
        held_out: (n,) mask of the rows to leave out.
        new: (C,) mask of the classes whose rows are left out of folds in which they are unseen.
    """
    left = []
    for fold, query in folds:
        shown_as_new = new[fold.targets] & ~fold.classes.seen.numpy()[fold.targets]
        left.append(fold.subset(torch.from_numpy(np.flatnonzero(~held_out[query] & ~shown_as_new))))
    return [fold for fold in left if len(fold.targets)]


@dataclass(frozen=True)
class _Candidates:
    """The candidates of a fold, (C,) mask, and their statistics."""

    mask: Tensor
    facts: ClassFacts
    allows_unseen: bool = True


def _predict(
    classifier: MetaClassifier,
    fold: MetaTrainingFold,
    modality: str,
    places: np.ndarray,
    candidates: _Candidates,
) -> np.ndarray:
    """Logits (b, C) of some query rows."""
    found = np.full((len(places), len(candidates.mask)), MASKED_LOGIT, np.float32)
    for start in range(0, len(places), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        level_zero = fold.level_zero(modality, torch.from_numpy(places[rows])).of_classes(candidates.mask)
        logits = classifier(level_zero, candidates.facts, candidates.allows_unseen)
        found[rows, candidates.mask.numpy()] = logits.numpy()
    return found


def _predict_seen(
    fitted: Mapping[str, MetaClassifier],
    placed: PlacedFold,
    wanted: np.ndarray,
    without_rows: Tensor,
    data: StackingData,
) -> dict[str, OutOfFoldPredictions]:
    """Modality → predictions for query rows, (b,) places, of seen classes.

    Candidates are the classes that the fold has seen and those without any row, a (C,) mask.
    """
    fold, query = placed
    mask = fold.classes.seen | without_rows
    candidates = _Candidates(mask, fold.classes.of_classes(mask), data.allows_unseen)
    found = {}
    for modality, available in data.modality_masks().items():
        some = wanted[available[query[wanted]]]
        logits = _predict(fitted[modality], fold, modality, some, candidates)
        seen = np.broadcast_to(fold.classes.seen.numpy(), logits.shape)
        found[modality] = OutOfFoldPredictions(data.rows[query[some]], logits, seen)
    return found


def _predict_unseen(
    fitted: Mapping[str, MetaClassifier], placed: PlacedFold, new: np.ndarray, data: StackingData
) -> OutOfFoldPredictions:
    """Predictions for the rows of unseen classes of a fold, a (C,) mask.

    As in the model of all rows, unseen classes have no prototypes, and are together as frequent as its unseen ones.
    """
    fold, query = placed
    seen, counts = fold.classes.seen, torch.from_numpy(np.bincount(data.targets, minlength=data.classes))
    share = typical_share(counts) * (counts == 0).sum() / (~seen).sum()
    everything = torch.ones_like(seen)
    facts = replace(fold.classes.of_classes(everything), share=share, has_prototype=torch.zeros_like(seen))
    candidates = _Candidates(everything, facts)
    rows = np.flatnonzero(new[fold.targets])
    found = np.full((len(rows), data.classes), MASKED_LOGIT, np.float32)
    for modality, mask in data.modality_masks().items():
        own = np.flatnonzero(mask[query[rows]])
        found[own] = _predict(fitted[modality], fold, modality, rows[own], candidates)
    return OutOfFoldPredictions(data.rows[query[rows]], found, np.broadcast_to(seen.numpy(), found.shape))


def _joined(found: Sequence[OutOfFoldPredictions]) -> OutOfFoldPredictions | None:
    if not found:
        return None
    rows, logits, seen = zip(*((own.rows, own.logits, own.seen) for own in found), strict=True)
    return OutOfFoldPredictions(np.concatenate(rows), np.concatenate(logits), np.concatenate(seen))
