"""Known classes are scored by their own columns alone."""

from dataclasses import replace

import torch

from fusionclf.models.open_vocabulary.level_zero import MASKED_LOGIT, ClassFacts, LevelZero
from fusionclf.models.open_vocabulary.meta_classifier import KnownClassifier, MetaClassifier
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH_FEATURES

PRODUCTS, CLASSES = 3, 6
COUNTS = torch.tensor([5, 0, 7, 0, 0, 2])


def level_zero() -> LevelZero:
    generator = torch.Generator().manual_seed(0)
    base, text = torch.randn(2, PRODUCTS, CLASSES, generator=generator)
    names = torch.rand(PRODUCTS, CLASSES, len(NAME_MATCH_FEATURES), generator=generator)
    return LevelZero(base, text, names, torch.zeros(PRODUCTS, CLASSES, 2))


def facts() -> ClassFacts:
    return ClassFacts.of(COUNTS, torch.zeros(CLASSES, dtype=torch.bool))


def random_weights(module: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)


def test_scores_for_unseen_classes_change_no_answer() -> None:
    classifier = MetaClassifier()
    random_weights(classifier)
    given, unseen = level_zero(), COUNTS == 0
    assert given.base is not None and given.linear_text is not None
    other = replace(
        given,
        base=given.base.masked_fill(unseen, 1e6),
        linear_text=given.linear_text.masked_fill(unseen, -50.0),
    )
    assert torch.equal(classifier(given, facts()), classifier(other, facts()))


def test_known_classes_are_scored_as_if_they_were_all() -> None:
    classifier = KnownClassifier()
    random_weights(classifier)
    seen = COUNTS > 0
    alone = classifier(level_zero().of_classes(seen), facts().of_classes(seen))
    found = classifier(level_zero(), facts())
    assert torch.allclose(found[:, seen], alone, atol=1e-6)
    assert (found[:, ~seen] == MASKED_LOGIT).all()


def test_values_of_seen_classes_are_spread_over_all() -> None:
    spread = facts().spread(torch.tensor([[1.0, 2.0, 3.0]]))
    assert spread.tolist() == [[1, MASKED_LOGIT, 2, MASKED_LOGIT, MASKED_LOGIT, 3]]
