"""Where each class stands in the catalog's category graph."""

from collections import Counter

from fusionclf.catalog.records import Catalog
from fusionclf.catalog.splits import Split


def category_paths(catalog: Catalog, split: Split) -> dict[str, tuple[str, ...]]:
    """Each class's most frequent category path, top down, over train and validation rows.

    A class without such a row, which an open vocabulary can answer, is looked up in all rows.
    """
    columns = catalog.columns.categories
    if not columns:
        return {}
    known = split.rows(catalog, None, "train", "validation")
    found: dict[str, Counter[tuple[str, ...]]] = {}
    for table in (catalog.table.iloc[known], catalog.table):
        seen = set(found)
        for label, *path in zip(table["label"], *(table[name] for name in columns), strict=True):
            if label not in seen:
                found.setdefault(label, Counter())[tuple(path)] += 1
    return {label: found[label].most_common(1)[0][0] for label in sorted(found)}
