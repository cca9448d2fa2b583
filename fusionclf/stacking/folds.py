"""Which rows and classes each meta-training fold holds out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold

from fusionclf.catalog.titles import first_word

CLASS_FOLDS = 3  # of single classes, and again of whole families
YEAR_FOLDS = 3
RANDOM, BRAND, YEAR = "random", "brand", "year"


@dataclass(frozen=True)
class FoldPlan:
    """Which rows and classes each meta-training fold holds out.

    Rows are held out in random folds and in folds of brands (first words of titles), because next year's products are
    of other brands; if the split is by years, also in folds of years. Each fold of an open vocabulary also holds
    classes out: single ones, then whole families.

    Attributes:
        fold_of: kind of fold (random, brand, year) → (n,) fold number of each row.
        unseen: class numbers that fold 0, 1, … holds out with all their rows; empty arrays in a closed vocabulary.
    """

    fold_of: Mapping[str, np.ndarray]
    unseen: tuple[np.ndarray, ...]

    def folds(self, kind: str) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Number, (n,) mask of the rows that are held out, and class numbers that are held out."""
        fold_of = self.fold_of[kind]
        # There are fewer folds of years than of classes: each is held out once with single classes, once with families.
        rounds = int(fold_of.max()) + 1 if kind == YEAR else len(self.unseen)
        for number, unseen in enumerate(self.unseen):
            yield number, fold_of == number % rounds, unseen


def plan_folds(
    titles: np.ndarray,
    years: np.ndarray | None,
    targets: np.ndarray,
    families: np.ndarray,
    seed: int,
    allows_unseen: bool = True,
    together: np.ndarray | None = None,
) -> FoldPlan:
    """Folds of n rows and C classes.

    Args:
        titles: (n,).
        years: (n,) of the rows; None: no folds of years.
        targets: (n,) class numbers.
        families: (C,) such as the subcategory of each class; an unseen class often comes with its siblings.
        seed: of the folds.
        allows_unseen: whether classes are held out, too.
        together: (n,) groups of rows, such as the variants of a style, that no fold divides; None: only equal titles.
    """
    classes = np.unique(targets)
    unseen = held_out_classes(classes, families[classes], CLASS_FOLDS, seed) if allows_unseen else []
    unseen = unseen or [np.array([], np.int64)] * CLASS_FOLDS
    fold_of = {
        RANDOM: group_folds(titles if together is None else together, len(unseen), seed),
        BRAND: group_folds(_undivided(brands(titles), together), len(unseen), seed),
    }
    if years is not None:
        fold_of[YEAR] = group_folds(_undivided(years, together), YEAR_FOLDS)
    return FoldPlan(fold_of, tuple(unseen))


def _undivided(values: np.ndarray, together: np.ndarray | None) -> np.ndarray:
    """(n,) the value of the first row of each row's group; the groups themselves if all these are equal."""
    if together is None:
        return values
    _, first, member = np.unique(together, return_index=True, return_inverse=True)
    found = values[first][member]
    return found if len(set(found)) > 1 else together


def held_out_classes(
    classes: np.ndarray, families: np.ndarray, folds: int = 3, seed: int = 0
) -> list[np.ndarray]:
    """Class numbers to hold out, in folds: first single classes at random, then whole families.

    Args:
        classes: (k,) class numbers that have training rows.
        families: (k,) family of each.
        folds: of each kind.
        seed: of the division.

    Returns:
        Up to 2 · folds arrays of class numbers; none is empty and none holds all classes.
    """
    numbers = [group_folds(groups, folds, seed) for groups in (classes, families)]
    found = [classes[fold_of == number] for fold_of in numbers for number in range(int(fold_of.max()) + 1)]
    return [fold for fold in found if 0 < len(fold) < len(classes)]


def group_folds(groups: np.ndarray, folds: int, seed: int | None = None) -> np.ndarray:
    """(n,) fold number of each row; rows of one group are in one fold, unless all rows are of one group.

    Args:
        groups: (n,) group of each row.
        folds: how many; no more than there are groups.
        seed: of the division; None: the largest group first, each to the fold that is smallest yet.
    """
    # Objects: in an array of str each title would take as much memory as the longest one.
    _, member = np.unique(np.array([str(group) for group in groups], object), return_inverse=True)
    if member.max() == 0:  # one group alone: its rows are divided
        member = np.arange(len(groups))
    found = np.zeros(len(groups), np.int64)
    count = min(folds, int(member.max()) + 1)
    if count < 2:
        return found
    splitter = GroupKFold(count, shuffle=seed is not None, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(member, groups=member)):
        found[held_out] = number
    return found


def brands(titles: np.ndarray) -> np.ndarray:
    """The first word of each title, in lower case."""
    return np.array([first_word(title) for title in titles], object)


def balanced_weights(unseen: np.ndarray, has_prototype: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(n,) weights that give rows of seen classes, of unseen ones, and of unseen ones with prototypes equal totals.

    The gate then learns odds for equally frequent kinds, to which the expected share of unseen classes is added later.
    The more rows an unseen class has, the lower is the weight of each, so that a few large classes do not dominate.

    Args:
        unseen: (n,) whether the row's class is unseen.
        has_prototype: (n,) whether that class has prototypes.
        counts: (n,) rows of that class.
    """
    kind = np.where(unseen, 1 + has_prototype, 0)
    weights = np.where(unseen, np.maximum(counts, 1) ** -0.5, 1.0)
    _, member = np.unique(kind, return_inverse=True)
    totals = np.bincount(member, weights)
    return weights * len(unseen) / (len(totals) * totals[member])
