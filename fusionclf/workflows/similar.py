"""`fusionclf similar`: a file of embeddings → nearest products, or near duplicates, as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusionclf.console import Console
from fusionclf.errors import PredictionError, near_name, quoted
from fusionclf.files import locked_output, replacing
from fusionclf.prediction.io.embedding_files import StoredVectors, read_vectors
from fusionclf.prediction.neighbours import Neighbours, VectorIndex
from fusionclf.runfolder import guarded

NEAR_DUPLICATE = 0.02  # distance up to which two products are near duplicates by default
COMPARED = 20  # nearest products of each that near duplicates are looked for among
DIGITS = 6
NEAREST_COLUMNS = ("id", "rank", "similar_id", "distance")
DUPLICATE_COLUMNS = ("group", "size", "id", "nearest_id", "distance")
Row = tuple[str | int | float, ...]


@dataclass(frozen=True)
class SimilarRequest:
    """Which products to compare.

    Attributes:
        source: file of embeddings of the products to search in.
        queries: file of embeddings of the products to search for; None: those of `source`.
        ids: products of the queries to search for; none: all. Without queries and ids, near duplicates are searched.
        kind: joint, picture or text.
        top_k: number of nearest products of each.
        max_distance: farther products are left out; None: none, or NEAR_DUPLICATE for near duplicates.
    """

    source: Path
    queries: Path | None = None
    ids: tuple[str, ...] = ()
    kind: str = "joint"
    top_k: int = 10
    max_distance: float | None = None

    @property
    def finds_duplicates(self) -> bool:
        """Whether near duplicates within `source` are searched."""
        return self.queries is None and not self.ids


def find_similar(request: SimilarRequest, out: Path | None, *, overwrite: bool, console: Console) -> int:
    """Write the nearest products, or groups of near duplicates, as CSV.

    Args:
        request: which products to compare.
        out: the file to write; None prints it.
        overwrite: replace the file.
        console: where progress goes.

    Returns:
        Number of rows.

    Raises:
        PredictionError: a file cannot be used, the files are of different models, an id is unknown, or `out` exists.
    """
    if out is not None and out.exists() and not overwrite:
        raise PredictionError(f"{out}: exists already; --overwrite replaces it, or give another --out")
    known = _read(request.source, request.kind, console)
    columns = DUPLICATE_COLUMNS if request.finds_duplicates else NEAREST_COLUMNS
    rows = (
        _duplicates(known, request, console)
        if request.finds_duplicates
        else _nearest(known, request, console)
    )
    text = _table(columns, rows)
    if out is None:
        print(text, end="")
    else:
        with locked_output(out), replacing(out) as aside:
            aside.write_text(text, encoding="utf-8")
        console.info(f"wrote {out}: {_summary(rows, request.finds_duplicates)}")
    return len(rows)


def _read(path: Path, kind: str, console: Console) -> StoredVectors:
    found = read_vectors(path, kind)
    if found.left_out:
        console.warn(f"{path}: {found.left_out:,} products have no {kind} embedding and are left out")
    if not len(found):
        raise PredictionError(f"{path}: no product has a {kind} embedding; choose another by --by")
    return found


def _nearest(known: StoredVectors, request: SimilarRequest, console: Console) -> list[Row]:
    """The nearest products of each query; a product of the same file is not its own neighbour."""
    ids, vectors, places = _queries(known, request, console)
    found = _search(known, vectors, request.top_k + (places is not None), console)
    most = np.inf if request.max_distance is None else request.max_distance
    rows: list[Row] = []
    for number, product in enumerate(ids):
        own = -1 if places is None else places[number]
        near = [n for n, row in enumerate(found.rows[number].tolist()) if row not in (own, -1)][
            : request.top_k
        ]
        for rank, n in enumerate(near, start=1):
            distance = float(found.distances[number, n])
            if distance <= most:
                other = str(known.ids[found.rows[number, n]])
                rows.append((product, rank, other, round(distance, DIGITS)))
    return rows


def _queries(
    known: StoredVectors, request: SimilarRequest, console: Console
) -> tuple[Sequence[str], np.ndarray, np.ndarray | None]:
    """Ids and vectors of the products to search for, and their places in `known` where they are of the same file."""
    chosen = known if request.queries is None else _read(request.queries, request.kind, console)
    if chosen.model != known.model:
        raise PredictionError(
            f"{request.queries}: its embeddings are from another model than those of {request.source}; embed both "
            "with one run"
        )
    place = {product: n for n, product in enumerate(chosen.ids.tolist())}
    if unknown := [product for product in request.ids if product not in place]:
        file, near = request.queries or request.source, near_name(unknown[0], list(place))
        hint = f"did you mean {quoted(near)}?" if near else "give an id of the file"
        raise PredictionError(
            f"{file}: no product {quoted(unknown[0])} with a {request.kind} embedding; {hint}"
        )
    places = np.array([place[product] for product in request.ids] or range(len(chosen)), np.int64)
    return chosen.ids[places].tolist(), chosen.vectors[places], places if request.queries is None else None


def _duplicates(known: StoredVectors, request: SimilarRequest, console: Console) -> list[Row]:
    """Groups of near duplicates, the largest first: products that a chain of near pairs links."""
    from scipy import sparse  # takes long to import
    from scipy.sparse.csgraph import connected_components

    most = NEAR_DUPLICATE if request.max_distance is None else request.max_distance
    found, count = _search(known, known.vectors, COMPARED + 1, console), len(known)
    is_other = (found.rows != np.arange(count)[:, None]) & (found.rows >= 0)
    near = is_other & (found.distances <= most)  # (n, k)
    first, second = np.nonzero(near)[0], found.rows[near]
    links = sparse.coo_matrix((np.ones(len(first), bool), (first, second)), shape=(count, count))
    _, group = connected_components(links, directed=False)
    sizes = np.bincount(group)
    nearest = np.where(is_other, found.distances, np.inf).argmin(axis=1)
    members = np.flatnonzero(sizes[group] > 1)
    order = members[np.lexsort((members, group[members], -sizes[group[members]]))]
    numbers: dict[int, int] = {}
    rows: list[Row] = []
    for place in order.tolist():
        number = numbers.setdefault(int(group[place]), len(numbers) + 1)
        other, distance = found.rows[place, nearest[place]], float(found.distances[place, nearest[place]])
        size = int(sizes[group[place]])
        rows.append((number, size, str(known.ids[place]), str(known.ids[other]), round(distance, DIGITS)))
    return rows


def _search(known: StoredVectors, queries: np.ndarray, count: int, console: Console) -> Neighbours:
    index = VectorIndex(known.vectors, len(queries))
    if not index.is_exact:
        console.info("searching with a faiss index, which may miss a few of a hundred neighbours")
    with console.bar("compare", len(queries)) as step:
        return index.search(queries, count, step)


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(_cells(rows))
    return stream.getvalue()


def _cells(rows: Sequence[Row]) -> Iterator[list[str | int | float]]:
    for row in rows:
        yield [guarded(cell) if isinstance(cell, str) else cell for cell in row]


def _summary(rows: Sequence[Row], duplicates: bool) -> str:
    if not duplicates:
        return f"{len(rows):,} pairs"
    return f"{len(rows):,} products in {rows[-1][0] if rows else 0:,} groups of near duplicates"
