"""A stacked head: meta-classifiers that name unseen classes, and logits that do not change when classes are added."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionclf.catalog.fields import field_table
from fusionclf.errors import SettingsError
from fusionclf.models import Model, StackedClassifier
from fusionclf.models.open_vocabulary import meta_classifier
from fusionclf.models.open_vocabulary.linear_probe import fit_linear_probe
from fusionclf.models.open_vocabulary.meta_classifier import (
    META_FEATURES,
    MODALITIES,
    MetaClassifier,
    MetaTrainingFold,
    fit_meta_classifiers,
)
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH, NAME_MATCH_FEATURES
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.outputs import BaseOutputs
from fusionclf.models.storage import load_model, save_model
from tests.small import CLASSES, NETWORK, one_batch, tiny_model

CLASS_COUNT = 12
SHIRTS = tuple(f"{colour} shirt" for colour in ("red", "blue", "gold", "black"))
SYNONYMS = (("crimson shirt", "scarlet shirt"), (), (), ())
TEXT = {"kind": "both", "buckets": 4096, "dim": 16}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta_classifier, "STEPS", {"both": 150, "title": 60, "picture": 60})


def make_fold(
    unseen: list[int], rows: int = 600, seed: int = 0, with_prototype: tuple[int, ...] = ()
) -> MetaTrainingFold:
    """Products whose names fit their class; the base learners know the seen classes."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(CLASS_COUNT, (rows,), generator=generator)
    right = torch.nn.functional.one_hot(targets, CLASS_COUNT).float()
    name_match = torch.rand(rows, CLASS_COUNT, len(NAME_MATCH_FEATURES), generator=generator) * 0.5
    name_match[:, :, 0] = right * 0.8 + torch.rand(rows, CLASS_COUNT, generator=generator) * 0.4
    noise = torch.randn(rows, CLASS_COUNT, generator=generator)
    seen = torch.ones(CLASS_COUNT, dtype=torch.bool)
    seen[unseen] = False
    has_prototype = torch.zeros(CLASS_COUNT, dtype=torch.bool)
    has_prototype[list(with_prototype)] = True
    similarity = torch.stack([0.7 * right + 0.1 * noise] * 2, dim=-1)
    base = {"both": 3 * right + noise, "picture": 3 * right + noise}
    return MetaTrainingFold(
        base, 2 * right - 1 + 0.3 * noise, name_match, {"both": similarity}, targets, torch.ones(rows),
        seen, has_prototype,
    )  # fmt: skip


Classifiers = dict[str, MetaClassifier]


def accuracy(fitted: Classifiers, fold: MetaTrainingFold, modality: str = "both") -> tuple[float, float]:
    """Share of right predictions on seen and on unseen classes."""
    right = fitted[modality](fold.features(modality)).argmax(1) == fold.targets
    of_seen = fold.seen[fold.targets]
    return right[of_seen].double().mean().item(), right[~of_seen].double().mean().item()


def fit(folds: list[MetaTrainingFold], seed: int = 0, classes: int = 0) -> Classifiers:
    return fit_meta_classifiers(folds, [], classes, seed)


def test_names_classes_that_no_fold_held_out() -> None:
    fitted = fit([make_fold([n, n + 4], seed=n) for n in range(4)])
    seen, new = accuracy(fitted, make_fold([8, 9, 10, 11], seed=9))
    assert seen > 0.95 and new > 0.9


def test_a_title_names_unseen_classes_and_a_picture_seen_ones() -> None:
    fitted = fit([make_fold([n, n + 4], seed=n) for n in range(4)])
    fold = make_fold([8, 9, 10, 11], seed=9)
    assert min(accuracy(fitted, fold, "title")) > 0.85
    assert accuracy(fitted, fold, "picture")[0] > 0.8


def test_pictures_do_not_learn_classes_known_by_name_alone() -> None:
    """Whatever the weight of such rows: they would only make the picture doubt the other classes."""
    folds = [make_fold([n, n + 4], seed=n) for n in range(4)]
    for fold in folds:
        fold.weights[~fold.seen[fold.targets]] = 50.0
    seen, new = accuracy(fit(folds), make_fold([8, 9, 10, 11], seed=9), "picture")
    assert seen > 0.9 and new == 0


def test_prototypes_identify_an_unseen_class_without_a_title() -> None:
    fitted = fit([make_fold([n, n + 4], seed=n, with_prototype=(n,)) for n in range(4)])
    with_prototypes = accuracy(fitted, make_fold([9, 10], seed=9, with_prototype=(9, 10)), "picture")[1]
    without = accuracy(fitted, make_fold([9, 10], seed=9), "picture")[1]
    assert with_prototypes > 0.7 > without


