"""Meta-training folds: base learners are fitted without some rows and classes, and predict these rows."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches.disk import large_zeros, mapped_copy
from fusionclf.batches.threads import core_threads
from fusionclf.console import Console
from fusionclf.memory import give_back_memory
from fusionclf.models.open_vocabulary.level_zero import ClassFacts
from fusionclf.models.open_vocabulary.meta_training import MetaTrainingFold
from fusionclf.models.open_vocabulary.prototypes import Prototypes
from fusionclf.stacking.base_learners import ROWS_AT_ONCE, StackingData, compare_names, fit_base_learners
from fusionclf.stacking.folds import BRAND, FoldPlan, balanced_weights

MOST_SUPPORT_ROWS = 5  # of a class
FOLDS_AT_ONCE = 4  # at most
MOST_WEIGHTS = 2**25  # of the linear text models of these folds together: 0.1 GB
PlacedFold = tuple[MetaTrainingFold, np.ndarray]  # a fold, and the places of its query rows


def make_folds(
    data: StackingData, plan: FoldPlan, seed: int, console: Console
) -> dict[str, dict[int, PlacedFold]]:
    """Kind of fold → number → fold, several at a time; those that leave too few rows to fit on are left out.

    Raises:
        RunError: no fold of brands is left.
    """
    made: dict[str, dict[int, PlacedFold]] = {}
    used = data.texts.used_ngrams()  # of few titles a small part of all; others have no weight
    data = replace(data, texts=data.texts.of_ngrams(used), names=data.names.of_ngrams(used))
    with core_threads(_at_once(data)) as pool:
        for kind in plan.fold_of:
            jobs: dict[int, Future[PlacedFold]] = {}
            for number, held_out, unseen in plan.folds(kind):
                if data.can_fit(~held_out & ~np.isin(data.targets, unseen)):
                    jobs[number] = pool.submit(make_fold, data, held_out, unseen, number, seed)
            if kind == BRAND and not jobs:
                raise data.too_few()
            made[kind] = {}
            with console.progress(f"products held out by {kind}", len(jobs)) as on_step:
                for number, job in jobs.items():
                    made[kind][number] = job.result()
                    give_back_memory()
                    on_step()
    return made


def _at_once(data: StackingData) -> int:
    """How many folds are fitted side by side."""
    columns = sum(counts.shape[1] for counts in data.texts.ngrams.values())  # pyright: ignore[reportOptionalSubscript]
    return min(max(MOST_WEIGHTS // max(columns * data.classes, 1), 1), FOLDS_AT_ONCE)


def make_fold(
    data: StackingData, held_out: np.ndarray, unseen: np.ndarray, number: int, seed: int
) -> PlacedFold:
    """Predictions for held-out rows by base learners that were fitted without them and without some classes.

    Args:
        data: all rows.
        held_out: (n,) mask of the rows that are held out.
        unseen: class numbers that are held out with all their rows; half of them get support rows.
        number: of the fold; support rows depend on it.
        seed: of the solver and of support rows.

    Returns:
        The fold, and the places of its query rows in `data`.
    """
    is_unseen = np.isin(data.targets, unseen)
    fitted = ~held_out & ~is_unseen
    learners = fit_base_learners(data, fitted, seed)
    prototypes, is_support = _support_rows(data, unseen, number, seed)
    candidates = data.allows_unseen | learners.seen[data.targets]
    if data.together is not None:  # a variant of a support row would be too easy a query
        is_support = np.isin(data.together, data.together[is_support])
    query = np.flatnonzero((held_out | is_unseen) & ~is_support & candidates & data.can_be_query)
    shared = query if data.queries is None else np.searchsorted(data.queries, query)
    places, embeddings = torch.from_numpy(query), torch.from_numpy(data.embeddings[query])
    base = _by_features(
        data.features,
        lambda values: _by_rows(lambda some: learners.probe(values[places[some]]).half(), len(places)),
    )
    with_prototype = prototypes.available.nonzero().squeeze(1)

    def similarity_of(values: Tensor, some: slice) -> Tensor:
        every = prototypes.similarity(values[places[some]], embeddings[some])
        return every[:, with_prototype].half()

    similarity = {
        modality: _by_rows(partial(similarity_of, values), len(places))
        for modality, values in data.features.items()
        if modality == "both" or (modality == "picture" and values is not data.features["both"])
    }
    targets = data.targets[query]
    own_counts = np.bincount(data.targets, minlength=data.classes)[targets]
    weights = balanced_weights(~learners.seen[targets], prototypes.available.numpy()[targets], own_counts)
    of_names = compare_names(data, learners.linear_text, fitted, learners.counts)
    facts = ClassFacts.of(learners.counts, prototypes.available, of_names=of_names)
    return MetaTrainingFold(
        base, mapped_copy(learners.linear_text.scores(data.texts.pick(query)).half()),
        data.name_match, similarity, torch.from_numpy(targets),
        torch.from_numpy(weights).float(), facts,
        torch.from_numpy(data.has_picture[query]), torch.from_numpy(data.has_title[query]),
        data.picture_match, shared_places=torch.from_numpy(shared), with_prototype=with_prototype,
    ), query  # fmt: skip


def _by_features(features: Mapping[str, Tensor], compute: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Modality → a value computed from its features; equal features share one tensor."""
    distinct = {id(values): values for values in features.values()}
    found = {key: compute(values) for key, values in distinct.items()}
    return {modality: found[id(values)] for modality, values in features.items()}


def _by_rows(compute: Callable[[slice], Tensor], count: int) -> Tensor:
    """What is computed for `count` rows, a few at a time, joined in an array of `large_zeros`."""
    first = compute(slice(0, ROWS_AT_ONCE))
    found = torch.from_numpy(large_zeros((count, *first.shape[1:]), first.numpy().dtype))
    found[: len(first)] = first
    for start in range(len(first), count, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        found[rows] = compute(rows)
    return found


def _support_rows(
    data: StackingData, unseen: np.ndarray, number: int, seed: int
) -> tuple[Prototypes, np.ndarray]:
    """Prototypes of half of the unseen classes; (n,) mask of the rows that they are the means of."""
    features = data.features["both"]
    prototypes = Prototypes(data.classes, features.shape[1], data.embeddings.shape[1])
    generator = np.random.default_rng([seed, number])
    is_support = np.zeros(len(data.rows), bool)
    for chosen in generator.permutation(unseen)[: len(unseen) // 2]:
        own = np.flatnonzero(data.targets == chosen)
        count = min(int(generator.integers(1, MOST_SUPPORT_ROWS + 1)), len(own) - 1)
        if count < 1:
            continue
        picked = generator.choice(own, count, replace=False)
        is_support[picked] = True
        with_features = torch.from_numpy(picked[data.has_features[picked]])
        embeddings = data.embeddings[picked[data.has_title[picked]]]
        prototypes.set(int(chosen), features[with_features], torch.from_numpy(embeddings))
    return prototypes, is_support
