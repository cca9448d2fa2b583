"""The one split that all variants share: parts by class; train, validation and test by rule.

Rows are divided in the order of their ids, so the order of the file does not matter.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fusionclf.catalog.groups import product_groups
from fusionclf.catalog.label_set_splits import EVERY_LABEL, dividing_labels, keep_train_rows
from fusionclf.catalog.records import Catalog
from fusionclf.config import SplitConfig, build_settings
from fusionclf.errors import CatalogError, RunError, SettingsError, quoted
from fusionclf.files import write_json
from fusionclf.run_schema import SPLIT, SplitFile
from fusionclf.runfolder import AGAIN, load_json_object

SUBSETS = ("train", "validation", "test")
REST = "rest"
NO_CHOICE = "no part has two classes with train rows: set split.rule or split.top_k"


@dataclass(frozen=True)
class Split:
    """Which product is in which part and subset.

    Attributes:
        spec: the settings that made it.
        catalog_sha256: hash of the catalog it divides.
        sha256: hash of the class lists and of (id, part, subset) of every product.
        classes: part → its class names, sorted; the parts are `top{k}` and, if classes are left over, `rest`. Where a
            product can have several labels, the one part is `every_label`.
        ids: part → subset → sorted ids.
    """

    spec: SplitConfig
    catalog_sha256: str
    sha256: str
    classes: dict[str, tuple[str, ...]]
    ids: dict[str, dict[str, tuple[str, ...]]]

    def rows(self, catalog: Catalog, part: str | None, *subsets: str) -> np.ndarray:
        """Ascending positions in `catalog.table`; part None means all parts.

        Raises:
            RunError: the catalog lacks products of the split.
        """
        parts = self.ids if part is None else [part]
        wanted = [product for name in parts for subset in subsets for product in self.ids[name][subset]]
        rows = np.sort(pd.Index(catalog.table["id"]).get_indexer(pd.Index(wanted, dtype="str")))
        if len(rows) and rows[0] < 0:
            raise RunError(f"{catalog.root}: lacks products of the split; give the catalog it was made for")
        return rows.astype(np.int64)

    def class_names(self, part: str | None) -> tuple[str, ...]:
        """A part's candidates, sorted; part None means all classes."""
        if part is not None:
            return self.classes[part]
        return tuple(sorted(name for names in self.classes.values() for name in names))

    def train_counts(self, catalog: Catalog, part: str | None) -> dict[str, int]:
        """Rows in train and validation of every class of the part."""
        counts = catalog.count_labels(self.rows(catalog, part, "train", "validation"))
        return {name: counts[name] for name in self.class_names(part)}

    def has_choice(self, catalog: Catalog) -> bool:
        """Whether some part has two or more classes with rows in train or validation, as training needs."""
        counts = [self.train_counts(catalog, part).values() for part in self.classes]
        return any(sum(rows > 0 for rows in part) > 1 for part in counts)

    def to_dict(self) -> SplitFile:
        """Plain data, as in split.json."""
        return {
            "spec": self.spec.model_dump(mode="json"),
            "catalog_sha256": self.catalog_sha256,
            "sha256": self.sha256,
            "classes": {part: list(names) for part, names in self.classes.items()},
            "ids": {
                part: {
                    "train": list(ids["train"]),
                    "validation": list(ids["validation"]),
                    "test": list(ids["test"]),
                }
                for part, ids in self.ids.items()
            },
        }

    @classmethod
    def from_dict(cls, value: SplitFile) -> "Split":
        """The split that `to_dict` gave.

        Raises:
            RunError: its settings are not valid, or it was changed by hand.
        """
        classes = {part: tuple(names) for part, names in value["classes"].items()}
        ids = {p: {s: tuple(subsets[s]) for s in SUBSETS} for p, subsets in value["ids"].items()}
        try:
            spec = build_settings(SplitConfig, value["spec"], "spec.")
        except SettingsError as error:
            raise RunError(f"{error}; {AGAIN}") from error
        split = cls(spec, value["catalog_sha256"], value["sha256"], classes, ids)
        if split.sha256 != _hash(classes, ids):
            raise RunError(f"sha256: the split's hash does not match its rows; {AGAIN}")
        return split

    def save(self, path: Path) -> None:
        """Write split.json."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read split.json; raises RunError where it is missing or damaged."""
        return load_json_object(path, SPLIT, cls.from_dict)


