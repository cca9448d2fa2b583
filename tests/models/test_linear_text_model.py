"""The linear expert: a linear SVM's scores, in a module; and how a model blends it in."""

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.svm import LinearSVC

from fusionclf.models.linear_text_model import UNSEEN_SCORE, WideTitles
from tests.small import one_batch, tiny_model

TITLES = ["red shirt", "blue shirt", "red shoe", "blue running shoe", "gold watch", "silver watch"]
TARGETS = np.array([0, 0, 2, 2, 3, 3])


def test_scores_are_those_of_a_linear_svm() -> None:
    wide = WideTitles(buckets=2**14, classes=5)
    wide.fit(wide.count(TITLES), TARGETS, wide.embed(TITLES))
    counts = wide.scores.hashed(TITLES).counts
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    expected = LinearSVC(random_state=0).fit(weighted, TARGETS).decision_function(weighted)
    found = wide(wide.scores.prepare(TITLES).batch(np.arange(6)))
    assert np.allclose(found[:, [0, 2, 3]].numpy(), expected, atol=1e-3)
    assert (found[:, [1, 4]] == UNSEEN_SCORE).all()


def test_two_classes_get_opposite_scores() -> None:
    wide = WideTitles(buckets=2**14, classes=2)
    wide.fit(wide.count(TITLES[:4]), np.array([0, 0, 1, 1]), wide.embed(TITLES[:4]))
    found = wide(wide.scores.prepare(TITLES[:4]).batch(np.arange(4)))
    assert found.argmax(1).tolist() == [0, 0, 1, 1]
    assert torch.allclose(found[:, 0], -found[:, 1], atol=1e-5)


def test_one_class_alone_is_the_answer_to_every_title() -> None:
    wide = WideTitles(buckets=2**14, classes=3)
    wide.fit(wide.count(TITLES), np.ones(6, int), wide.embed(TITLES))
    found = wide(wide.scores.prepare(TITLES).batch(np.arange(6)))
    assert (found == torch.tensor([UNSEEN_SCORE, 0.0, UNSEEN_SCORE])).all()


def test_a_model_blends_the_expert_in_when_it_answers() -> None:
    _, _, model = tiny_model("fusion")
    assert model.wide is not None
    titles = [f"{('red shirt', 'blue shoe', 'gold watch', 'black bag')[n % 4]} {n}" for n in range(16)]
    model.wide.fit(model.wide.count(titles), np.arange(16) % 4, model.wide.embed(titles))
    model.eval()
    batch = one_batch(model)
    assert batch.titles is not None
    with torch.no_grad():
        network = model(batch)["label"]
        model.blend.copy_(torch.tensor([0.5, 2.0]))
        expert = model.wide(batch.titles)
        assert torch.allclose(model(batch)["label"], 0.5 * network + 2 * expert, atol=1e-5)
        assert (expert.argmax(1) == batch.targets["label"]).all()
