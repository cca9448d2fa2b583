"""The linear SVM over many classes: its loss is that of scikit-learn's solver, whatever the classes and threads."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info, threadpool_limits

from fusionclf import linear_svm
from fusionclf.batches.threads import core_threads
from fusionclf.linear_svm import EarlierFit, LinearSVM, SVMSettings, fit_linear_svm


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
    svm = fit_linear_svm(features, targets, SVMSettings(factor))
    exact = LinearSVC(C=factor, tol=1e-6, max_iter=100_000).fit(features, targets)
    best = losses(
        features,
        targets,
        LinearSVM(svm.classes, np.asarray(exact.coef_), np.asarray(exact.intercept_)),
        factor,
    )
    found = losses(features, targets, svm, factor)
    assert np.all(found < 1.01 * best)
    assert found.sum() < 1.002 * best.sum()


def test_the_result_does_not_depend_on_threads() -> None:
    features, targets = products(900, 90)
    with threadpool_limits(1):
        alone = fit_linear_svm(features, targets)
    with threadpool_limits(4):
        together = fit_linear_svm(features, targets)
    assert np.array_equal(alone.weights, together.weights)


def test_a_thread_of_a_pool_leaves_blas_one_thread() -> None:
    """OpenBLAS ignores a limit of another thread than the first that set one."""
    features, targets = products(900, 90)
    with core_threads(1) as pool:
        found = pool.submit(fit_linear_svm, features, targets, SVMSettings(threads=2)).result()
        of_blas = pool.submit(threadpool_info).result()
    assert {each["num_threads"] for each in of_blas if each["user_api"] == "blas"} == {1}
    with threadpool_limits(1):
        assert np.array_equal(found.weights, fit_linear_svm(features, targets).weights)


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


def test_dense_features_may_stand_beside_sparse_ones() -> None:
    features, targets = products(400, 12)
    first, others = np.hsplit(features.toarray(), [20])
    together = fit_linear_svm(features, targets)
    beside = fit_linear_svm(sparse.csr_matrix(others), targets, dense=first)
    assert np.allclose(beside.weights[:, -20:], together.weights[:, :20], atol=1e-3)
    assert np.allclose(beside.weights[:, :-20], together.weights[:, 20:], atol=1e-3)


def test_classes_without_rows_have_weights_of_0() -> None:
    features, targets = products(400, 12)
    svm, every = fit_linear_svm(features, targets), np.arange(40)
    wide = fit_linear_svm(features, targets, every=every)
    assert wide.weights.shape == (40, 221) and np.array_equal(wide.classes, every)
    assert np.array_equal(wide.weights[svm.classes], svm.weights)
    absent = ~np.isin(every, svm.classes)
    assert absent.any() and not wide.weights[absent].any() and not wide.bias[absent].any()


def test_many_pairs_are_solved_in_more_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets = products(900, 90)
    few = losses(features, targets, fit_linear_svm(features, targets))
    monkeypatch.setattr(linear_svm, "MOST_PAIRS", 900 * 7)
    assert max(map(len, linear_svm._chunks(np.arange(90), 900))) <= 7
    assert np.allclose(losses(features, targets, fit_linear_svm(features, targets)), few, rtol=0.02)


def test_a_fit_may_start_from_earlier_ones() -> None:
    features, targets = products(900, 90)
    shown = targets % 9 > 0  # some classes have no earlier weights
    order = np.random.default_rng(2).permutation(features.shape[1])  # pyright: ignore[reportOptionalSubscript]
    first = fit_linear_svm(sparse.csr_matrix(features[shown][:, order[1:]]), targets[shown])
    places = np.full(len(order), -1)
    places[order[1:]] = np.arange(len(order) - 1)
    cold = fit_linear_svm(features, targets)
    warm = fit_linear_svm(features, targets, earlier=[EarlierFit(first, places)])
    best = losses(features, targets, cold)
    found = losses(features, targets, warm)
    assert np.array_equal(cold.classes, warm.classes)
    assert np.all(found < 1.01 * best)
    assert found.sum() < 1.003 * best.sum()


def test_the_last_earlier_fit_of_a_class_is_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets = products(60, 3)
    svm = fit_linear_svm(features, targets)
    wrong = LinearSVM(svm.classes, -svm.weights, -svm.bias)
    same = np.arange(features.shape[1])  # pyright: ignore[reportOptionalSubscript]
    monkeypatch.setattr(linear_svm, "NEWTON_STEPS", 0)
    found = fit_linear_svm(features, targets, earlier=[EarlierFit(wrong, same), EarlierFit(svm, same)])
    assert np.array_equal(found.weights, svm.weights)
    assert np.array_equal(found.bias, svm.bias)
