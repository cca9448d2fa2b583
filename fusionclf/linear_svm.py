"""A linear SVM over many classes: squared hinge loss, each class against the others.

scikit-learn's LinearSVC minimises the same loss, one class after the other on one core. Here a few passes of dual
coordinate descent start all classes at once, so that most of the time is spent in matrix products; Newton steps over
the rows within the margin, which are few, then come close to the minimum.

Source: Hsieh et al., A Dual Coordinate Descent Method for Large-scale Linear SVM (2008); Keerthi and DeCoste, A
Modified Finite Newton Method for Fast Solution of Large Scale Linear SVMs (2005).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg
from threadpoolctl import threadpool_info, threadpool_limits

from fusionclf.svm_rows import Rows, width

PASSES = 1  # of coordinate descent
NEWTON_STEPS = 10
TOLERANCE = 3e-3  # a class is done when a whole Newton step improves its loss by less, relatively
HALVINGS = 6  # of a Newton step
CG_STEPS, CG_TOLERANCE = 50, 1e-3
LEAST_CLASSES, CHUNKS = 32, 16  # of one chunk; at most, unless the chunks were too large
MOST_PAIRS = 2**21  # of a row and a class in a chunk, of which each thread keeps about ten numbers


@dataclass(frozen=True)
class SVMSettings:
    """How a linear SVM is fitted.

    Attributes:
        regularisation: C.
        seed: of the order of rows.
        threads: None: as many as BLAS has. Their number does not change the result.
    """

    regularisation: float = 1.0
    seed: int = 0
    threads: int | None = None


DEFAULT = SVMSettings()


@dataclass(frozen=True)
class LinearSVM:
    """Classes in ascending order, (K,), with their weights, (K, D), and bias, (K,)."""

    classes: np.ndarray
    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class EarlierFit:
    """Weights to start from, of a fit to other rows.

    Attributes:
        svm: the weights.
        places: (D,) places of the new features among those of `svm`; -1 for a feature that it lacks.
    """

    svm: LinearSVM
    places: np.ndarray

    def find(self, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of some classes it has, and their places among its own."""
        own = self.svm.classes
        places = np.minimum(np.searchsorted(own, classes), len(own) - 1)
        known = np.flatnonzero(own[places] == classes)
        return known, places[known]


def fit_linear_svm(
    features: sparse.csr_matrix,
    targets: np.ndarray,
    settings: SVMSettings = DEFAULT,
    dense: np.ndarray | None = None,
    every: np.ndarray | None = None,
    earlier: Sequence[EarlierFit] = (),
    on_fitted: Callable[[int], None] = lambda classes: None,
) -> LinearSVM:
    """Minimise |w|²/2 + C Σ max(0, 1 - y (w·x + b))² for each class; the bias b is part of w.

    Args:
        features: (n, D).
        targets: (n,) classes, numbers or names; one class alone gets weights of 0. Where a row can be of several
            classes, (n, K) whether it is of each of `every`.
        settings: C, the order of rows, and the number of threads.
        dense: (n, E) further features, none of them sparse; their weights come last.
        every: all classes in ascending order; those without a row get weights and a bias of 0. Default: those of the
            targets.
        earlier: a class that is in one of these starts from its weights there; not with `dense`.
        on_fitted: called with the number of classes that were fitted since the last call.

    >>> features = sparse.csr_matrix([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> svm = fit_linear_svm(features, np.array(["hat", "hat", "shoe"]))
    >>> scores = features @ svm.weights.T + svm.bias
    >>> [str(name) for name in svm.classes[scores.argmax(axis=1)]]
    ['hat', 'hat', 'shoe']
    """
    if targets.ndim == 2:
        assert every is not None, "several classes a row need the names of all"
        classes, columns, numbers = every, np.arange(len(every)), np.zeros(0)
    else:
        found, numbers = np.unique(targets, return_inverse=True)
        classes = found if every is None else every
        columns = np.searchsorted(classes, found)  # of the classes with rows
    further = 0 if dense is None else dense.shape[1]
    weights = np.zeros((width(features) + further, len(classes)), np.float32)
    bias = np.zeros(len(classes), np.float32)
    if len(columns) == 1 and targets.ndim == 1:  # it is the answer to every product
        return LinearSVM(classes, weights.T, bias)
    rows = Rows.of(features, dense, settings.seed)
    started = np.zeros(len(columns), bool)
    for one in earlier:
        started[one.find(classes[columns])[0]] = True

    def fit(chunk: np.ndarray) -> int:
        positive = (
            targets[np.ix_(rows.order, chunk)] if targets.ndim == 2 else numbers[rows.order, None] == chunk
        )
        problem = _Problem(rows, positive, settings.regularisation)
        if started[chunk[0]]:  # a chunk's classes are all started, or none is
            problem.start(earlier, classes[columns[chunk]])
        else:
            problem.descend(np.random.default_rng(settings.seed))
        problem.take_newton_steps()
        weights[np.ix_(rows.columns, columns[chunk])] = problem.weights[1:]
        bias[columns[chunk]] = problem.weights[0]
        return len(chunk)

    chunks = [
        chunk
        for group in (np.flatnonzero(started), np.flatnonzero(~started))
        for chunk in _chunks(group, len(targets))
    ]
    threads = settings.threads or max((pool["num_threads"] for pool in threadpool_info()), default=1)
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        for count in pool.map(fit, chunks):
            on_fitted(count)
    return LinearSVM(classes, weights.T, bias)


