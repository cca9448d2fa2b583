"""Pictures compared with class names: synonyms, and which modalities the feature counts for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fusionclf.models.open_vocabulary.meta_classifier import META_FEATURES, LevelZero, meta_features
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


def test_picture_match_is_one_feature_of_each_kind_of_class() -> None:
    cosines = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    seen, nothing = torch.tensor([True, True, False]), torch.zeros(3, dtype=torch.bool)
    for modality in ("both", "picture"):
        found = meta_features(level_zero(cosines), modality, seen, nothing)["picture_match"]
        assert torch.allclose(found[0], torch.tensor([[0.1, 0.0], [0.2, 0.0], [0.0, 0.3]]))
    assert not meta_features(level_zero(cosines), "title", seen, nothing)["picture_match"].any()


def test_without_a_text_side_there_is_no_such_feature() -> None:
    nothing = torch.zeros(3, dtype=torch.bool)
    assert list(meta_features(level_zero(None), "both", nothing, nothing)) == list(META_FEATURES)
