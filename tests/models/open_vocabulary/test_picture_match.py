"""Pictures compared with class names: synonyms, and which modalities the feature counts for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fusionclf.models.open_vocabulary.level_zero import MODALITIES, ClassFacts, LevelZero
from fusionclf.models.open_vocabulary.meta_classifier import NAMES, new_features
from fusionclf.models.open_vocabulary.picture_match import PictureMatch

DIRECTIONS = {"shoe": [1.0, 0.0, 0.0], "boot": [0.0, 1.0, 0.0], "hat": [0.0, 0.0, 1.0]}


class Names(torch.nn.Module):
    """Embeds three words."""

    def compute(self, names: Sequence[str]) -> np.ndarray:
        return np.array([DIRECTIONS[name] for name in names], np.float32)


def make_match() -> PictureMatch:
    encoder: Any = Names()
    return PictureMatch(encoder)


def test_the_best_of_a_class_name_and_its_synonyms_counts() -> None:
    match = make_match()
    match.name_classes(["hat", "shoe"], [(), ("boot",)])
    cosines = match(torch.tensor([[2.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 3.0, 4.0]]))
    assert torch.allclose(cosines, torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.8, 0.6]]))


def test_names_can_be_set_again() -> None:
    match = make_match()
    match.name_classes(["hat"], [()])
    match.name_classes(["hat", "shoe", "boot"], [(), (), ()])
    assert match(torch.tensor([[0.0, 1.0, 0.0]])).argmax(dim=1).tolist() == [2]


def level_zero(picture_match: torch.Tensor | None) -> LevelZero:
    shape = (2, 3)
    return LevelZero(
        torch.zeros(shape), torch.zeros(shape), torch.zeros(*shape, 10), torch.zeros(*shape, 2), picture_match
    )


def test_the_picture_is_compared_with_names_where_there_is_one() -> None:
    cosines = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    facts = ClassFacts.of(torch.tensor([5, 5, 0]), torch.zeros(3, dtype=torch.bool))
    found = {m: new_features(level_zero(cosines).of_modality(m), facts)[..., NAMES - 1] for m in MODALITIES}
    assert torch.equal(found["both"], cosines) and torch.equal(found["picture"], cosines)
    assert not found["title"].any()
    assert not new_features(level_zero(None), facts)[..., NAMES - 1].any()


def test_a_picture_names_classes_only_with_a_text_side() -> None:
    facts = ClassFacts.of(torch.tensor([5, 5, 0]), torch.zeros(3, dtype=torch.bool))
    picture = level_zero(torch.zeros(2, 3)).of_modality("picture")
    assert facts.nameable(picture).all()
    assert not facts.nameable(level_zero(None).of_modality("picture")).any()