def test_a_feature_that_no_fold_varied_does_not_count() -> None:
    """Its weights are still the random first ones; a value of 1 must not count."""
    fitted = fit([make_fold([n, n + 4], seed=n) for n in range(4)])
    fold = make_fold([8, 9], seed=9)
    with_prototypes = replace(fold, has_prototype=~fold.seen)
    for modality in ("both", "title"):
        classifier = fitted[modality]
        before, after = (classifier(each.features(modality)) for each in (fold, with_prototypes))
        assert torch.equal(before, after)


def test_prototype_features_are_those_of_the_modality() -> None:
    fold = make_fold([0], seed=1, with_prototype=(0,))
    both, picture = fold.similarity["both"], torch.rand_like(fold.similarity["both"])
    fold = replace(fold, similarity={"both": both, "picture": picture})
    found = {modality: fold.features(modality)["prototypes"][:, 0] for modality in MODALITIES}
    title, features = (META_FEATURES["prototypes"].index(name) for name in ("title", "features"))
    assert torch.equal(found["picture"][:, features], picture[:, 0, 1])
    assert torch.equal(found["both"][:, [title, features]], both[:, 0])
    assert torch.equal(found["title"][:, title], both[:, 0, 0])


def test_a_subset_of_a_fold_has_the_same_features() -> None:
    fold, rows = make_fold([0, 3], with_prototype=(3,)), torch.tensor([7, 2, 500])
    few = fold.subset(rows)
    for modality in MODALITIES:
        ours, theirs = few.features(modality), fold.features(modality, rows)
        assert all(torch.equal(ours[block], theirs[block]) for block in META_FEATURES)
        assert torch.equal(few.row_weights(modality), fold.row_weights(modality)[rows])
    assert torch.equal(few.targets, fold.targets[rows])


def test_base_learners_do_not_count_for_unseen_classes() -> None:
    fitted = fit([make_fold([0, 1])])
    fold = make_fold([0, 1])
    before = fitted["both"](fold.features("both"))
    fold.base["both"][:, :2] = 50.0
    fold.linear_text[:, :2] = 50.0
    assert torch.equal(fitted["both"](fold.features("both")), before)


def test_a_missing_modality_does_not_count() -> None:
    head = StackedHead(CLASS_COUNT, dim=8, text_dim=6)
    generator = torch.Generator().manual_seed(0)
    features, embedding = (torch.randn(3, width, generator=generator) for width in (8, 6))
    name_match = torch.rand(3, CLASS_COUNT, len(NAME_MATCH_FEATURES))
    logits, linear_text = torch.zeros(3, CLASS_COUNT), torch.randn(3, CLASS_COUNT)
    picture, title = torch.tensor([True, False, True]), torch.tensor([True, True, False])
    outputs = BaseOutputs(features, logits, linear_text, picture, title, False, embedding, name_match)
    before, other = head(outputs), head(replace(outputs, features=-features))
    assert torch.equal(before[1], other[1]) and not torch.allclose(before[[0, 2]], other[[0, 2]])
    other = head(replace(outputs, linear_text=-linear_text, name_match=1 - name_match, embedding=-embedding))
    assert torch.equal(before[2], other[2]) and not torch.allclose(before[[0, 1]], other[[0, 1]])


@pytest.mark.slow
def test_weights_move_the_balance_of_seen_and_unseen() -> None:
    """Where names match less clearly, heavy rows pull predictions to their side."""

    def blurred(seed: int, seen_weight: float) -> MetaTrainingFold:
        fold = make_fold([0, 1, 2, 3], seed=seed)
        fold.weights[fold.seen[fold.targets]] = seen_weight
        generator = torch.Generator().manual_seed(seed)
        linear_text = fold.linear_text + torch.randn(fold.linear_text.shape, generator=generator)
        name_match = fold.name_match + torch.rand(fold.name_match.shape, generator=generator)
        return replace(fold, base={}, linear_text=linear_text, name_match=name_match)

    light, heavy = (fit([blurred(n, weight) for n in range(3)]) for weight in (0.2, 20.0))
    fold = blurred(9, 1.0)
    assert accuracy(heavy, fold)[0] > accuracy(light, fold)[0] + 0.05
    assert accuracy(heavy, fold)[1] < accuracy(light, fold)[1] - 0.05


