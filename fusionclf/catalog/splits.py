"""The one split that all variants share: parts by class, and train, validation and test by rule.

Rows are taken in the order of their ids, so the same products in another order give the same split.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fusionclf.catalog.groups import product_groups
from fusionclf.catalog.records import Catalog
from fusionclf.config import SplitConfig, build_settings
from fusionclf.errors import CatalogError, RunError, SettingsError
from fusionclf.runfolder import read_json, write_json

SUBSETS = ("train", "validation", "test")
REST = "rest"


@dataclass(frozen=True)
class Split:
    """Which product is in which part and subset.

    Attributes:
        spec: the settings that made it.
        catalog_sha256: hash of the catalog it divides.
        sha256: hash of the class lists and of (id, part, subset) of every product.
        classes: part → its class names, sorted; the parts are `top{k}` and, if classes are left over, `rest`.
        ids: part → subset → sorted ids.
    """

    spec: SplitConfig
    catalog_sha256: str
    sha256: str
    classes: dict[str, tuple[str, ...]]
    ids: dict[str, dict[str, tuple[str, ...]]]

    def rows(self, catalog: Catalog, part: str | None, *subsets: str) -> np.ndarray:
        """Ascending positions in `catalog.table`; part None means all parts."""
        wanted = [
            product for p in ([part] if part else self.ids) for s in subsets for product in self.ids[p][s]
        ]
        place = dict(zip(catalog.table["id"], range(len(catalog)), strict=True))
        return np.sort(np.array([place[product] for product in wanted], np.int64))

    def class_names(self, part: str | None) -> tuple[str, ...]:
        """A part's candidates, sorted; part None means all classes."""
        return (
            self.classes[part]
            if part
            else tuple(sorted(name for names in self.classes.values() for name in names))
        )

    def train_counts(self, catalog: Catalog, part: str | None) -> dict[str, int]:
        """Rows in train and validation of every class of the part."""
        labels = catalog.table["label"].iloc[self.rows(catalog, part, "train", "validation")]
        counts = Counter(labels)
        return {name: counts[name] for name in self.class_names(part)}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in split.json."""
        return {
            "spec": self.spec.model_dump(mode="json"),
            "catalog_sha256": self.catalog_sha256,
            "sha256": self.sha256,
            "classes": {part: list(names) for part, names in self.classes.items()},
            "ids": {p: {s: list(ids) for s, ids in subsets.items()} for p, subsets in self.ids.items()},
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Split":
        """Raises RunError where the data is no split, or was changed by hand."""
        try:
            classes = {part: tuple(names) for part, names in value["classes"].items()}
            ids = {p: {s: tuple(subsets[s]) for s in SUBSETS} for p, subsets in value["ids"].items()}
            spec = build_settings(SplitConfig, value["spec"])
            split = cls(spec, value["catalog_sha256"], value["sha256"], classes, ids)
        except (KeyError, TypeError, AttributeError, SettingsError) as error:
            raise RunError(f"split.json: not a split ({error!r}); make the run again") from error
        if split.sha256 != _hash(classes, ids):
            raise RunError("split.json: its hash does not fit its rows; make the run again")
        return split

    def save(self, path: Path) -> None:
        """Write split.json."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read split.json."""
        return cls.from_dict(read_json(path))


def make_split(catalog: Catalog, spec: SplitConfig | None = None) -> Split:
    """Divide a catalog.

    Args:
        catalog: the products.
        spec: rule, parts and shares; default: the reference's split.

    Raises:
        CatalogError: the rule leaves a part without train or without test rows, or its column is missing.
    """
    spec = spec or SplitConfig()
    labels = catalog.table["label"].to_numpy(object)
    groups = product_groups(catalog, spec.group_by, spec.near_distance)
    subset = _train_or_test(catalog, spec, labels, groups)
    if spec.swap:
        subset = np.select([subset == "test", subset == "train"], ["train", "test"], subset)
    subset = _undivided(subset, groups)
    classes = _parts(labels, spec.top_k)
    part_of = {name: part for part, names in classes.items() for name in names}
    parts = np.array([part_of[label] for label in labels], object)
    if not (subset == "validation").any():
        _draw_validation(subset, parts, groups, list(classes), spec)
    ids = {}
    products = catalog.table["id"].to_numpy(object)
    for part in classes:
        ids[part] = {s: tuple(products[(parts == part) & (subset == s)]) for s in SUBSETS}
        for needed in ("train", "test"):
            if not ids[part][needed]:
                raise CatalogError(
                    f"split.rule={spec.rule}: part {part!r} has no {needed} row; set split.rule=random, or split.top_k"
                )
    return Split(spec, catalog.sha256, _hash(classes, ids), classes, ids)


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
    for name in sorted(set(labels)):
        rows = np.flatnonzero(labels == name)
        subset[_draw(rows, groups, spec.test_fraction, generator)] = "test"
    return subset


def _from_column(catalog: Catalog, column: str) -> np.ndarray:
    if column not in catalog.table:
        raise CatalogError(
            f"split.column={column!r}: not among the columns that were kept; add it to catalog.metadata"
        )
    names = {
        "train": "train",
        "test": "test",
        "validation": "validation",
        "val": "validation",
        "valid": "validation",
    }
    values = catalog.table[column].str.lower().map(names)
    if values.isna().any():
        bad = catalog.table[column][values.isna()].iloc[0]
        raise CatalogError(f"split.column={column!r}: value {bad!r}; allowed: train, validation, test")
    return values.to_numpy(object)


def _draw(rows: np.ndarray, groups: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Whole groups of `rows`, in random order, as many as fit into round(share · rows)."""
    own, sizes = np.unique(groups[rows], return_counts=True)
    order = generator.permutation(len(own))
    fits = sizes[order].cumsum() <= round(share * len(rows))
    return rows[np.isin(groups[rows], own[order][fits])]


def _draw_validation(
    subset: np.ndarray, parts: np.ndarray, groups: np.ndarray, names: list[str], spec: SplitConfig
) -> None:
    for number, part in enumerate(names):
        rows = np.flatnonzero((subset == "train") & (parts == part))
        generator = np.random.default_rng([spec.seed, 2, number])
        subset[_draw(rows, groups, spec.validation_fraction, generator)] = "validation"
    if spec.group_by:  # a group with classes of both parts must not be in train and validation
        _join(subset, groups, "validation", "train")


def _undivided(subset: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A group on both sides of the split goes to train as a whole, so that no test product was seen."""
    subset = subset.copy()
    _join(subset, groups, "test", "train")
    _join(subset, groups, "test", "validation")
    _join(subset, groups, "validation", "train")
    return subset


def _join(subset: np.ndarray, groups: np.ndarray, source: str, target: str) -> None:
    straddling = np.intersect1d(groups[subset == source], groups[subset == target])
    subset[np.isin(groups, straddling) & (subset == source)] = target


def _hash(classes: dict[str, tuple[str, ...]], ids: dict[str, dict[str, tuple[str, ...]]]) -> str:
    lines = [f"{part}\x1fclass\x1f{name}" for part, names in classes.items() for name in names]
    lines += [
        f"{p}\x1f{s}\x1f{product}" for p, subsets in ids.items() for s in SUBSETS for product in subsets[s]
    ]
    return hashlib.sha256("\x1e".join(sorted(lines)).encode("utf-8", "surrogatepass")).hexdigest()
