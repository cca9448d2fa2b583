"""What is special about the split of products with several labels."""

import numpy as np

from fusionclf.catalog.label_lists import LabelSets
from fusionclf.config import SplitConfig
from fusionclf.errors import CatalogError

EVERY_LABEL = "every_label"  # the one part of such a split


def dividing_labels(sets: LabelSets, spec: SplitConfig) -> np.ndarray:
    """(N,) the label by which each product is divided: its rarest one, so that rare labels are in each subset.

    Raises:
        CatalogError: the settings hold out classes, which needs one label per product.

    Source: as the first step of Sechidis et al., On the Stratification of Multi-Label Data (2011).
    """
    if spec.unseen_fraction:
        raise CatalogError(
            f"split.unseen_fraction={spec.unseen_fraction:g}: needs one label per product; leave it out, or leave out "
            "catalog.label_list"
        )
    return sets.rarest()


def keep_train_rows(subset: np.ndarray, sets: LabelSets, groups: np.ndarray, also_from: str | None) -> None:
    """Move validation products to train, in place, until each label with several groups of products has a train row.

    Args:
        subset: (N,) train, validation or test.
        sets: the products' labels.
        groups: (N,) products with one number stay together.
        also_from: another subset that they may come from, where validation has none; None for no other.
    """
    rows_of: dict[str, list[int]] = {}
    for row, labels in enumerate(sets.of):
        for label in labels:
            rows_of.setdefault(label, []).append(row)
    for label in sorted(rows_of, key=lambda name: (len(rows_of[name]), name)):
        rows = np.array(rows_of[label])
        own = subset[rows]
        if (own == "train").any() or len(set(groups[rows])) < 2:
            continue
        given = [row for source in ("validation", also_from) for row in rows[own == source].tolist()]
        if given:
            subset[groups == groups[given[0]]] = "train"
