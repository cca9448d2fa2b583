"""Groups of products that belong on one side of a split: one title, one picture, or nearly one picture."""

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from fusionclf.catalog.pictures import near_hash, open_picture, picture_hash
from fusionclf.catalog.records import Catalog
from fusionclf.errors import PictureError

Value = TypeVar("Value")
HASH_BITS = 64


def product_groups(catalog: Catalog, group_by: Sequence[str], near_distance: int = 4) -> np.ndarray:
    """A group number for each product; products linked by any of `group_by`, also over others, share one."""
    links: list[tuple[int, int]] = []
    if "title" in group_by:
        links += _same([title or None for title in catalog.table["title"]])
    if "picture" in group_by:
        links += _same(map_pictures(catalog.picture_paths(), picture_hash))
    if "near_picture" in group_by:
        links += near_pairs(map_pictures(catalog.picture_paths(), near_hash), near_distance)
    if not links:
        return np.arange(len(catalog))
    first, second = np.array(links).T
    graph = coo_matrix((np.ones(len(links), bool), (first, second)), shape=(len(catalog), len(catalog)))
    return connected_components(graph, directed=False)[1]


def map_pictures(paths: Sequence[Path | None], read: Callable[[Image.Image], Value]) -> list[Value | None]:
    """`read` of every picture; None where there is none or it cannot be decoded."""

    def one(path: Path | None) -> Value | None:
        if path is None:
            return None
        try:
            return read(open_picture(path))
        except PictureError:
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, paths, chunksize=64))


def _same(values: Sequence[Hashable | None]) -> list[tuple[int, int]]:
    """Links each row to the first row of the same value."""
    first: dict[Hashable, int] = {}
    return [(row, first.setdefault(value, row)) for row, value in enumerate(values) if value is not None]


def near_pairs(hashes: Sequence[int | None], distance: int) -> list[tuple[int, int]]:
    """Pairs of rows whose hashes differ in at most `distance` bits; equal hashes are linked to their first row.

    Two such hashes agree on one of `distance` + 1 bands of bits, so only rows that share a band are compared.
    """
    rows_of: dict[int, int] = {}
    links = []
    for row, value in enumerate(hashes):
        if value is not None:
            links.append((row, rows_of.setdefault(value, row)))
    values = np.array(list(rows_of), np.uint64)
    rows = np.array(list(rows_of.values()), np.int64)
    edges = np.linspace(0, HASH_BITS, distance + 2).astype(int)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        bands = defaultdict(list)
        mask = np.uint64((1 << int(high - low)) - 1)
        for place, band in enumerate(((values >> np.uint64(low)) & mask).tolist()):
            bands[band].append(place)
        for places in bands.values():
            links += _close(values, rows, np.array(places), distance)
    return links


def _close(values: np.ndarray, rows: np.ndarray, places: np.ndarray, distance: int) -> list[tuple[int, int]]:
    """Near pairs among a few hashes, one row of the comparison at a time."""
    links = []
    for n, place in enumerate(places[:-1]):
        others = places[n + 1 :]
        near = np.bitwise_count(values[others] ^ values[place]) <= distance
        links += [(int(rows[place]), int(rows[other])) for other in others[near]]
    return links
