"""Predictions of each part of a stacked head for held-out rows, and of the product of the base learners.

The product multiplies the base learners' probabilities, each raised to a power. If the stacked head has a higher log
loss, the product is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fusionclf.evaluation import fit_blend
from fusionclf.evaluation.metrics import correct, slices
from fusionclf.models.open_vocabulary.level_zero import MASKED_LOGIT, log_probabilities
from fusionclf.models.open_vocabulary.meta_classifier import MetaClassifier
from fusionclf.models.open_vocabulary.meta_training import MetaTrainingFold

PARTS = ("linear text model", "base model", "their product", "name match", "stacked")
MOST_BLENDED = 2000  # rows of a half of a fold that the product's two powers are fitted on


@dataclass(frozen=True)
class PartAnswers:
    """Answers for held-out rows that have a picture and a title.

    Attributes:
        rows: (n,) catalog rows.
        answers: (n, len(PARTS)) class numbers.
        powers: of the linear text model's scores and the base model's log probabilities in the product.
        losses: mean log loss of the product and of the stacked head among the known classes, neither fitted on the row.
    """

    rows: np.ndarray
    answers: np.ndarray
    powers: tuple[float, float]
    losses: tuple[float, float]

    @property
    def product_is_better(self) -> bool:
        """Whether the head should predict by the product alone."""
        return self.losses[0] < self.losses[1]

    def score(self, predictions: pd.DataFrame, rows: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """Top-1 of each part by slice, in the form of metrics.json.

        Args:
            predictions: of the stacked head for N held-out products.
            rows: (N,) their catalog rows.
            names: of the classes.
        """
        order = np.argsort(rows)
        own = predictions.iloc[order[np.searchsorted(rows, self.rows, sorter=order)]]
        classes = np.array(names, object)
        of_parts = {
            part: _by_slice(own.assign(label_1=classes[self.answers[:, number]]))
            for number, part in enumerate(PARTS)
        }
        return {
            "n": len(self.rows),
            "answers_by": PARTS[2 if self.product_is_better else -1],
            "powers": list(self.powers),
            "losses": list(self.losses),
            "parts": {
                part: {name: kind["top1"] for name, kind in found.items()} for part, found in of_parts.items()
            },
            "products": {name: kind["n"] for name, kind in of_parts[PARTS[-1]].items()},
        }


def _by_slice(predictions: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Products and top-1 of all, and of each slice that has products."""
    right = correct(predictions)
    found = {"all": {"n": len(right), "top1": 100 * float(right.mean())}, **slices(predictions)}
    return {name: kind for name, kind in found.items() if kind["n"]}


@dataclass(frozen=True)
class _OfFold:
    answers: np.ndarray
    powers: tuple[float, float]
    losses: np.ndarray  # (2, k) of the k rows of known classes


PartsOfFold = tuple[np.ndarray, _OfFold]  # (b,) catalog rows, and what the parts answer for them


def answers_of_parts(
    classifier: MetaClassifier, fold: MetaTrainingFold, places: np.ndarray, stacked: np.ndarray, seed: int
) -> _OfFold:
    """Answers of each part for some query rows of a fold.

    Args:
        classifier: for products with picture and title, which was not fitted on these rows.
        fold: predictions of the base learners.
        places: (b,) of the query rows.
        stacked: (b, C) logits of the whole head.
        seed: of the rows that the powers are fitted on.
    """
    seen = fold.classes.seen
    level_zero = fold.level_zero("both", torch.from_numpy(places))
    targets = fold.targets[places].numpy()
    of_seen = level_zero.of_classes(fold.classes.seen_places)
    assert of_seen.linear_text is not None and of_seen.base is not None
    text = fold.classes.spread(of_seen.linear_text.float())
    base = fold.classes.spread(log_probabilities(of_seen.base))
    known = np.flatnonzero(seen.numpy()[targets])
    first, second = np.array_split(np.random.default_rng(seed).permutation(known), 2)
    # Each half is measured with the powers of the other.
    powers = {0: _powers(text, base, targets, second), 1: _powers(text, base, targets, first)}
    losses = [
        _losses(powers[half][0] * text[rows] + powers[half][1] * base[rows], targets[rows])
        for half, rows in enumerate((first, second))
    ]
    joined = _mean_powers(list(powers.values()))
    names = classifier.scores_by_name(level_zero, fold.classes)
    of_head = torch.from_numpy(stacked).masked_fill(~seen, MASKED_LOGIT)
    answers = [text, base, joined[0] * text + joined[1] * base, names, torch.from_numpy(stacked)]
    order = np.concatenate([first, second])
    return _OfFold(
        np.stack([own.argmax(dim=1).numpy() for own in answers], axis=1),
        joined,
        np.stack([np.concatenate(losses), _losses(of_head[order], targets[order])]),
    )


def _powers(text: Tensor, base: Tensor, targets: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    some = rows[:MOST_BLENDED]
    return fit_blend(text[some].double().numpy(), base[some].double().numpy(), targets[some])


def _mean_powers(powers: Sequence[tuple[float, float]]) -> tuple[float, float]:
    first, second = np.exp(np.log(powers).mean(axis=0))
    return float(first), float(second)


def _losses(logits: Tensor, targets: np.ndarray) -> np.ndarray:
    return -logits.log_softmax(dim=1)[torch.arange(len(targets)), torch.from_numpy(targets)].numpy()


def join_folds(rows: Sequence[np.ndarray], folds: Sequence[_OfFold]) -> PartAnswers | None:
    """The answers of all folds together; None if no row has a picture and a title."""
    if not folds:
        return None
    losses = np.concatenate([fold.losses for fold in folds], axis=1)
    return PartAnswers(
        np.concatenate(rows),
        np.concatenate([fold.answers for fold in folds]),
        _mean_powers([fold.powers for fold in folds]),
        (float(losses[0].mean()), float(losses[1].mean())) if losses.size else (0.0, 0.0),
    )
