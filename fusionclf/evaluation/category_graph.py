"""The category graph: class probabilities → an existing category path, with a probability at each level.

A class may be under several paths and a category under several parents, so categories form no tree.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fusionclf.catalog import Catalog, Split
from fusionclf.errors import RunError
from fusionclf.files import write_json
from fusionclf.run_schema import GRAPH, GraphFile, GraphPath
from fusionclf.runfolder import AGAIN, load_json_object

if TYPE_CHECKING:
    from scipy import sparse

SMOOTHING = 1.0  # rows added to every path of a class, so that a path without training rows has a share
CHUNK = 16_384  # products at a time


@dataclass(frozen=True)
class PredictedPaths:
    """The predicted path of n products: the most frequent path of the most likely class.

    Attributes:
        classes: (n,) number of that class in the graph.
        paths: (n,) number of the path in the graph.
        category_probs: (n, L) probability of its categories, the coarsest first: of all paths that begin with them.
        path_prob: (n,) probability of the whole path.
    """

    classes: np.ndarray
    paths: np.ndarray
    category_probs: np.ndarray
    path_prob: np.ndarray


@dataclass(frozen=True)
class CategoryGraph:
    """Which category paths lead to each class, and how many training rows each has.

    Attributes:
        levels: names of the L category columns, the coarsest first, then that of the class.
        classes: all classes, sorted.
        paths: all that occur, sorted: L categories, then the class.
        rows: training rows of each path.

    Raises:
        ValueError: a path has another length or an unknown class, occurs twice, or a class has none.
    """

    levels: tuple[str, ...]
    classes: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    rows: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.paths) or any(count < 0 for count in self.rows):
            raise ValueError("each path needs its number of training rows, 0 or more")
        if not self.levels or any(len(path) != len(self.levels) for path in self.paths):
            raise ValueError(f"a path needs a name for each of the levels {', '.join(self.levels)}")
        if len(set(self.paths)) != len(self.paths) or len(set(self.classes)) != len(self.classes):
            raise ValueError("a path or a class occurs twice")
        if {path[-1] for path in self.paths} != set(self.classes):
            raise ValueError("the paths must lead to the classes, each to one and one or more to each")

    @classmethod
    def from_catalog(cls, catalog: Catalog, rows: np.ndarray) -> "CategoryGraph":
        """The graph of all paths of a catalog, with counts over some of its rows.

        Args:
            catalog: which paths occur; without category columns a path is the class alone.
            rows: positions in `catalog.table` of the products that are counted.
        """
        categories = catalog.columns.categories
        if catalog.label_sets is not None:
            of_labels = catalog.count_labels(rows)
            names = catalog.classes
            return cls(
                (catalog.columns.label,),
                names,
                tuple((n,) for n in names),
                tuple(of_labels[n] for n in names),
            )
        columns = [catalog.table[name].tolist() for name in (*categories, "label")]
        everything = list(zip(*columns, strict=True))
        counts = Counter(everything[row] for row in rows.tolist())
        paths = tuple(sorted(set(everything)))
        levels = (*categories, catalog.columns.label)
        return cls(levels, catalog.classes, paths, tuple(counts[path] for path in paths))

    @classmethod
    def from_split(cls, catalog: Catalog, split: Split) -> "CategoryGraph":
        """The graph of all paths of a catalog, with counts over its train and validation rows."""
        return cls.from_catalog(catalog, split.rows(catalog, None, "train", "validation"))

    def with_classes(self, places: Mapping[str, Sequence[str]]) -> "CategoryGraph":
        """The graph with further classes, which have no training row.

        Args:
            places: class → its categories, the coarsest first; "" where one is not known.
        """
        depth = len(self.levels) - 1
        new = [name for name in places if name not in self.numbers]
        more = [((*[*places[name], *[""] * depth][:depth], name), 0) for name in new]
        paths = dict(sorted([*zip(self.paths, self.rows, strict=True), *more]))
        classes = tuple(sorted((*self.classes, *new)))
        return CategoryGraph(self.levels, classes, tuple(paths), tuple(paths.values()))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Class name → its number."""
        return {name: number for number, name in enumerate(self.classes)}

    @cached_property
    def class_of(self) -> np.ndarray:
        """(P,) number of each path's class."""
        return np.array([self.numbers[path[-1]] for path in self.paths], np.int64)

    @cached_property
    def shares(self) -> np.ndarray:
        """(P,) P(path | its class): training rows of the path among those of the class, smoothed."""
        weights = np.array(self.rows, np.float64) + SMOOTHING
        return weights / np.bincount(self.class_of, weights, len(self.classes))[self.class_of]

    @cached_property
    def best(self) -> np.ndarray:
        """(K,) number of each class's most frequent path; of equally frequent ones the first."""
        order = np.lexsort((np.arange(len(self.paths)), -self.shares, self.class_of))
        return order[np.searchsorted(self.class_of[order], np.arange(len(self.classes)))]

    @cached_property
    def prefixes(self) -> "tuple[tuple[np.ndarray, sparse.csr_array], ...]":
        """For each category level: (P,) number of the path's categories down to it, and (prefixes, K) shares.

        A share is that of a class's training rows that lie below those categories, smoothed.
        """
        from scipy import sparse  # scipy takes long to import

        found = []
        for depth in range(1, len(self.levels)):
            numbers: dict[tuple[str, ...], int] = {}
            of_path = np.array([numbers.setdefault(path[:depth], len(numbers)) for path in self.paths])
            shape = (len(numbers), len(self.classes))
            shares = sparse.coo_array((self.shares, (of_path, self.class_of)), shape=shape)
            found.append((of_path, sparse.csr_array(shares)))
        return tuple(found)

    def predict_paths(
        self, probabilities: np.ndarray, classes: Sequence[str] | None = None
    ) -> PredictedPaths:
        """The path of each product's most likely class; of equally likely classes that of the first.

        Along a path the probabilities fall from the coarsest category to the whole path.

        Args:
            probabilities: (n, K') of `classes`; a row of NaN gives NaN.
            classes: the candidates; default: all of the graph.

        Raises:
            ValueError: a candidate is not a class of the graph.
        """
        columns = self.class_numbers(self.classes if classes is None else classes)
        size, depth = len(probabilities), len(self.levels) - 1
        first = np.zeros(size, np.int64)
        categories, whole = np.empty((size, depth)), np.empty(size)
        for start in range(0, size, CHUNK):
            chunk = slice(start, start + CHUNK)
            rows = np.asarray(probabilities[chunk], np.float64)
            place = rows.argmax(axis=1)
            first[chunk] = columns[place]
            path = self.best[columns[place]]
            whole[chunk] = rows[np.arange(len(rows)), place] * self.shares[path]
            for level, (of_path, shares) in enumerate(self.prefixes):
                by_prefix = shares[:, columns] @ rows.T  # (prefixes, n)
                categories[chunk, level] = by_prefix[of_path[path], np.arange(len(rows))]
        # Rounding in a sum must not reverse the order.
        falling = np.concatenate([categories, whole[:, None]], axis=1).clip(max=1.0)
        falling = np.maximum.accumulate(falling[:, ::-1], axis=1)[:, ::-1]
        return PredictedPaths(first, self.best[first], falling[:, :-1], falling[:, -1])

    def class_numbers(self, names: Sequence[str]) -> np.ndarray:
        """(n,) numbers of classes.

        Raises:
            ValueError: a name is not a class of the graph.
        """
        unknown = [name for name in names if name not in self.numbers]
        if unknown:
            raise ValueError(f"class {unknown[0]!r} is not in the category graph")
        return np.array([self.numbers[name] for name in names], np.int64)

    def best_path(self, name: str) -> tuple[str, ...]:
        """A class's most frequent path, the class included."""
        return self.paths[self.best[self.numbers[name]]]

    def distances(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """(n,) edges on the shortest way between two classes over the paths that occur.

        0: the same class; 2: they share a parent; twice the number of levels: they share only the root.
        """
        from scipy.sparse.csgraph import shortest_path  # scipy takes long to import

        here, there = self.class_numbers(first), self.class_numbers(second)
        sources, place = np.unique(here, return_inverse=True)
        if not len(sources):
            return np.zeros(0, np.int64)
        ways = shortest_path(self._edges, directed=False, unweighted=True, indices=sources, method="D")
        return ways[place, there].astype(np.int64)

    @cached_property
    def _edges(self) -> "sparse.csr_array":
        """The graph's edges. The first nodes are the classes; each pair of level and category name is a node."""
        from scipy import sparse  # scipy takes long to import

        last = len(self.levels) - 1
        nodes: dict[tuple[int, str], int] = {(last, name): n for n, name in enumerate(self.classes)}
        root = nodes.setdefault((-1, ""), len(nodes))
        edges = set()
        for path in self.paths:
            parent = root
            for level, name in enumerate(path):
                child = nodes.setdefault((level, name), len(nodes))
                edges.add((parent, child))
                parent = child
        ends = np.array(sorted(edges), np.int64)
        return sparse.csr_array(
            (np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(nodes), len(nodes))
        )

    def to_dict(self) -> GraphFile:
        """Plain data, as in graph.json."""
        paths: list[GraphPath] = [
            {"path": list(path), "rows": n} for path, n in zip(self.paths, self.rows, strict=True)
        ]
        return {"levels": list(self.levels), "classes": list(self.classes), "paths": paths}

    @classmethod
    def from_dict(cls, value: GraphFile) -> "CategoryGraph":
        """The graph from the data of `to_dict`.

        Raises:
            RunError: the data is not a category graph.
        """
        paths, rows = (
            [tuple(each["path"]) for each in value["paths"]],
            [each["rows"] for each in value["paths"]],
        )
        try:
            return cls(tuple(value["levels"]), tuple(value["classes"]), tuple(paths), tuple(rows))
        except ValueError as error:
            raise RunError(f"not a category graph ({error}); {AGAIN}") from error

    def save(self, path: Path) -> None:
        """Write graph.json."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> "CategoryGraph":
        """Read graph.json.

        Raises:
            RunError: the file is missing or damaged.
        """
        return load_json_object(path, GRAPH, cls.from_dict)