def make_split(catalog: Catalog, spec: SplitConfig | None = None) -> Split:
    """A catalog's split.

    Args:
        catalog: the products.
        spec: rule, parts and shares; default: the reference's split.

    Raises:
        CatalogError: the rule leaves a part without train or without test rows, or its column is missing.
    """
    spec = spec or SplitConfig()
    sets = catalog.label_sets
    labels = catalog.table["label"].to_numpy(object) if sets is None else dividing_labels(sets, spec)
    if spec.rule == "column":  # raises before pictures are read
        _from_column(catalog, str(spec.column))
    groups = product_groups(catalog, spec.group_by, spec.near_distance)
    subset = _train_or_test(catalog, spec, labels, groups)
    if spec.swap:
        subset = np.select([subset == "test", subset == "train"], ["train", "test"], subset).astype(object)
    subset = _undivided(subset, groups)
    _hold_out_classes(subset, labels, groups, spec)
    classes = _parts(labels, spec.top_k) if sets is None else {EVERY_LABEL: sets.names}
    part_of = {name: part for part, names in classes.items() for name in names}
    parts = np.array([part_of[label] for label in labels], object)
    if not (subset == "validation").any():
        _draw_validation(subset, {part: parts == part for part in classes}, labels, groups, spec)
        if sets is not None:
            keep_train_rows(subset, sets, groups, "test" if spec.rule == "random" else None)
    products = catalog.table["id"].to_numpy(object)
    ids = {part: {s: tuple(products[(parts == part) & (subset == s)]) for s in SUBSETS} for part in classes}
    _check_not_empty(catalog, spec, ids)
    return Split(spec, catalog.sha256, _hash(classes, ids), classes, ids)


def _check_not_empty(catalog: Catalog, spec: SplitConfig, ids: dict[str, dict[str, tuple[str, ...]]]) -> None:
    wants_test = spec.rule != "random" or spec.test_fraction > 0
    for part, subsets in ids.items():
        for needed in ("train", "test") if wants_test else ("train",):
            if not subsets[needed]:
                none = spec.rule == "year_parity" and bool(catalog.table["year"].isna().all())
                why = " (no product has a year)" if none else ""
                helps = {"random": "give more products, set split.test_fraction"}
                if spec.unseen_fraction and needed == "train":
                    helps[spec.rule] = f"lower split.unseen_fraction={spec.unseen_fraction:g}"
                remedy = f"{helps.get(spec.rule, 'set split.rule=random')}, or split.top_k for other parts"
                raise CatalogError(
                    f"split.rule={spec.rule}: part {part!r} has no {needed} row{why}; {remedy}"
                )


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
    names, first, counts = np.unique(labels[drawn], return_index=True, return_counts=True)
    of_class = np.isin(labels[rows], names)
    _, before = np.unique(labels[rows[of_class]], return_counts=True)
    last = first[(counts == before) & (counts > 1)]
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
    names = np.unique(labels)
    drawn = np.random.default_rng([spec.seed, 3]).permutation(names)[
        : round(spec.unseen_fraction * len(names))
    ]
    subset[np.isin(groups, groups[np.isin(labels, drawn)])] = "test"


def _join(subset: np.ndarray, groups: np.ndarray, source: str, target: str) -> None:
    straddling = np.intersect1d(groups[subset == source], groups[subset == target])
    subset[np.isin(groups, straddling) & (subset == source)] = target


def _hash(classes: dict[str, tuple[str, ...]], ids: dict[str, dict[str, tuple[str, ...]]]) -> str:
    lines = [f"{part}\x1fclass\x1f{name}" for part, names in classes.items() for name in names]
    lines += [
        f"{p}\x1f{s}\x1f{product}" for p, subsets in ids.items() for s in SUBSETS for product in subsets[s]
    ]
    return hashlib.sha256("\x1e".join(sorted(lines)).encode("utf-8", "surrogatepass")).hexdigest()
