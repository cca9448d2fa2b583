"""What a check of a catalog counts in its cells."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from itertools import pairwise

from fusionclf.catalog.records import Catalog
from fusionclf.catalog.spellings import distinguishable, spellings

PATH_SIGNS = (">", "|")  # between the categories of a path, as shops write it


def count_cells(catalog: Catalog, columns: Iterable[str], *texts: str) -> dict[str, int]:
    """Column → how many of its cells are one of some texts; columns without such a cell are left out."""
    counts = {name: sum(cell in texts for cell in catalog.table[name]) for name in columns}
    return {name: n for name, n in counts.items() if n}


def spellings_by_column(catalog: Catalog) -> dict[str, list[str]]:
    """Column of the file → labels or categories that differ only in case, blanks or Unicode form."""
    columns = catalog.columns
    found = {columns.label: spellings(label for _, label in labels_with_rows(catalog))}
    found |= {name: spellings(catalog.table[name]) for name in columns.categories}
    return {
        source: [" = ".join(distinguishable(group)) for group in groups]
        for source, groups in found.items()
        if groups
    }


def labels_with_rows(catalog: Catalog) -> list[tuple[int, str]]:
    """The catalog row and the name of every label of every product."""
    if catalog.label_sets is None:
        return list(enumerate(catalog.table["label"].tolist()))
    return [(row, label) for row, labels in enumerate(catalog.label_sets.of) for label in labels]


def with_several(pairs: Iterable[tuple[str, Hashable]]) -> list[str]:
    """The keys that occur with more than one value, sorted; "" is no key."""
    values = defaultdict(set)
    for key, value in pairs:
        values[key].add(value)
    return sorted(key for key, found in values.items() if key and len(found) > 1)


def several_paths(catalog: Catalog) -> list[str]:
    """Classes under several category paths, sorted."""
    paths = catalog.table[list(catalog.columns.categories)].itertuples(index=False, name=None)
    return with_several(zip(catalog.table["label"], paths, strict=True))


def several_parents(catalog: Catalog) -> list[str]:
    """Categories under several parents, sorted by level and name."""
    table = catalog.table
    levels = pairwise(catalog.columns.categories)
    return [
        name for upper, lower in levels for name in with_several(zip(table[lower], table[upper], strict=True))
    ]


def labels_with_path(catalog: Catalog) -> list[str]:
    """Classes whose name seems to be a category path, such as Apparel > Shirts; none where labels are read as paths."""
    if catalog.columns.label_separator or catalog.columns.label_list:
        return []
    return [name for name in catalog.classes if any(sign in name for sign in PATH_SIGNS)]
