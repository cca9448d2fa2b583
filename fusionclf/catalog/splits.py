"""The one split that all variants share: parts by class; train, validation and test by rule.

Rows are divided in the order of their ids, so the order of the file does not matter.
"""

from collections import Counter

import numpy as np

from fusionclf.catalog.earlier_splits import EarlierSplit
from fusionclf.catalog.groups import product_groups
from fusionclf.catalog.label_set_splits import EVERY_LABEL, dividing_labels, keep_train_rows
from fusionclf.catalog.records import Catalog
from fusionclf.catalog.split_record import SUBSETS, Split, split_hash
from fusionclf.config import SplitConfig
from fusionclf.errors import CatalogError, quoted

REST = "rest"
NO_CHOICE = "no part has two classes with train rows: set split.rule or split.top_k"


def make_split(catalog: Catalog, spec: SplitConfig | None = None) -> Split:
    """A catalog's split.

    Args:
        catalog: the products.
        spec: rule, parts and shares; default: the reference's split.

    Raises:
        CatalogError: the rule leaves a part without train or without test rows, its column is missing, or the earlier
            split divides a group.
        SettingsError, RunError: the earlier split cannot be read, or another setting contradicts it.
    """
    spec = spec or SplitConfig()
    earlier = EarlierSplit.load(spec.same_as) if spec.same_as else None
    spec = spec if earlier is None else earlier.settings(spec)
    sets = catalog.label_sets
    labels = catalog.table["label"].to_numpy(object) if sets is None else dividing_labels(sets, spec)
    if spec.rule == "column" and earlier is None:  # raises before pictures are read
        _from_column(catalog, str(spec.column))
    groups = product_groups(catalog, spec.group_by, spec.near_distance)
    classes = _parts(labels, spec.top_k) if sets is None else {EVERY_LABEL: sets.names}
    part_of = {name: part for part, names in classes.items() for name in names}
    parts = np.array([part_of[label] for label in labels], object)
    if earlier is not None:
        subset = earlier.subsets(catalog, groups)
    else:
        subset = _by_rule(catalog, spec, labels, groups)
        if not (subset == "validation").any():
            _draw_validation(subset, {part: parts == part for part in classes}, labels, groups, spec)
            if sets is not None:
                keep_train_rows(subset, sets, groups, "test" if spec.rule == "random" else None)
    products = catalog.table["id"].to_numpy(object)
    ids = {part: {s: tuple(products[(parts == part) & (subset == s)]) for s in SUBSETS} for part in classes}
    _check_not_empty(catalog, spec, ids)
    note = "" if earlier is None else earlier.note(catalog, subset)
    return Split(spec, catalog.sha256, split_hash(classes, ids), classes, ids, note)


