"""Groups of products that belong on one side of a split: one title, one picture, or one cell of a column."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from fusionclf.catalog.fields import TITLE
from fusionclf.catalog.inspection import inspect_pictures
from fusionclf.catalog.records import Catalog
from fusionclf.config import SplitConfig
from fusionclf.config.data_sections import GROUPINGS
from fusionclf.errors import CatalogError, quoted

HASH_BITS = 64
MOST_LINKS = 4_000_000  # held in memory before they are joined


def product_groups(catalog: Catalog, group_by: Sequence[str], near_distance: int = 4) -> np.ndarray:
    """A group number for each product; products that any of `group_by` links, also through others, share one.

    Args:
        catalog: the products.
        group_by: title, picture (pixel for pixel, any of a product's), near_picture, or a column of the table, whose
            empty cells link nothing; empty: each product is its own group.
        near_distance: bits by which the 64-bit hashes of near pictures may differ.

    Raises:
        CatalogError: the table lacks a column.
    """
    size = len(catalog)
    groups = np.arange(size)
    if TITLE in group_by:
        titles = zip(catalog.table["title"], catalog.has_title, strict=True)
        groups = _joined(groups, same_values([title if there else None for title, there in titles]))
    for name in group_by:
        if name not in GROUPINGS:
            groups = _joined(groups, same_values(_cells(catalog, name)))
    near, owners = "near_picture" in group_by, catalog.picture_owners
    if not near and "picture" not in group_by:
        return groups
    found = inspect_pictures(catalog.root, catalog.flat_picture_paths(), near=near)
    if "picture" in group_by:
        groups = _joined(groups, owners[same_values(found.digests)])
    if near:
        hashes = found.near_hashes
        groups = _joined(groups, owners[same_values(hashes)])
        for links in _batches(near_links(hashes, near_distance)):
            groups = _joined(groups, owners[links])
    return groups


def variant_groups(catalog: Catalog, spec: SplitConfig) -> np.ndarray | None:
    """(N,) groups of products linked by titles or by cells of the split's columns; None where it names no column.

    Products of a group are not independent: folds do not divide a group, and the bootstrap draws whole groups.
    """
    return product_groups(catalog, (TITLE, *spec.group_columns)) if spec.group_columns else None


def _cells(catalog: Catalog, column: str) -> list[str | None]:
    """A column's cells without blanks around them; None for an empty one."""
    if column not in catalog.table:
        raise CatalogError(
            f"split.group_by={quoted(column)}: not among the columns that were read; read the catalog with it "
            "(split_columns), or add it to catalog.metadata"
        )
    cells = catalog.table[column].astype("str").fillna("")
    return [cell.strip() or None for cell in cells]


def same_values(values: Sequence[Hashable | None]) -> np.ndarray:
    """Links each row to the first row of the same value: (L, 2); rows without a value (None) have no link."""
    first: dict[Hashable, int] = {}
    links = [(row, first.setdefault(value, row)) for row, value in enumerate(values) if value is not None]
    return np.array([link for link in links if link[0] != link[1]], np.int64).reshape(-1, 2)


def near_links(hashes: Sequence[int | None], distance: int) -> Iterator[np.ndarray]:
    """Links, (L, 2) at a time, between rows whose different hashes differ in at most `distance` bits.

    Two such hashes agree in at least one of `distance` + 1 bands of bits, so only rows that share a band are
    compared. Of equal hashes, the first row alone is linked.
    """
    first: dict[int, int] = {}
    for row, value in enumerate(hashes):
        if value is not None:
            first.setdefault(value, row)
    values = np.array(list(first), np.uint64)
    rows = np.array(list(first.values()), np.int64)
    edges = np.linspace(0, HASH_BITS, distance + 2).astype(int).tolist()
    for low, high in pairwise(edges):
        mask = np.uint64((1 << (high - low)) - 1)
        bands: dict[int, list[int]] = defaultdict(list)
        for place, band in enumerate(((values >> np.uint64(low)) & mask).tolist()):
            bands[band].append(place)
        for found in bands.values():
            places = np.array(found)
            for n, place in enumerate(found[:-1]):
                others = places[n + 1 :]
                near = rows[others[np.bitwise_count(values[others] ^ values[place]) <= distance]]
                if len(near):
                    yield np.stack([np.full_like(near, rows[place]), near], axis=1)


def _batches(links: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Links in large batches: they are joined seldom, and memory never holds all of them."""
    pending: list[np.ndarray] = []
    size = 0
    for found in links:
        pending.append(found)
        size += len(found)
        if size > MOST_LINKS:
            yield np.concatenate(pending)
            pending, size = [], 0
    if pending:
        yield np.concatenate(pending)


def _joined(groups: np.ndarray, links: np.ndarray) -> np.ndarray:
    """The groups after each link has made one group of two."""
    if not len(links):
        return groups
    first, second = groups[links[:, 0]], groups[links[:, 1]]
    from scipy.sparse import coo_matrix  # scipy takes long to import
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(links), bool), (first, second)), shape=(len(groups), len(groups)))
    return connected_components(graph, directed=False)[1][groups].astype(np.int64)
