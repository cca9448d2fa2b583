"""How training titles use the names of unseen classes."""

import math

import pytest
import torch

from fusionclf.models.open_vocabulary.level_zero import ClassFacts, LevelZero
from fusionclf.models.open_vocabulary.meta_classifier import (
    NAMES,
    MetaClassifier,
    gate_features,
    new_features,
)
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH_FEATURES
from fusionclf.models.open_vocabulary.names_in_titles import OF_NAMES, WHOLE_NAME, facts_of_names
from fusionclf.models.open_vocabulary.stacked_head import StackedHead

COUNTS = torch.tensor([10, 0, 30, 0])  # classes 1 and 3 are unseen
# Of their names, by the seen classes 0 and 2: scores of the linear text model, and how many titles contain them.
SCORES = torch.tensor([[0.5, -0.5], [-1.0, -0.2]])
TITLES = torch.tensor([[4.0, 0.0], [0.0, 29.0]])
OF_NAMES_TENSOR = torch.stack([SCORES, TITLES.log1p()])


def facts(of_names: torch.Tensor | None = OF_NAMES_TENSOR) -> ClassFacts:
    return ClassFacts.of(COUNTS, torch.zeros(4, dtype=torch.bool), of_names=of_names)


def level_zero(best_known: int, best_new: int) -> LevelZero:
    """Of one product, whose best classes are these."""
    linear, name_match = torch.full((1, 4), -1.0), torch.zeros(1, 4, NAMES - 1)
    linear[0, best_known], name_match[0, best_new] = 1.0, 1.0
    return LevelZero(linear, linear, name_match, torch.zeros(1, 4, 2))


def of_gate(classes: ClassFacts, best_known: int, best_new: int) -> list[float]:
    """The gate's features of the name of the best new class."""
    own, classifier = level_zero(best_known, best_new), MetaClassifier()
    features = new_features(own, classes)
    known = classifier.known(own, classes)
    return gate_features(own, classes, known, features[..., 0], features)[0, -OF_NAMES:].tolist()


def test_titles_that_contain_a_name_are_counted() -> None:
    """A sample of half of the rows stands for all of them."""
    targets = torch.tensor([0, 0, 2, 2])
    name_match = torch.zeros(4, 4, len(NAME_MATCH_FEATURES))
    name_match[[0, 1, 2], [1, 1, 3], WHOLE_NAME] = 1.0
    name_match[3, 3, WHOLE_NAME] = 0.5  # a part of the name
    scores = torch.arange(16.0).reshape(4, 4)
    found = facts_of_names(scores, name_match, targets, torch.tensor([4, 0, 4, 0])).float()
    assert found[0].tolist() == [[4, 6], [12, 14]]
    assert torch.allclose(found[1].expm1(), torch.tensor([[4.0, 0.0], [0.0, 2.0]]), atol=0.01)


def test_the_gate_reads_the_name_of_the_best_new_class() -> None:
    expected = [-0.2, -0.2, math.log(30), math.log(30), 29 / 31]
    assert of_gate(facts(), best_known=2, best_new=3) == pytest.approx(expected)


def test_titles_of_other_classes_count_in_the_total() -> None:
    expected = [-0.5, 0.5, 0.0, math.log(5), 0.0]
    assert of_gate(facts(), best_known=2, best_new=1) == pytest.approx(expected)


def test_names_in_titles_do_not_count_for_a_picture_alone() -> None:
    own, classes, classifier = level_zero(0, 1).of_modality("picture"), facts(), MetaClassifier()
    features = new_features(own, classes)
    known = classifier.known(own, classes)
    found = gate_features(own, classes, known, features[..., 0], features)
    assert not found[0, -OF_NAMES:].any()


def test_without_facts_of_names_the_features_are_zero() -> None:
    assert of_gate(facts(None), best_known=0, best_new=1) == [0.0] * OF_NAMES


def test_some_classes_keep_what_is_known_of_their_names() -> None:
    some = facts().of_classes(torch.tensor([True, False, True, True]))
    assert some.of_names is not None and torch.equal(some.of_names, OF_NAMES_TENSOR[:, 1:])
    some = facts().of_classes(torch.tensor([False, True, True, True]))
    assert some.of_names is not None and torch.equal(some.of_names, OF_NAMES_TENSOR[:, :, 1:])


def head_with_names() -> StackedHead:
    head = StackedHead(4, 8, 6)
    head.set_fitted(head.probe, COUNTS, {}, OF_NAMES_TENSOR)
    return head


def test_a_head_loads_any_number_of_unseen_classes() -> None:
    loaded = StackedHead(4, 8, 6)
    weights = {name: w for name, w in head_with_names().state_dict().items() if "meta" not in name}
    loaded.load_state_dict(weights, strict=False)
    assert torch.equal(loaded.of_names, OF_NAMES_TENSOR)


def test_no_title_contains_the_name_of_an_added_class() -> None:
    head = head_with_names()
    head.add_names(torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
    assert torch.equal(head.of_names[:, :2], OF_NAMES_TENSOR)
    assert torch.equal(head.of_names[:, 2], torch.tensor([[0.1, 0.3], [0.0, 0.0]]))