def _by_rule(catalog: Catalog, spec: SplitConfig, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(N,) train or test; or also validation, where a column says so."""
    subset = _train_or_test(catalog, spec, labels, groups)
    if spec.swap:
        subset = np.select([subset == "test", subset == "train"], ["train", "test"], subset).astype(object)
    subset = _undivided(subset, groups)
    _hold_out_classes(subset, labels, groups, spec)
    return subset


def _check_not_empty(catalog: Catalog, spec: SplitConfig, ids: dict[str, dict[str, tuple[str, ...]]]) -> None:
    wants_test = spec.rule != "random" or spec.test_fraction > 0
    for part, subsets in ids.items():
        for needed in ("train", "test") if wants_test else ("train",):
            if subsets[needed]:
                continue
            lacks = f"part {part!r} has no {needed} row"
            if spec.same_as:
                raise CatalogError(
                    f"split.same_as={quoted(spec.same_as)}: {lacks}; set split.top_k for other parts, or leave it out"
                )
            none = spec.rule == "year_parity" and bool(catalog.table["year"].isna().all())
            why = " (no product has a year)" if none else ""
            helps = {"random": "give more products, set split.test_fraction"}
            if spec.unseen_fraction and needed == "train":
                helps[spec.rule] = f"lower split.unseen_fraction={spec.unseen_fraction:g}"
            remedy = f"{helps.get(spec.rule, 'set split.rule=random')}, or split.top_k for other parts"
            raise CatalogError(f"split.rule={spec.rule}: {lacks}{why}; {remedy}")


def _parts(labels: np.ndarray, top_k: int) -> dict[str, tuple[str, ...]]:
    """The most frequent classes over all rows, ties by name, and the rest."""
    ranked = sorted(Counter(labels).items(), key=lambda item: (-item[1], item[0]))
    head = tuple(sorted(name for name, _ in ranked[:top_k]))
    rest = tuple(sorted(name for name, _ in ranked[top_k:]))
    return {f"top{top_k}": head, REST: rest} if rest else {f"top{top_k}": head}


def _train_or_test(catalog: Catalog, spec: SplitConfig, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    if spec.rule == "year_parity":
        year = catalog.table["year"]
        even = (year % 2 == 0).fillna(False).to_numpy(bool)  # a row without a year is "not even"
        return np.where(even, "train", "test").astype(object)
    if spec.rule == "column":
        return _from_column(catalog, str(spec.column))
    subset = np.full(len(catalog), "train", object)
    generator = np.random.default_rng([spec.seed, 1])
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = np.argsort(codes, kind="stable")  # rows of the first class ascending, then of the next
    for rows in np.split(by_class, np.cumsum(counts)[:-1]):
        subset[_draw(rows, groups, round(spec.test_fraction * len(rows)), generator)] = "test"
    return subset


def _from_column(catalog: Catalog, column: str) -> np.ndarray:
    if column not in catalog.table:
        raise CatalogError(
            f"split.column={quoted(column)}: not among the columns that were read; read the catalog with it "
            "(split_columns), or add it to catalog.metadata"
        )
    names = {
        "train": "train",
        "test": "test",
        "validation": "validation",
        "val": "validation",
        "valid": "validation",
    }
    cells = [str(cell) for cell in catalog.table[column]]
    subset = np.array([names.get(cell.strip().lower()) for cell in cells], object)
    for cell, name, product in zip(cells, subset, catalog.table["id"], strict=True):
        if name is None:
            raise CatalogError(
                f"split.column={quoted(column)}: product {product} has {quoted(cell)}; allowed: train, "
                "validation, test"
            )
    return subset


def _draw(
    rows: np.ndarray,
    groups: np.ndarray,
    count: int,
    generator: np.random.Generator,
    at_least_one: bool = False,
) -> np.ndarray:
    """Whole groups of `rows` in random order, each taken if it still fits into `count`.

    Where none fits, `at_least_one` takes the smallest of two or more groups.
    """
    own, sizes = np.unique(groups[rows], return_counts=True)
    order = generator.permutation(len(own))
    drawn = []
    for place in order:
        if sizes[place] <= count:
            drawn.append(own[place])
            count -= int(sizes[place])
    if at_least_one and not drawn and len(own) > 1:
        drawn.append(own[order[sizes[order].argmin()]])
    return rows[np.isin(groups[rows], drawn)]


def _draw_validation(
    subset: np.ndarray, of: dict[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, spec: SplitConfig
) -> None:
    """Move round(fraction · rows) of each part's train rows to validation, at least one group of two or more.

    A class with several rows keeps some to train on, so a little less may be moved.
    """
    for number, own in enumerate(of.values()):
        rows = np.flatnonzero((subset == "train") & own)
        count = max(round(spec.validation_fraction * len(rows)), min(1, len(rows) - 1))
        generator = np.random.default_rng([spec.seed, 2, number])
        drawn = _draw(rows, groups, count, generator, at_least_one=True)
        kept = np.setdiff1d(drawn, _last_of_classes(rows, drawn, labels, groups))
        subset[kept if len(kept) else drawn] = "validation"
    if spec.group_by:  # a group with classes of both parts must not be in both train and validation
        _join(subset, groups, "validation", "train")


def _last_of_classes(
    rows: np.ndarray, drawn: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Drawn rows of the first group of each class that has several rows, all of them drawn."""
    _, codes = np.unique(labels[rows], return_inverse=True)
    before, places = np.bincount(codes), np.searchsorted(rows, drawn)  # rows ascend
    of_drawn, first, counts = np.unique(codes[places], return_index=True, return_counts=True)
    last = first[(counts == before[of_drawn]) & (counts > 1)]
    return drawn[np.isin(groups[drawn], groups[drawn[last]])]


def _undivided(subset: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The subsets, with each group that is on both sides of the split moved to train as a whole."""
    subset = subset.copy()
    _join(subset, groups, "test", "train")
    _join(subset, groups, "test", "validation")
    _join(subset, groups, "validation", "train")
    return subset


def _hold_out_classes(subset: np.ndarray, labels: np.ndarray, groups: np.ndarray, spec: SplitConfig) -> None:
    """Move all products of some classes, and what must stay together with them, to test."""
    names, codes = np.unique(labels, return_inverse=True)
    order = np.random.default_rng([spec.seed, 3]).permutation(names)
    drawn = np.searchsorted(names, order[: round(spec.unseen_fraction * len(names))])
    subset[np.isin(groups, groups[np.isin(codes, drawn)])] = "test"


def _join(subset: np.ndarray, groups: np.ndarray, source: str, target: str) -> None:
    straddling = np.intersect1d(groups[subset == source], groups[subset == target])
    subset[np.isin(groups, straddling) & (subset == source)] = target
