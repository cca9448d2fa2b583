"""Probabilities and thresholds of several labels."""

import numpy as np
import pytest
from scipy.special import expit

from fusionclf.evaluation.multilabel import SigmoidDecision, decision
from fusionclf.evaluation.multilabel.decision import best_threshold, fit_thresholds


def drawn(rows: int, offsets: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels that are drawn by the sigmoid of twice the score plus an offset."""
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(rows, len(offsets)))
    return scores, generator.random(scores.shape) < expit(2 * scores + offsets)


def test_sigmoid_of_the_labels_is_found() -> None:
    decision = SigmoidDecision.fit(*drawn(20_000, [-1.0, -1.0]))
    assert decision.temperature == pytest.approx(0.5, abs=0.03)
    assert decision.offset == pytest.approx(-1, abs=0.05)


def test_threshold_of_a_frequent_label_has_its_best_f1() -> None:
    scores, is_label = drawn(20_000, [-3.0, 0.0])
    decision = SigmoidDecision.fit(scores, is_label)
    probabilities = decision.probabilities(scores)
    best = [best_threshold(probabilities[:, k], is_label[:, k]) for k in range(2)]
    assert decision.thresholds == pytest.approx(best, abs=0.01)


def test_the_threshold_of_all_labels_is_fitted_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = decision.best_threshold

    def watched(probabilities: np.ndarray, is_label: np.ndarray) -> float:
        sizes.append(len(probabilities))
        return real(probabilities, is_label)

    monkeypatch.setattr(decision, "best_threshold", watched)
    monkeypatch.setattr(decision, "MOST_PAIRS", 1000)
    scores, is_label = drawn(2000, [-3.0, 0.0])
    fit_thresholds(expit(2 * scores + [-3.0, 0.0]), is_label)
    assert sizes == [1000, 2000, 2000]
    no_label = np.zeros((1500, 1), bool)
    no_label[1] = True  # in no sample
    assert fit_thresholds(np.full((1500, 1), 0.25), no_label) == pytest.approx(0.25, abs=0.13)


def test_threshold_of_a_rare_label_is_drawn_to_that_of_all() -> None:
    generator = np.random.default_rng(0)
    common = generator.random(1000)
    is_common = common > 0.5
    rare = np.full(1000, 0.01)
    rare[3] = 0.05
    is_rare = np.zeros(1000, bool)
    is_rare[3] = True
    found = fit_thresholds(np.stack([common, rare], axis=1), np.stack([is_common, is_rare], axis=1))
    assert best_threshold(rare, is_rare) == pytest.approx(0.03)
    assert 0.4 < found[1] < found[0] < 0.51


def test_label_without_a_held_out_row_gets_the_threshold_of_all() -> None:
    probabilities = np.array([[0.9, 0.3], [0.2, 0.1]])
    found = fit_thresholds(probabilities, np.array([[True, False], [False, False]]))
    assert found[1] == pytest.approx(0.6)


def test_equal_probabilities_are_not_divided() -> None:
    probabilities = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    assert best_threshold(probabilities, np.array([1, 1, 0, 0, 0], bool)) in (0.7, 0.3)
    assert best_threshold(probabilities, np.array([0, 1, 1, 1, 0], bool)) == pytest.approx(0.3)


def test_without_held_out_rows_the_threshold_is_one_half() -> None:
    decision = SigmoidDecision.fit(np.zeros((0, 3)), np.zeros((0, 3), bool))
    assert decision.probabilities(np.array([[-1.0, 0.0, 1.0]])).round(2).tolist() == [[0.27, 0.5, 0.73]]
    assert decision.thresholds.tolist() == [0.5] * 3


def test_label_that_cannot_be_predicted_has_probability_0() -> None:
    scores, is_label = drawn(100, [0.0, 0.0])
    scores[:, 1] = -np.inf
    decision = SigmoidDecision.fit(scores, is_label)
    probabilities = decision.probabilities(scores)
    assert (probabilities[:, 1] == 0).all() and not decision.predicted(probabilities)[:, 1].any()


def test_labels_json_gives_the_same_decision() -> None:
    decision = SigmoidDecision(0.5, -1.0, np.array([0.25, 0.75]))
    read = SigmoidDecision.from_labels({**decision.to_labels(), "classes": {}})
    assert read is not None and read.to_labels() == decision.to_labels()
    assert SigmoidDecision.from_labels({"temperature": 1.0}) is None
