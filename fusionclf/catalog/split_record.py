"""A split as a value: which product is in which part and subset; read from split.json and written to it."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fusionclf.catalog.records import Catalog
from fusionclf.config import SplitConfig, build_settings
from fusionclf.errors import RunError, SettingsError, quoted
from fusionclf.files import write_json
from fusionclf.run_schema import SPLIT, SplitFile
from fusionclf.runfolder import AGAIN, load_json_object

SUBSETS = ("train", "validation", "test")


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
        columns_sha256: column → its hash, of columns that a run reads and `catalog_sha256` may leave out.
        note: what `split.same_as` kept of an earlier split; "" without it, and where it was read from split.json.
    """

    spec: SplitConfig
    catalog_sha256: str
    sha256: str
    classes: dict[str, tuple[str, ...]]
    ids: dict[str, dict[str, tuple[str, ...]]]
    note: str = field(default="", compare=False)
    columns_sha256: dict[str, str] = field(default_factory=dict)

    def rows(self, catalog: Catalog, part: str | None, *subsets: str) -> np.ndarray:
        """Ascending positions in `catalog.table`; part None means all parts.

        Raises:
            RunError: the catalog lacks products of the split.
        """
        parts = self.ids if part is None else [part]
        wanted = [product for name in parts for subset in subsets for product in self.ids[name][subset]]
        rows = pd.Index(catalog.table["id"]).get_indexer(pd.Index(wanted, dtype="str"))
        if missing := [wanted[place] for place in np.flatnonzero(rows < 0)]:
            raise RunError(
                f"{catalog.root}: {len(missing):,} products of the split are missing, such as {quoted(missing[0])}; "
                "give the catalog of the run"
            )
        return np.sort(rows).astype(np.int64)

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
        value: SplitFile = {
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
        return {**value, "columns_sha256": self.columns_sha256} if self.columns_sha256 else value

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
        columns = value.get("columns_sha256", {})
        split = cls(spec, value["catalog_sha256"], value["sha256"], classes, ids, columns_sha256=columns)
        if split.sha256 != split_hash(classes, ids):
            raise RunError(f"sha256: the split's hash does not match its rows; {AGAIN}")
        return split

    def save(self, path: Path) -> None:
        """Write split.json."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read split.json; raises RunError where it is missing or damaged."""
        return load_json_object(path, SPLIT, cls.from_dict)


def split_hash(classes: dict[str, tuple[str, ...]], ids: dict[str, dict[str, tuple[str, ...]]]) -> str:
    """The hash of a split: of its class lists and of (id, part, subset) of every product."""
    lines = [f"{part}\x1fclass\x1f{name}" for part, names in classes.items() for name in names]
    lines += [
        f"{p}\x1f{s}\x1f{product}" for p, subsets in ids.items() for s in SUBSETS for product in subsets[s]
    ]
    return hashlib.sha256("\x1e".join(sorted(lines)).encode("utf-8", "surrogatepass")).hexdigest()
