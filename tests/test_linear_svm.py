"""The linear SVM over many classes: its loss is that of scikit-learn's solver, whatever the classes and threads."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from fusionclf.linear_svm import LinearSVM, fit_linear_svm


def products(rows: int, classes: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Features with a dense part, a sparse one and an empty column; a few classes are frequent, most are rare."""
    generator = np.random.default_rng(0)
    targets = np.sort(generator.integers(0, classes, rows) * generator.integers(0, 2, rows))
    centres = generator.normal(size=(classes, 20))
    dense = centres[targets] + 1.5 * generator.normal(size=(rows, 20))
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    rare = sparse.random(rows, 200, 0.03, rng=np.random.default_rng(1))
    empty = sparse.csr_matrix((rows, 1))
    return sparse.csr_matrix(sparse.hstack([dense, empty, rare])), targets


def losses(
    features: sparse.csr_matrix, targets: np.ndarray, svm: LinearSVM, factor: float = 1.0
) -> np.ndarray:
    """(K,)"""
    signs = np.where(targets[:, None] == svm.classes, 1, -1)
    hinge = np.maximum(1 - signs * (features @ svm.weights.T + svm.bias), 0)
    return ((svm.weights**2).sum(1) + svm.bias**2) / 2 + factor * (hinge**2).sum(0)


@pytest.mark.parametrize(("rows", "classes"), [(60, 3), (400, 12), (900, 90)])
@pytest.mark.parametrize("factor", [0.1, 1.0, 10.0])
def test_the_loss_is_that_of_liblinear(rows: int, classes: int, factor: float) -> None:
    features, targets = products(rows, classes)
    svm = fit_linear_svm(features, targets, factor)
    exact = LinearSVC(C=factor, tol=1e-6, max_iter=100_000).fit(features, targets)
    best = losses(
        features,
        targets,
        LinearSVM(svm.classes, np.asarray(exact.coef_), np.asarray(exact.intercept_)),
        factor,
    )
    found = losses(features, targets, svm, factor)
    assert np.all(found < 1.2 * best)
    assert found.sum() < 1.01 * best.sum()


def test_the_result_does_not_depend_on_threads() -> None:
    features, targets = products(900, 90)
    with threadpool_limits(1):
        alone = fit_linear_svm(features, targets)
    with threadpool_limits(4):
        together = fit_linear_svm(features, targets)
    assert np.array_equal(alone.weights, together.weights)


def test_two_classes_get_opposite_weights() -> None:
    features, targets = products(100, 2)
    svm = fit_linear_svm(features, targets)
    assert np.allclose(svm.weights[0], -svm.weights[1], atol=1e-4)


def test_a_column_without_values_gets_no_weight() -> None:
    features, targets = products(100, 3)
    assert not fit_linear_svm(features, targets).weights[:, 20].any()


def test_one_class_alone_gets_no_weights() -> None:
    features, _ = products(10, 3)
    svm = fit_linear_svm(features, np.full(10, "hat"))
    assert list(svm.classes) == ["hat"]
    assert not svm.weights.any()