def _chunks(classes: np.ndarray, rows: int) -> list[np.ndarray]:
    """Some classes at a time, which one thread solves at once."""
    count = len(classes)
    usual, least = min(max(count // LEAST_CLASSES, 1), CHUNKS), -(-count * rows // MOST_PAIRS)
    return np.array_split(classes, min(max(usual, least), count)) if count else []


class _Problem:
    """Weights of some classes, on their way to the minimum.

    Args:
        rows: n of them.
        positive: (n, k) whether a row is of a class.
        regularisation: C.

    Attributes:
        weights: (Dd + Ds, k), in the order of the rows' features.
    """

    def __init__(self, rows: Rows, positive: np.ndarray, regularisation: float) -> None:
        self.rows, self.regularisation = rows, np.float32(regularisation)
        self.diagonal = 1 / (2 * self.regularisation)  # that the squared hinge adds to the dual
        self.signs = np.where(positive, np.float32(1), np.float32(-1))
        self.weights = np.zeros((1 + len(rows.columns), positive.shape[1]), np.float32)

    def start(self, earlier: Sequence[EarlierFit], classes: np.ndarray) -> None:
        """Begin with the weights of earlier fits; of a class that is in several, with those of the last one."""
        for fit in earlier:
            here, there = fit.find(classes)
            places = fit.places[self.rows.columns]
            shared = np.flatnonzero(places >= 0)
            self.weights[:, here] = 0
            self.weights[0, here] = fit.svm.bias[there]
            self.weights[np.ix_(1 + shared, here)] = fit.svm.weights[np.ix_(there, places[shared])].T

    def descend(self, order: np.random.Generator) -> None:
        """Coordinate descent on the dual, block by block."""
        blocks = self.rows.blocks
        duals = [np.zeros((len(block.dense), self.signs.shape[1]), np.float32) for block in blocks]
        split = self.rows.dense.shape[1]
        for number in np.concatenate([order.permutation(len(blocks)) for _ in range(PASSES)]):
            block = blocks[number]
            scores = block.dense @ self.weights[:split] + block.others @ self.weights[block.columns]
            signs = self.signs[block.places]
            change = _descended(block.products, scores, duals[number], signs, self.diagonal)
            duals[number] += change
            self.weights[:split] += block.dense.T @ change
            self.weights[block.columns] += block.transposed @ change

    def take_newton_steps(self) -> None:
        """Newton steps for each class, until one brings little."""
        left, scores = np.arange(self.signs.shape[1]), self.rows.scores(self.weights)
        for _ in range(NEWTON_STEPS):
            start = self.weights[:, left]
            signs = self.signs[:, left]
            targets = np.stack(list(map(self._minimum, scores.T, signs.T)), axis=1)
            found, scores, unfinished = self._line_search(start, scores, targets, signs)
            self.weights[:, left] = found
            left, scores = left[unfinished], scores[:, unfinished]
            if not len(left):
                break

    def _minimum(self, scores: np.ndarray, signs: np.ndarray) -> np.ndarray:
        """(Dd + Ds,) weights of the least loss of one class, if the same rows stay within the margin."""
        within = np.flatnonzero(signs * scores < 1)
        dense, others = self.rows.dense[within], self.rows.others[within]
        transposed = others.T

        def products(duals: np.ndarray) -> np.ndarray:
            return dense @ (dense.T @ duals) + others @ (transposed @ duals) + self.diagonal * duals

        # Without a type SciPy takes a product to find it; its stubs do not know the argument.
        system = LinearOperator((len(within), len(within)), products, dtype=np.float32)  # pyright: ignore[reportCallIssue]
        first = (signs[within] - scores[within]) / self.diagonal  # what the duals are at the minimum
        duals, _ = cg(system, signs[within], x0=first, rtol=CG_TOLERANCE, maxiter=CG_STEPS)
        return np.concatenate([dense.T @ duals, transposed @ duals])

    def _line_search(
        self, start: np.ndarray, scores: np.ndarray, targets: np.ndarray, signs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights between start and targets, (Dd + Ds, k), their scores, (n, k), and which classes are left, (k,).

        The way to a target is halved while its loss is greater, and where it is hardly less but that halfway is: the
        minimum is between them.
        """
        reached = self.rows.scores(targets)
        before, after = self._losses(start, scores, signs), self._losses(targets, reached, signs)
        unfinished = after < (1 - TOLERANCE) * before
        doubtful = np.flatnonzero(~unfinished)
        for _ in range(HALVINGS):
            if not len(doubtful):
                break
            halfway = (start[:, doubtful] + targets[:, doubtful]) / 2
            of_halfway = (scores[:, doubtful] + reached[:, doubtful]) / 2
            losses = self._losses(halfway, of_halfway, signs[:, doubtful])
            less = losses < (1 - TOLERANCE) * np.minimum(before, after)[doubtful]
            taken = less | (after > before)[doubtful]
            places = doubtful[taken]
            targets[:, places], reached[:, places] = halfway[:, taken], of_halfway[:, taken]
            after[places] = losses[taken]
            unfinished[doubtful[less]] = True
            doubtful = doubtful[taken & ~less]
        worse = np.flatnonzero(after > before)  # after all halvings: they are at the minimum
        targets[:, worse], reached[:, worse] = start[:, worse], scores[:, worse]
        return targets, reached, unfinished

    def _losses(self, weights: np.ndarray, scores: np.ndarray, signs: np.ndarray) -> np.ndarray:
        """(k,)"""
        hinge = np.maximum(1 - signs * scores, 0)
        return (weights**2).sum(axis=0) / 2 + self.regularisation * (hinge**2).sum(axis=0)


def _descended(
    products: np.ndarray, scores: np.ndarray, duals: np.ndarray, signs: np.ndarray, diagonal: np.float32
) -> np.ndarray:
    """Changes of a block's dual variables, (b, k), by a coordinate descent that visits each row once.

    Args:
        products: (b, b) inner products of the rows.
        scores: (b, k) by the weights so far.
        duals: (b, k) dual variables, with the sign of their row and class.
        signs: (b, k) 1 where a row is of the class, else -1.
        diagonal: 1 / 2C.
    """
    step = 1 / (products.diagonal() + diagonal)[:, None]
    lower = np.where(signs > 0, np.float32(0), np.float32(-np.inf))
    upper = np.where(signs > 0, np.float32(np.inf), np.float32(0))
    # What each row would get if the rows before it did not change.
    wanted = duals + step * (signs - scores - diagonal * duals)
    scaled, change = step * products, np.zeros_like(duals)
    for row in range(len(duals)):
        found = wanted[row] - scaled[row, :row] @ change[:row]
        np.maximum(found, lower[row], out=found)
        np.minimum(found, upper[row], out=found)
        np.subtract(found, duals[row], out=change[row])
    return change
