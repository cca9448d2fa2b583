"""What the parts of a stacked head answer by themselves, and which of product and head a run answers by."""

import numpy as np
import pandas as pd
import pytest
import torch

from fusionclf.models.open_vocabulary.meta_classifier import MetaClassifier
from fusionclf.stacking import part_answers
from fusionclf.stacking.part_answers import PARTS, PartAnswers, answers_of_parts, join_folds
from tests.models.open_vocabulary.test_stacked_head import make_fold


def test_each_part_answers_by_itself() -> None:
    fold = make_fold([3])
    fold.linear_text[:] = torch.nn.functional.one_hot(fold.targets, 12).float()  # always right
    fold.base["both"][:] = 0.0
    fold.base["both"][:, 5] = 9.0  # always class 5
    places = np.arange(0, 600, 2)
    head = np.zeros((300, 12), np.float32)
    head[:, 3] = 9.0
    found = answers_of_parts(MetaClassifier(), fold, places, head, 0)
    by_part = dict(zip(PARTS, found.answers.T, strict=True))
    known = fold.classes.seen[fold.targets[places]].numpy()
    targets = fold.targets[places].numpy()
    assert (by_part["linear text model"][known] == targets[known]).all()
    assert set(by_part["base model"]) == {5} and set(by_part["stacked"]) == {3}
    assert (by_part["their product"][known] == targets[known]).mean() > 0.95
    assert found.losses.shape == (2, known.sum()) and found.losses[0].mean() < found.losses[1].mean()


def test_powers_are_not_measured_on_the_rows_they_are_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[np.ndarray] = []

    def fit_blend(text: np.ndarray, base: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        fitted.append(text)
        return (4.0, 1.0) if len(fitted) == 1 else (1.0, 1.0)

    monkeypatch.setattr(part_answers, "fit_blend", fit_blend)
    fold, places = make_fold([]), np.arange(600)
    found = answers_of_parts(MetaClassifier(), fold, places, np.zeros((600, 12), np.float32), 0)
    assert found.powers == pytest.approx((2.0, 1.0))
    assert not set(map(bytes, fitted[0])) & set(map(bytes, fitted[1]))
    product = 4 * fold.linear_text + fold.base["both"].log_softmax(dim=1)
    measured = -product.log_softmax(dim=1)[torch.arange(600), fold.targets].numpy()
    assert np.isin(found.losses[0, :300].round(4), measured.round(4)).all()
    assert not np.isin(found.losses[0, 300:].round(4), measured.round(4)).all()


def test_the_product_answers_where_its_loss_is_smaller() -> None:
    fold, places = make_fold([]), np.arange(600)
    targets = torch.nn.functional.one_hot(fold.targets, 12).float().numpy()
    for head, expected in ((targets * 50, False), (targets * 0, True)):
        own = answers_of_parts(MetaClassifier(), fold, places, head, 0)
        parts = join_folds([places], [own])
        assert parts is not None and parts.product_is_better == expected
    assert join_folds([], []) is None


def test_parts_are_scored_by_slice() -> None:
    answers = np.array([[0, 1, 0, 0, 0], [1, 1, 1, 0, 1], [0, 0, 0, 0, 1]])
    parts = PartAnswers(np.array([7, 3, 5]), answers, (1.0, 0.5), (0.4, 0.3))
    predictions = pd.DataFrame({
        "label": ["a", "b", "b", "a"], "label_1": ["a", "b", "b", "a"], "label_train_count": [30, 5, 5, 30],
        "title_names_label": [True, False, False, True], "leaked_title": False,
    })  # fmt: skip
    found = parts.score(predictions, np.array([7, 3, 5, 9]), ("a", "b"))
    assert found["n"] == 3 and found["answers_by"] == "stacked"
    assert found["parts"]["linear text model"]["all"] == pytest.approx(200 / 3)
    assert found["parts"]["base model"]["tail classes"] == pytest.approx(50)
    assert found["products"] == {
        "all": 3, "title names the type": 1, "title does not name it": 2, "middle classes": 1, "tail classes": 2,
        "title not in train": 3,
    }  # fmt: skip
