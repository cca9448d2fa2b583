"""A stacked head: meta-classifiers that name unseen classes, and classes that are added."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionclf.catalog.fields import field_table
from fusionclf.errors import SettingsError
from fusionclf.models import Model, StackedClassifier
from fusionclf.models.open_vocabulary import meta_training
from fusionclf.models.open_vocabulary.level_zero import MODALITIES, ClassFacts
from fusionclf.models.open_vocabulary.linear_probe import fit_linear_probe
from fusionclf.models.open_vocabulary.meta_classifier import MetaClassifier, new_features
from fusionclf.models.open_vocabulary.meta_training import MetaTrainingFold, fit_meta_classifiers
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
    monkeypatch.setattr(meta_training, "STEPS", {"both": 200, "title": 200, "picture": 200})


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
    counts = torch.full((CLASS_COUNT,), 50)
    counts[unseen] = 0
    has_prototype = torch.zeros(CLASS_COUNT, dtype=torch.bool)
    has_prototype[list(with_prototype)] = True
    similarity = torch.stack([0.7 * right + 0.1 * noise] * 2, dim=-1)
    base = {"both": 3 * right + noise, "picture": 3 * right + noise}
    return MetaTrainingFold(
        base, 2 * right - 1 + 0.3 * noise, name_match, {"both": similarity}, targets, torch.ones(rows),
        ClassFacts.of(counts, has_prototype),
    )  # fmt: skip


Classifiers = dict[str, MetaClassifier]


def accuracy(fitted: Classifiers, fold: MetaTrainingFold, modality: str = "both") -> tuple[float, float]:
    """Share of right predictions on seen and on unseen classes."""
    right = logits(fitted, fold, modality).argmax(1) == fold.targets
    of_seen = fold.classes.seen[fold.targets]
    return right[of_seen].double().mean().item(), right[~of_seen].double().mean().item()


def logits(fitted: Classifiers, fold: MetaTrainingFold, modality: str = "both") -> torch.Tensor:
    return fitted[modality](fold.level_zero(modality), fold.classes)


def fit(folds: list[MetaTrainingFold], seed: int = 0) -> Classifiers:
    return fit_meta_classifiers(folds, seed)


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
        fold.weights[~fold.classes.seen[fold.targets]] = 50.0
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
    facts = replace(fold.classes, has_prototype=~fold.classes.seen)
    for modality in ("both", "title"):
        assert torch.equal(
            logits(fitted, fold, modality), logits(fitted, replace(fold, classes=facts), modality)
        )


def test_prototype_features_are_those_of_the_modality() -> None:
    fold = make_fold([0], seed=1, with_prototype=(0,))
    both, picture = fold.similarity["both"], torch.rand_like(fold.similarity["both"])
    fold = replace(fold, similarity={"both": both, "picture": picture})
    found = {
        modality: new_features(fold.level_zero(modality), fold.classes)[:, 0, -3:-1]
        for modality in MODALITIES
    }
    nothing = torch.zeros(len(both))
    assert torch.equal(found["picture"], torch.stack([nothing, picture[:, 0, 1]], 1))
    assert torch.equal(found["both"], both[:, 0])
    assert torch.equal(found["title"], torch.stack([both[:, 0, 0], nothing], 1))


def test_a_subset_of_a_fold_has_the_same_features() -> None:
    fold, rows = make_fold([0, 3], with_prototype=(3,)), torch.tensor([7, 2, 500])
    few = fold.subset(rows)
    for modality in MODALITIES:
        ours, theirs = few.level_zero(modality), fold.level_zero(modality, rows)
        assert torch.equal(new_features(ours, few.classes), new_features(theirs, fold.classes))
    assert torch.equal(few.targets, fold.targets[rows])


def test_base_learners_do_not_count_for_unseen_classes() -> None:
    fitted = fit([make_fold([0, 1])])
    fold = make_fold([0, 1])
    before = logits(fitted, fold)
    fold.base["both"][:, :2] = 50.0
    fold.linear_text[:, :2] = 50.0
    assert torch.equal(logits(fitted, fold), before)


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
def test_the_expected_share_moves_the_balance_of_seen_and_unseen() -> None:
    """Where names match less clearly, rare unseen classes are answered less."""

    def blurred(seed: int, share: float = 1.0) -> MetaTrainingFold:
        fold = make_fold([0, 1, 2, 3], seed=seed)
        generator = torch.Generator().manual_seed(seed)
        linear_text = fold.linear_text + torch.randn(fold.linear_text.shape, generator=generator)
        name_match = fold.name_match + torch.rand(fold.name_match.shape, generator=generator)
        facts = replace(fold.classes, share=torch.tensor(share))
        return replace(fold, base={}, linear_text=linear_text, name_match=name_match, classes=facts)

    fitted = fit([blurred(n) for n in range(3)])
    often, rarely = (accuracy(fitted, blurred(9, share)) for share in (0.25, 0.001))
    assert rarely[0] > often[0] + 0.01 and rarely[1] < often[1] - 0.2


@pytest.mark.slow
def test_a_part_counts_more_for_classes_that_it_knows() -> None:
    """The linear text model knows classes of many rows, the base model those of few; all else is noise."""

    def half_known(seed: int) -> MetaTrainingFold:
        fold = make_fold([], seed=seed)
        generator = torch.Generator().manual_seed(seed)
        right = torch.nn.functional.one_hot(fold.targets, CLASS_COUNT).float()
        linear_text, base = (torch.randn(fold.linear_text.shape, generator=generator) for _ in range(2))
        return replace(
            fold,
            base={"both": base + 3 * right * ~many},
            linear_text=linear_text + 3 * right * many,
            name_match=torch.zeros_like(fold.name_match),
            classes=ClassFacts.of(torch.where(many, 1000, 4), fold.classes.has_prototype),
        )

    many = torch.arange(CLASS_COUNT) % 2 == 0
    fitted = fit([half_known(n) for n in range(4)])
    stacked = accuracy(fitted, half_known(9))[0]
    fitted["both"].use_product((1.0, 1.0))
    assert stacked > accuracy(fitted, half_known(9))[0] + 0.02


def test_an_unseen_class_is_as_frequent_as_the_median() -> None:
    facts = ClassFacts.of(torch.tensor([10, 30, 60, 0, 0]), torch.zeros(5, dtype=torch.bool))
    level_zero = replace(make_fold([0]).level_zero("both"))
    assert facts.share.item() == pytest.approx(0.3)
    assert facts.known_log_odds(level_zero).item() == pytest.approx(-np.log(0.6))
    many = ClassFacts.of(
        torch.tensor([10, *[0] * 900]), torch.zeros(901, dtype=torch.bool), torch.tensor(0.3)
    )
    assert many.known_log_odds(level_zero).item() == 0  # never more than half of all products


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
    fold, fitted = make_fold([1]), MetaClassifier()
    level_zero = fold.level_zero("both")
    named, open_ = (fitted(level_zero, fold.classes, allows_unseen) for allows_unseen in (False, True))
    assert (named[:, 1].exp() == 0).all() and (open_[:, 1].exp() > 0).all()
    seen = fold.classes.seen
    assert torch.allclose(named[:, seen], open_[:, seen].log_softmax(1), atol=1e-4)


def test_a_known_share_of_unseen_classes_is_used() -> None:
    head = StackedHead(4, 8, 6, unseen_share=0.25)
    head.set_fitted(head.probe, torch.tensor([5, 5, 0, 0]), {}, torch.zeros(2, 2, 2))
    assert head.share.item() == pytest.approx(1 / 6)  # two of them: 1 to 3
