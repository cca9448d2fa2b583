"""Small catalogs and their splits, for tests of splits."""

from collections import Counter
from typing import Any

from fusionclf.catalog import Catalog, Split

SUBSETS = ("train", "validation", "test")


def rows_of(*classes: tuple[str, int, int]) -> list[dict[str, Any]]:
    """Rows by (class, rows of an even year, rows of an odd year), each with its own title."""
    rows = []
    for name, even, odd in classes:
        for number in range(even + odd):
            year = 2012 if number < even else 2013
            rows.append({"articleType": name, "year": year, "productDisplayName": f"{name} {number}"})
    return rows


def subset_of(split: Split) -> dict[str, str]:
    return {i: subset for part in split.ids.values() for subset, ids in part.items() for i in ids}


def labels_in(catalog: Catalog, split: Split, part: str | None, *subsets: str) -> Counter[str]:
    return Counter(catalog.table["label"].iloc[split.rows(catalog, part, *subsets)])
