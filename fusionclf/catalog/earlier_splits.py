"""`split.same_as`: each product keeps its subset of an earlier run, even if its label has changed."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusionclf.catalog.records import Catalog
from fusionclf.catalog.split_record import Split
from fusionclf.config import SplitConfig
from fusionclf.errors import CatalogError, SettingsError, near_path, quoted
from fusionclf.run_schema import SPLIT_FILE

# Settings without an effect if same_as is set. They take the earlier run's values, to record how it was divided.
FIXED = ("rule", "swap", "validation_fraction", "test_fraction", "column", "unseen_fraction", "seed")
SHOWN = 3  # ids that a message names


@dataclass(frozen=True)
class EarlierSplit:
    """The split of an earlier run.

    Attributes:
        name: the value of `split.same_as`.
        split: the run's split.
    """

    name: str
    split: Split

    @classmethod
    def load(cls, name: str) -> "EarlierSplit":
        """The split of a run folder, or of a split.json.

        Raises:
            SettingsError: there is no such run.
            RunError: its split.json is damaged.
        """
        path = Path(name)
        file = path / SPLIT_FILE if path.is_dir() else path
        if not file.is_file():
            raise SettingsError(
                f"split.same_as={quoted(name)}: no run folder with a {SPLIT_FILE}{near_path(path)}; any run "
                "with that split will do, because each has all of it"
            )
        return cls(name, Split.load(file))

    def settings(self, spec: SplitConfig) -> SplitConfig:
        """The settings of `spec`, and those of the earlier run for what it does not set.

        Raises:
            SettingsError: `spec` sets another value of a setting that has no effect here.
        """
        earlier = self.split.spec
        for key in FIXED:
            value, its = getattr(spec, key), getattr(earlier, key)
            if key in spec.model_fields_set and value != its:
                raise SettingsError(
                    f"split.{key}={value}: has no effect with split.same_as={quoted(self.name)}, whose value is {its}; "
                    "leave out one of them"
                )
        given = {key: getattr(spec, key) for key in spec.model_fields_set}
        return earlier.model_copy(update={**given, "same_as": self.name})

    def subsets(self, catalog: Catalog, groups: np.ndarray) -> np.ndarray:
        """(N,) train, validation or test, as in the earlier split. New products join their group, or else train.

        Args:
            catalog: the N products.
            groups: (N,) equal numbers for products that stay together.

        Raises:
            CatalogError: the earlier split divides a group.
        """
        ids, known = catalog.table["id"].tolist(), self._known()
        found = [known.get(product) for product in ids]
        first: dict[int, tuple[str, str]] = {}  # group → subset and id of its first known product
        divided: dict[int, tuple[str, str]] = {}
        for group, product, subset in zip(groups.tolist(), ids, found, strict=True):
            if subset is not None and first.setdefault(group, (subset, product))[0] != subset:
                divided.setdefault(group, (subset, product))
        if divided:
            group, (subset, product) = next(iter(divided.items()))
            its, other = first[group]
            raise CatalogError(
                f"split.same_as={quoted(self.name)}: divides {len(divided):,} groups of split.group_by (product "
                f"{quoted(other)} is in {its}, {quoted(product)} in {subset}); set split.group_by=null, or leave out "
                "split.same_as"
            )
        new = ("train", "")
        return np.array(
            [
                first.get(group, new)[0] if subset is None else subset
                for group, subset in zip(groups.tolist(), found, strict=True)
            ],
            object,
        )

    def note(self, catalog: Catalog, subset: np.ndarray) -> str:
        """A line for the console about kept, new and missing products.

        Args:
            catalog: the N products.
            subset: (N,) their subsets, as of `subsets`.
        """
        known, ids = self._known(), catalog.table["id"].tolist()
        text = f"split: each product keeps its subset of {self.name}"
        added = Counter(name for product, name in zip(ids, subset, strict=True) if product not in known)
        if added:
            text += f"; new products: {', '.join(f'{n:,} join {name}' for name, n in sorted(added.items()))}"
        if gone := sorted(known.keys() - set(ids)):
            tested = sum(known[product] == "test" for product in gone)
            text += (
                f"; {len(gone):,} of its products ({tested:,} of test) are not in the catalog: "
                f"{', '.join(gone[:SHOWN])}{', …' if len(gone) > SHOWN else ''}"
            )
        return text

    def _known(self) -> dict[str, str]:
        """Product → its subset in the earlier split."""
        return {
            product: subset
            for subsets in self.split.ids.values()
            for subset, ids in subsets.items()
            for product in ids
        }
