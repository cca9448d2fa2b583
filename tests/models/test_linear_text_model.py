"""The linear text model: a linear SVM's scores in a module; and the weighted sum that it is part of."""

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.svm import LinearSVC
from torch import Tensor

from fusionclf.catalog.fields import TITLE, field_table
from fusionclf.models import StackedClassifier
from fusionclf.models.linear_text_model import UNSEEN_SCORE, LinearTextModel, fit_linear_text_model
from fusionclf.models.stacked_classifier import WeightedSum
from tests.small import one_batch, tiny_model

TITLES = ["red shirt", "blue shirt", "red shoe", "blue running shoe", "gold watch", "silver watch"]
TARGETS = np.array([0, 0, 2, 2, 3, 3])


def scores(titles: list[str], targets: np.ndarray, classes: int) -> Tensor:
    """Those of a model that was fitted on the titles; it scores prepared titles and counts alike."""
    model = LinearTextModel(buckets=2**14, classes=classes)
    inputs = model.read(field_table(titles), np.arange(len(titles)))
    weights = fit_linear_text_model(inputs, targets, classes)
    model.set_weights(weights)
    found = model(model.text_encoder.prepare(titles).batch(np.arange(len(titles))))
    assert torch.equal(found, weights.scores(inputs)) and torch.equal(found, model.title_scores(titles))
    return found


def test_scores_are_those_of_a_linear_svm() -> None:
    found = scores(TITLES, TARGETS, 5)
    counts = LinearTextModel(buckets=2**14, classes=5).hashed(TITLES).counts
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    expected = LinearSVC(random_state=0).fit(weighted, TARGETS).decision_function(weighted)
    assert np.allclose(found[:, [0, 2, 3]].numpy(), expected, atol=0.01)
    assert (found[:, [1, 4]] == UNSEEN_SCORE).all()


def test_two_classes_get_opposite_scores() -> None:
    found = scores(TITLES[:4], np.array([0, 0, 1, 1]), 2)
    assert found.argmax(1).tolist() == [0, 0, 1, 1]
    assert torch.allclose(found[:, 0], -found[:, 1], atol=1e-5)


def test_one_class_alone_is_predicted_for_every_title() -> None:
    found = scores(TITLES, np.ones(6, int), 3)
    assert (found == torch.tensor([UNSEEN_SCORE, 0.0, UNSEEN_SCORE])).all()


def test_ngrams_that_do_not_occur_make_no_difference() -> None:
    model = LinearTextModel(buckets=2**14, classes=4)
    inputs, names = model.read(field_table(TITLES), np.arange(6)), model.read_titles(["shoe", "necklace"])
    used = inputs.used_ngrams()
    few, few_names = inputs.of_ngrams(used), names.of_ngrams(used)
    assert few.ngrams["title"].shape == (6, len(used["title"])) and len(used["title"]) < 500
    whole, compact = (fit_linear_text_model(own, TARGETS, 4) for own in (inputs, few))
    assert torch.equal(whole.scores(inputs), compact.scores(few))
    assert torch.equal(whole.scores(names), compact.scores(few_names))


def test_a_model_shares_the_weights_that_it_is_given() -> None:
    model = LinearTextModel(buckets=2**10, classes=4)
    assert not model.ngrams.table.weight.any()
    weights = fit_linear_text_model(model.read(field_table(TITLES), np.arange(6)), TARGETS, 4)
    model.set_weights(weights)
    assert model.ngrams.table.weight.data_ptr() == weights.ngrams[TITLE].data_ptr()
    assert not model.ngrams.table.weight.requires_grad


def test_a_weighted_sum_adds_the_linear_text_model() -> None:
    _, _, model = tiny_model("fusion")
    assert isinstance(model, StackedClassifier) and isinstance(model.head, WeightedSum)
    linear = model.linear_text_model
    titles = [f"{('red shirt', 'blue shoe', 'gold watch', 'black bag')[n % 4]} {n}" for n in range(16)]
    inputs = linear.read(field_table(titles), np.arange(16))
    linear.set_weights(fit_linear_text_model(inputs, np.arange(16) % 4, 4))
    model.eval()
    batch = one_batch(model)
    assert batch.titles is not None
    with torch.no_grad():
        base = model(batch)["label"]
        assert torch.equal(base, model.base(batch)["label"])  # the first weights are 1 and 0
        model.head.weights.copy_(torch.tensor([0.5, 2.0]))
        scored = linear(batch.titles)
        assert torch.allclose(model(batch)["label"], 0.5 * base + 2 * scored, atol=1e-5)
        assert (scored.argmax(1) == batch.targets["label"]).all()
