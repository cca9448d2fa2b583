"""Heads of the base model: any column of a catalog can be a task."""

import numpy as np
import pytest
import torch

from fusionclf.models import StackedClassifier
from fusionclf.models.classifier import ProductClassifier, head_name, linear_heads
from tests.small import CLASSES, one_batch, tiny_model

ODD = ("type", "keys", "training", "Product.Colour", "", "Größe (cm)", "a/b")


def test_columns_of_any_name_have_a_head() -> None:
    _, _, plain = tiny_model("text")
    heads = linear_heads(16, {"label": 4, **dict.fromkeys(ODD, 3)})
    model = ProductClassifier(None, plain.text_encoder, None, heads, {"label": 1.0})
    assert model.tasks == ("label", *ODD)
    assert {task: tuple(values.shape) for task, values in model(one_batch(model)).items()} == {
        "label": (16, 4), **dict.fromkeys(ODD, (16, 3)),
    }  # fmt: skip
    again = ProductClassifier(None, plain.text_encoder, None, linear_heads(16, {"label": 4, **dict.fromkeys(ODD, 3)}),
                              {"label": 1.0})  # fmt: skip
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(one_batch(again))["type"], model(one_batch(model))["type"])


def test_usual_names_keep_their_place_in_saved_weights() -> None:
    assert [head_name(task) for task in CLASSES] == list(CLASSES)
    assert len({head_name(task) for task in ODD}) == len(ODD)


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("multitask", {}, [True, True, False]),
        ("text", {}, [True, False, True]),
        ("fusion", {"fuser": "gated"}, [True, True, True]),
        ("fusion", {"fuser": "late"}, [True, True, False]),
    ],
)
def test_base_model_knows_whether_it_has_an_input(name: str, changes: dict, expected: list[bool]) -> None:
    _, _, model = tiny_model(name, **changes)
    base = model.base if isinstance(model, StackedClassifier) else model
    has_picture, has_title = np.array([True, True, False]), np.array([True, False, True])
    assert base.has_input(3, has_picture, has_title).tolist() == expected
    assert base.has_input(2, None, None).tolist() == [True, True]
