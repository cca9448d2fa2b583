"""What helps fusion to recognise products of unseen classes, over held-out training rows.

    python -m benchmarks.unseen_classes OUT data/fashion-small [SETTING …]

A fusion on frozen encoders is trained as `fusionclf train fusion --config fusion-frozen` does, up to its meta-training
folds. For each design and each fold of brands, meta-classifiers are fitted without the fold's rows and without all rows
of the classes that it holds out, so that nothing of an unseen class is learned; then they answer the fold's rows, with
all classes as candidates. Printed is top-1 over rows of seen classes, of single unseen classes, of unseen families, and
of the tail; then the mean log loss of seen and of unseen rows. No test row is read.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax

from benchmarks.stopped_training import train_up_to_held_out
from fusionclf.models.open_vocabulary.meta_training import MetaTrainingFold, fit_meta_classifiers
from fusionclf.stacking.base_learners import StackingData
from fusionclf.stacking.fold_fitting import PlacedFold
from fusionclf.stacking.folds import BRAND, CLASS_FOLDS, balanced_weights

TAIL = 20
ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Design:
    """What the gate learns from.

    Attributes:
        name: of the line in the table.
        weighs_classes: rows of large unseen classes weigh less.
        facts: which of the two facts of names count: scores for a name, and titles that contain it.
    """

    name: str
    weighs_classes: bool
    facts: tuple[bool, bool]

    def apply(self, fold: MetaTrainingFold, counts: np.ndarray) -> MetaTrainingFold:
        """A fold as this design sees it; counts: (C,) rows of each class."""
        classes, weights = fold.classes, fold.weights
        assert classes.of_names is not None
        if not self.weighs_classes:
            has_prototype = classes.has_prototype[fold.targets].numpy()
            ones = np.ones(len(fold.targets))
            equal = balanced_weights(~classes.seen[fold.targets].numpy(), has_prototype, ones)
            weights = torch.from_numpy(equal).float()
        used = torch.tensor(self.facts)[:, None, None]
        return replace(fold, weights=weights, classes=replace(classes, of_names=classes.of_names * used))


DESIGNS = (
    Design("equal weights of rows, no facts of names", False, (False, False)),
    Design("rows of large unseen classes weigh less", True, (False, False)),
    Design("+ scores for the name", True, (True, False)),
    Design("+ titles that contain the name", True, (False, True)),
    Design("+ both", True, (True, True)),
)


def without(fold: MetaTrainingFold, query: np.ndarray, held_out: np.ndarray, unseen: torch.Tensor) -> Any:
    """A fold without held-out rows, an (n,) mask, and without the unseen rows of unseen classes, a (C,) mask."""
    of_unseen = (unseen & ~fold.classes.seen)[fold.targets].numpy()
    return fold.subset(torch.from_numpy(np.flatnonzero(~held_out[query] & ~of_unseen)))


def answers(
    every: Sequence[PlacedFold], answering: PlacedFold, is_own: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(m, C) log probabilities for the rows of a fold's own brands, and their (m,) places in the data."""
    fold, query = answering
    others = [without(each, places, is_own, ~fold.classes.seen) for each, places in every]
    fitted = fit_meta_classifiers([each for each in others if len(each.targets)], seed, ["both"])["both"]
    rows = torch.from_numpy(np.flatnonzero(is_own[query]))
    with torch.no_grad():
        logits = [fitted(fold.level_zero("both", some), fold.classes) for some in rows.split(ROWS_AT_ONCE)]
    return log_softmax(torch.cat(logits).double().numpy(), axis=1), query[rows.numpy()]


def line(
    design: Design, data: StackingData, folds: Any, brand: np.ndarray, counts: np.ndarray, seed: int
) -> str:
    """The table's line of a design."""
    made = {
        kind: {n: (design.apply(fold, counts), query) for n, (fold, query) in of_kind.items()}
        for kind, of_kind in folds.items()
    }
    every, found = [placed for of_kind in made.values() for placed in of_kind.values()], []
    for number, placed in made[BRAND].items():
        is_own = brand == number
        log, places = answers(every, placed, is_own, seed)
        targets = data.targets[places]
        seen = placed[0].classes.seen.numpy()[targets]
        loss = -log[np.arange(len(targets)), targets]
        family = np.full(len(targets), number >= CLASS_FOLDS)
        found.append((log.argmax(axis=1) == targets, loss, seen, family, counts[targets] < TAIL))
    right, loss, seen, family, tail = (np.concatenate(values) for values in zip(*found, strict=True))
    masks = (seen, ~seen & ~family, ~seen & family, seen & tail)
    accuracy = " | ".join(f"{100 * right[mask].mean():.1f}" for mask in masks)
    return f"| {design.name} | {accuracy} | {loss[seen].mean():.3f} | {loss[~seen].mean():.3f} |"


def compare_designs(data: StackingData, plan: Any, folds: Any, seed: int, console: Any) -> None:
    """Takes the place of `predict_out_of_fold`."""
    counts = np.bincount(data.targets, minlength=data.classes)
    print("| design | seen | single unseen | unseen families | tail | loss, seen | loss, unseen |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for design in DESIGNS:
        print(line(design, data, folds, plan.fold_of[BRAND], counts, seed), flush=True)


def main(out: Path, data: Path, settings: list[str]) -> None:
    """Train and print the table."""
    train_up_to_held_out(compare_designs, out, data, settings)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