@pytest.mark.slow
def test_class_weights_follow_the_better_base_learner() -> None:
    """The linear text model knows classes of even number, the base model the others; all else is noise."""

    def half_known(seed: int) -> MetaTrainingFold:
        fold = make_fold([], seed=seed)
        generator = torch.Generator().manual_seed(seed)
        right = torch.nn.functional.one_hot(fold.targets, CLASS_COUNT).float()
        linear_text, base = (torch.randn(fold.linear_text.shape, generator=generator) for _ in range(2))
        return replace(
            fold,
            base={"both": base + 2 * right * ~even},
            linear_text=linear_text + 2 * right * even,
            name_match=torch.zeros_like(fold.name_match),
            similarity={"both": torch.zeros_like(fold.similarity["both"])},
        )

    even = torch.arange(CLASS_COUNT) % 2 == 0
    named, shared = (fit([half_known(n) for n in range(4)], classes=own) for own in (CLASS_COUNT, 0))
    assert accuracy(named, half_known(9))[0] > accuracy(shared, half_known(9))[0] + 0.02
    own = named["both"].class_weights
    assert own is not None and (own[even, 0] > 0).all() and (own[~even, 0] < 0).all()
    assert shared["both"].class_weights is None  # an unseen class could have none


@pytest.mark.slow
def test_same_seed_same_weights() -> None:
    first, second = (fit([make_fold([0, 1])], seed=3) for _ in range(2))
    for modality in MODALITIES:
        pairs = zip(first[modality].parameters(), second[modality].parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_probe_learns_from_features_of_any_scale() -> None:
    targets = torch.arange(400) % 4
    features = 1e3 * (torch.nn.functional.one_hot(targets, 8).float() + 0.1 * torch.randn(400, 8))
    probe = fit_linear_probe(features, targets, 4)
    assert (probe(features).argmax(1) == targets).double().mean() > 0.95
    assert not probe.linear.weight.requires_grad


def open_model(tiny_bert: Path, fuser: str = "late") -> tuple[Any, Any, StackedClassifier]:
    text = {**TEXT, "model": str(tiny_bert)}
    image = {**NETWORK, "regions": 2 if fuser == "attention" else 1}
    variant, params, model = tiny_model("fusion", fuser=fuser, vocabulary="open", text=text, image=image)
    assert isinstance(model, StackedClassifier)
    model.eval()
    model.name_classes(SHIRTS, [f"{name}, Topwear" for name in SHIRTS], SYNONYMS)
    return variant, params, model


@pytest.mark.parametrize("fuser", ["late", "concat", "attention"])
def test_an_open_model_is_saved_with_its_names(tiny_bert: Path, tmp_path: Path, fuser: str) -> None:
    variant, params, model = open_model(tiny_bert, fuser)
    batch = one_batch(model)
    save_model(tmp_path, "joint", model, {"label": SHIRTS}, {"label": 1.0})
    loaded = load_model(tmp_path, "joint", variant, params)
    assert isinstance(loaded, StackedClassifier) and loaded.class_names is not None
    assert loaded.class_names.paths == tuple(f"{name}, Topwear" for name in SHIRTS)
    assert loaded.class_names.synonyms == SYNONYMS
    titles = ["red shirt", "blue shoe"]
    ours, theirs = (
        m.prepare_fields(field_table(titles)).batch(np.arange(2))[NAME_MATCH] for m in (model, loaded)
    )
    assert torch.allclose(ours, theirs, atol=1e-3)
    with torch.no_grad():
        assert model(batch)["label"].shape == (16, CLASSES["label"])
        assert torch.equal(loaded(batch)["label"], model(batch)["label"])


def test_an_open_vocabulary_needs_the_sentence_encoder() -> None:
    with pytest.raises(SettingsError, match=r"set model\.text\.kind=both model\.wide=true"):
        tiny_model("fusion", fuser="late", vocabulary="open")


@pytest.mark.parametrize(
    ("more", "allows_unseen"),
    [
        ({}, True),
        ({"vocabulary": "named"}, False),
        ({"vocabulary": "closed"}, None),
        ({"wide": False, "fuser": "concat"}, None),
    ],
)
def test_a_vocabulary_is_open_where_it_can_be(
    tiny_bert: Path, more: dict[str, object], allows_unseen: bool | None
) -> None:
    text = {**TEXT, "model": str(tiny_bert)}
    _, _, model = tiny_model("fusion", **{"fuser": "late", "text": text, **more})
    assert _allows_unseen(model) == allows_unseen
    assert _allows_unseen(tiny_model("fusion")[2]) is None  # n-grams alone have no sentence encoder


def _allows_unseen(model: Model) -> bool | None:
    head = model.head if isinstance(model, StackedClassifier) else None
    return head.allows_unseen if isinstance(head, StackedHead) else None


def test_a_named_vocabulary_masks_unseen_classes() -> None:
    logits, seen = torch.tensor([[1.0, 5.0, 2.0]]), torch.tensor([True, False, True])
    named = StackedHead(3, 4, 6, allows_unseen=False).masked(logits, seen)
    assert named.argmax() == 2 and torch.equal(named[:, seen], logits[:, seen])
    assert named.softmax(1)[0, 1] == 0
    assert torch.equal(StackedHead(3, 4, 6).masked(logits, seen), logits)
