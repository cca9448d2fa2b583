"""Classes that are added to a trained model."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from fusionclf.errors import RunError
from fusionclf.models import StackedClassifier
from fusionclf.models.added_classes import AddedClass, add_classes, read_added, write_added
from tests.models.open_vocabulary.test_stacked_head import TEXT, open_model
from tests.small import CLASSES, one_batch, tiny_model


@pytest.mark.parametrize("fuser", ["late", "concat"])
def test_an_added_class_moves_no_odds_of_known_ones(tiny_bert: Path, fuser: str) -> None:
    _, _, model = open_model(tiny_bert, fuser)
    with torch.no_grad():
        before = model(one_batch(model))["label"]
        add_classes(model, [AddedClass("red shoe", ("Footwear",), synonyms=("pump",)), AddedClass("shirt")])
        after = model(one_batch(model))["label"]
    assert after.shape == (16, CLASSES["label"] + 2)
    of_known = after[:, : CLASSES["label"]].log_softmax(dim=1)
    assert torch.allclose(of_known, before.log_softmax(dim=1), atol=1e-5)
    assert model.class_names is not None and model.class_names.paths[-2:] == ("red shoe, Footwear", "shirt")
    assert model.class_names.synonyms[-2:] == (("pump",), ())


def test_added_classes_are_kept_with_their_examples(tmp_path: Path) -> None:
    added = [
        AddedClass("Kite", ("Toys", "Outdoor"), torch.ones(6), None, 3),
        AddedClass("Yo-yo", synonyms=("yoyo",)),
    ]
    write_added(tmp_path, "joint", added)
    write_added(tmp_path, "rest", [AddedClass("Drone")])
    back = read_added(tmp_path, "joint")
    assert [(new.name, new.place, new.count, new.synonyms) for new in back] == [
        ("Kite", ("Toys", "Outdoor"), 3, ()),
        ("Yo-yo", (), 0, ("yoyo",)),
    ]
    assert back[0].title_prototype is not None and torch.equal(back[0].title_prototype, torch.ones(6))
    assert back[0].feature_prototype is None and [new.name for new in read_added(tmp_path, "rest")] == [
        "Drone"
    ]
    (tmp_path / "added.safetensors").write_bytes(b"no")
    with pytest.raises(RunError, match=r"cannot be used.*add the classes again"):
        read_added(tmp_path, "joint")


def test_a_cut_gives_no_class_the_vectors_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kite, drone = (AddedClass(name, (), torch.full((6,), float(n)), None, 3) for n, name in enumerate("KD"))
    write_added(tmp_path, "joint", [kite, drone])
    replace, written = os.replace, []

    def cut(source: str, target: str) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", cut)
    with suppress(KeyboardInterrupt):
        write_added(tmp_path, "joint", [drone])
    for new in read_added(tmp_path, "joint"):
        assert new.title_prototype is not None
        assert new.title_prototype.tolist() == [{"K": 0, "D": 1}[new.name]] * 6


def test_a_closed_model_takes_no_new_class() -> None:
    with pytest.raises(RunError, match="open vocabulary"):
        add_classes(tiny_model("fusion")[2], [AddedClass("Kite")])


def test_a_named_vocabulary_takes_no_new_class(tiny_bert: Path) -> None:
    text = {**TEXT, "model": str(tiny_bert)}
    _, _, model = tiny_model("fusion", fuser="late", text=text, vocabulary="named")
    assert isinstance(model, StackedClassifier)
    model.name_classes(["Kite", "Drone", "Ball"], ["Kite", "Drone", "Ball"])
    with pytest.raises(RunError, match="open vocabulary"):
        add_classes(model, [AddedClass("Yo-yo")])
