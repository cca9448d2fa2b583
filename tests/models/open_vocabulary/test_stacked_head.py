"""An open vocabulary: learns on some classes to name others, and stays where it is when classes are added."""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionclf.errors import RunError, SettingsError
from fusionclf.models.classifier import ProductClassifier
from fusionclf.models.open_vocabulary import meta_classifier as scorer
from fusionclf.models.open_vocabulary.added_classes import AddedClass, add_classes, read_added, write_added
from fusionclf.models.open_vocabulary.linear_probe import LinearProbe
from fusionclf.models.open_vocabulary.meta_classifier import Episode
from fusionclf.models.open_vocabulary.name_match_features import FIGURES
from fusionclf.models.open_vocabulary.stacked_head import Vocabulary
from fusionclf.models.storage import load_model, save_model
from tests.small import CLASSES, NETWORK, one_batch, tiny_model

CLASS_COUNT = 12
SHIRTS = tuple(f"{colour} shirt" for colour in ("red", "blue", "gold", "black"))
SYNONYMS = (("crimson shirt", "scarlet shirt"), (), (), ())
TEXT = {"kind": "both", "buckets": 4096, "dim": 16}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "STEPS", {"both": 150, "title": 60, "picture": 60})


def episode(unseen: list[int], rows: int = 600, seed: int = 0, examples: tuple[int, ...] = ()) -> Episode:
    """Products whose names fit their class; network and expert know the seen classes."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(CLASS_COUNT, (rows,), generator=generator)
    right = torch.nn.functional.one_hot(targets, CLASS_COUNT).float()
    pairs = torch.rand(rows, CLASS_COUNT, len(FIGURES), generator=generator) * 0.5
    pairs[:, :, 0] = right * 0.8 + torch.rand(rows, CLASS_COUNT, generator=generator) * 0.4
    noise = torch.randn(rows, CLASS_COUNT, generator=generator)
    seen = torch.ones(CLASS_COUNT, dtype=torch.bool)
    seen[unseen] = False
    shown = torch.zeros(CLASS_COUNT, dtype=torch.bool)
    shown[list(examples)] = True
    similar = torch.stack([0.7 * right + 0.1 * noise] * 2, dim=-1)
    network = {"both": 3 * right + noise, "picture": 3 * right + noise}
    return Episode(
        network, 2 * right - 1 + 0.3 * noise, pairs, {"both": similar}, targets, torch.ones(rows), seen, shown
    )


def answers(model: Vocabulary, asked: Episode, at_hand: str = "both") -> tuple[float, float]:
    """Share of right answers on seen and on new classes."""
    right = model.scorers[at_hand](asked.inputs(at_hand)).argmax(1) == asked.targets
    of_seen = asked.seen[asked.targets]
    return right[of_seen].double().mean().item(), right[~of_seen].double().mean().item()


def fitted(episodes: list[Episode], seed: int = 0) -> Vocabulary:
    model = Vocabulary(CLASS_COUNT, dim=8, text_dim=6)
    model.fit(episodes, groups=[], seed=seed)
    return model


def test_names_classes_that_no_episode_took_away() -> None:
    model = fitted([episode([n, n + 4], seed=n) for n in range(4)])
    seen, new = answers(model, episode([8, 9, 10, 11], seed=9))
    assert seen > 0.95 and new > 0.9


def test_a_title_alone_names_new_classes_and_a_picture_alone_seen_ones() -> None:
    model = fitted([episode([n, n + 4], seed=n) for n in range(4)])
    asked = episode([8, 9, 10, 11], seed=9)
    assert min(answers(model, asked, "title")) > 0.85
    assert answers(model, asked, "picture")[0] > 0.8


def test_a_picture_alone_is_not_asked_about_classes_known_by_their_names_alone() -> None:
    """However many products they stand for: it cannot tell of them, and would only doubt the others."""
    episodes = [episode([n, n + 4], seed=n) for n in range(4)]
    for made in episodes:
        made.weights[~made.seen[made.targets]] = 50.0
    seen, new = answers(fitted(episodes), episode([8, 9, 10, 11], seed=9), "picture")
    assert seen > 0.9 and new == 0


def test_examples_tell_a_new_class_where_its_name_is_not_at_hand() -> None:
    model = fitted([episode([n, n + 4], seed=n, examples=(n,)) for n in range(4)])
    with_examples = answers(model, episode([9, 10], seed=9, examples=(9, 10)), "picture")[1]
    without = answers(model, episode([9, 10], seed=9), "picture")[1]
    assert with_examples > 0.7 > without


def test_a_kind_of_likeness_that_no_episode_showed_does_not_count_later() -> None:
    """Weights that nothing taught stay as they were drawn; an input of 1 must not blow them up."""
    model = fitted([episode([n, n + 4], seed=n) for n in range(4)])
    asked = episode([8, 9], seed=9)
    shown = replace(asked, examples=~asked.seen)
    for at_hand in ("both", "title"):
        scorer = model.scorers[at_hand]
        assert torch.equal(scorer(asked.inputs(at_hand)), scorer(shown.inputs(at_hand)))


def test_a_picture_alone_is_compared_with_examples_as_it_is_when_it_is_answered() -> None:
    made = episode([0], seed=1, examples=(0,))
    of_picture = torch.rand_like(made.similar["both"])
    made = replace(made, similar={**made.similar, "picture": of_picture})
    likeness = made.inputs("picture")[:, 0, -3:-1]
    assert torch.equal(likeness[:, 1], of_picture[:, 0, 1])
    assert torch.equal(made.inputs("both")[:, 0, -3:-1], made.similar["both"][:, 0])
    assert torch.equal(made.inputs("title")[:, 0, -3], made.similar["both"][:, 0, 0])


def test_some_rows_of_an_episode_are_asked_as_they_are_among_the_others() -> None:
    made, rows = episode([0, 3], examples=(3,)), torch.tensor([7, 2, 500])
    few = made.only(rows)
    for at_hand in ("both", "title", "picture"):
        assert torch.equal(few.inputs(at_hand), made.inputs(at_hand, rows))
        assert torch.equal(few.weighed(at_hand), made.weighed(at_hand)[rows])
    assert torch.equal(few.targets, made.targets[rows])


def test_what_an_expert_says_of_an_unseen_class_does_not_count() -> None:
    model = fitted([episode([0, 1])])
    asked = episode([0, 1])
    before = model.scorers["both"](asked.inputs("both"))
    asked.network["both"][:, :2] = 50.0
    asked.expert[:, :2] = 50.0
    assert torch.equal(model.scorers["both"](asked.inputs("both")), before)


def test_what_is_not_at_hand_does_not_count() -> None:
    model = Vocabulary(CLASS_COUNT, dim=8, text_dim=6)
    generator = torch.Generator().manual_seed(0)
    features, embedding = (torch.randn(3, width, generator=generator) for width in (8, 6))
    expert, pairs = torch.randn(3, CLASS_COUNT), torch.rand(3, CLASS_COUNT, len(FIGURES))
    picture, title = torch.tensor([True, False, True]), torch.tensor([True, True, False])
    before = model(features, expert, pairs, embedding, picture, title)
    other = model(-features, expert, pairs, embedding, picture, title)
    assert torch.equal(before[1], other[1]) and not torch.allclose(before[[0, 2]], other[[0, 2]])
    other = model(features, -expert, 1 - pairs, -embedding, picture, title)
    assert torch.equal(before[2], other[2]) and not torch.allclose(before[[0, 1]], other[[0, 1]])


def test_a_title_network_is_heard_of_seen_classes_where_there_is_a_title() -> None:
    model = Vocabulary(CLASS_COUNT, dim=8, text_dim=6, title_network=True)
    model.seen[0] = False
    generator = torch.Generator().manual_seed(0)
    features, embedding = (torch.randn(3, width, generator=generator) for width in (8, 6))
    expert, said = (torch.randn(3, CLASS_COUNT, generator=generator) for _ in range(2))
    pairs = torch.rand(3, CLASS_COUNT, len(FIGURES), generator=generator)
    picture, title = torch.tensor([True, False, True]), torch.tensor([True, True, False])

    def logits(said: torch.Tensor) -> torch.Tensor:
        return model(features, expert, pairs, embedding, picture, title, title_network=said)

    before, other = logits(said), logits(-said)
    assert torch.equal(before[2], other[2]) and not torch.allclose(before[:2], other[:2])
    of_new = said.clone()
    of_new[:, 0] += 9
    assert torch.equal(before, logits(of_new))


def test_weights_move_the_balance_between_seen_and_new() -> None:
    """Where names tell less, products that stand for many pull answers to their side."""

    def blurred(seed: int, of_seen: float) -> Episode:
        made = episode([0, 1, 2, 3], seed=seed)
        made.weights[made.seen[made.targets]] = of_seen
        generator = torch.Generator().manual_seed(seed)
        expert = made.expert + torch.randn(made.expert.shape, generator=generator)
        pairs = made.pairs + torch.rand(made.pairs.shape, generator=generator)
        return Episode({}, expert, pairs, made.similar, made.targets, made.weights, made.seen, made.examples)

    light, heavy = (fitted([blurred(n, weight) for n in range(3)]) for weight in (0.2, 20.0))
    asked = blurred(9, 1.0)
    assert answers(heavy, asked)[0] > answers(light, asked)[0] + 0.05
    assert answers(heavy, asked)[1] < answers(light, asked)[1] - 0.05


def test_where_no_class_is_new_each_learns_what_tells_it_best() -> None:
    """Classes of even number are told by the expert, the others by the network; what else is said of them is noise."""

    def half_told(seed: int) -> Episode:
        made = episode([], seed=seed)
        generator = torch.Generator().manual_seed(seed)
        right = torch.nn.functional.one_hot(made.targets, CLASS_COUNT).float()
        expert, network = (torch.randn(made.expert.shape, generator=generator) for _ in range(2))
        said = {"both": network + 2 * right * ~even}
        nothing = torch.zeros_like(made.pairs), {"both": torch.zeros_like(made.similar["both"])}
        return Episode(
            said, expert + 2 * right * even, *nothing, made.targets, made.weights, made.seen, made.examples
        )

    def fitted_on_it(takes_new: bool) -> Vocabulary:
        model = Vocabulary(CLASS_COUNT, dim=8, text_dim=6, takes_new=takes_new)
        model.fit([half_told(n) for n in range(4)], groups=[])
        return model

    even = torch.arange(CLASS_COUNT) % 2 == 0
    named, shared = fitted_on_it(takes_new=False), fitted_on_it(takes_new=True)
    assert answers(named, half_told(9))[0] > answers(shared, half_told(9))[0] + 0.02
    own = named.scorers["both"].of_class
    assert isinstance(own, torch.Tensor) and (own[even, 0] > 0).all() and (own[~even, 0] < 0).all()
    assert shared.scorers["both"].of_class is None  # a new class could have none


def test_same_seed_same_weights() -> None:
    first, second = (fitted([episode([0, 1])], seed=3) for _ in range(2))
    pairs = zip(first.scorers.parameters(), second.scorers.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_probe_learns_from_features_of_any_scale() -> None:
    targets = torch.arange(400) % 4
    features = 1e3 * (torch.nn.functional.one_hot(targets, 8).float() + 0.1 * torch.randn(400, 8))
    probe = LinearProbe(8, 4)
    probe.fit(features, targets)
    assert (probe(features).argmax(1) == targets).double().mean() > 0.95
    assert not probe.linear.weight.requires_grad


def open_model(tiny_bert: Path, fuser: str = "late") -> tuple[object, object, ProductClassifier]:
    text = {**TEXT, "model": str(tiny_bert)}
    image = {**NETWORK, "regions": 2 if fuser == "attention" else 1}
    variant, params, model = tiny_model("fusion", fuser=fuser, vocabulary="open", text=text, image=image)
    model.eval()
    model.name_classes(SHIRTS, [f"{name}, Topwear" for name in SHIRTS], SYNONYMS)
    return variant, params, model


@pytest.mark.parametrize("fuser", ["late", "concat", "attention"])
def test_an_open_model_is_saved_with_its_names(tiny_bert: Path, tmp_path: Path, fuser: str) -> None:
    variant, params, model = open_model(tiny_bert, fuser)
    batch = one_batch(model)
    save_model(tmp_path, "joint", model, {"label": SHIRTS}, temperature=1.0)
    loaded = load_model(tmp_path, "joint", variant, params)  # pyright: ignore[reportArgumentType]
    assert loaded.names is not None and loaded.names.paths == tuple(f"{name}, Topwear" for name in SHIRTS)
    assert loaded.names.synonyms == SYNONYMS
    titles = ["red shirt", "blue shoe"]
    pairs = [m.prepare_titles(titles).batch(np.arange(2))["pairs"] for m in (model, loaded)]
    assert torch.allclose(pairs[0], pairs[1], atol=1e-3)
    with torch.no_grad():
        assert model(batch)["label"].shape == (16, CLASSES["label"])
        assert torch.equal(loaded(batch)["label"], model(batch)["label"])


@pytest.mark.parametrize("fuser", ["late", "concat"])
def test_an_added_class_moves_no_other_logit(tiny_bert: Path, fuser: str) -> None:
    _, _, model = open_model(tiny_bert, fuser)
    with torch.no_grad():
        before = model(one_batch(model))["label"]
        add_classes(model, [AddedClass("red shoe", ("Footwear",), synonyms=("pump",)), AddedClass("shirt")])
        after = model(one_batch(model))["label"]
    assert after.shape == (16, CLASSES["label"] + 2)
    assert torch.allclose(after[:, : CLASSES["label"]], before, atol=1e-5)
    assert model.names is not None and model.names.paths[-2:] == ("red shoe, Footwear", "shirt")
    assert model.names.synonyms[-2:] == (("pump",), ())


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


def test_a_cut_between_two_files_gives_no_class_the_vectors_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    with pytest.raises(RunError, match=r"model\.vocabulary=open"):
        add_classes(tiny_model("fusion")[2], [AddedClass("Kite")])


def test_an_open_vocabulary_needs_the_sentence_encoder() -> None:
    with pytest.raises(SettingsError, match=r"set model\.text\.kind=both model\.wide=true"):
        tiny_model("fusion", fuser="late", vocabulary="open")


@pytest.mark.parametrize(
    ("more", "takes_new"),
    [
        ({}, True),
        ({"vocabulary": "named"}, False),
        ({"vocabulary": "closed"}, None),
        ({"wide": False, "fuser": "concat"}, None),
    ],
)
def test_a_vocabulary_is_open_where_it_can_be(
    tiny_bert: Path, more: dict[str, object], takes_new: bool | None
) -> None:
    text = {**TEXT, "model": str(tiny_bert)}
    _, _, model = tiny_model("fusion", **{"fuser": "late", "text": text, **more})
    assert (model.vocabulary and model.vocabulary.takes_new) == takes_new
    assert tiny_model("fusion")[2].vocabulary is None  # n-grams alone have no sentence encoder


def test_a_named_vocabulary_takes_no_new_class(tiny_bert: Path) -> None:
    text = {**TEXT, "model": str(tiny_bert)}
    _, _, model = tiny_model("fusion", fuser="late", text=text, vocabulary="named")
    model.name_classes(["Kite", "Drone", "Ball"], ["Kite", "Drone", "Ball"])
    with pytest.raises(RunError, match=r"model\.vocabulary=open"):
        add_classes(model, [AddedClass("Yo-yo")])


@pytest.mark.parametrize("cross_fitted", [False, True])
def test_a_cross_fitted_vocabulary_hears_the_networks_own_head_in_place_of_the_probe(
    tiny_bert: Path, cross_fitted: bool
) -> None:
    text = {**TEXT, "model": str(tiny_bert)}
    more = {"text": text, "vocabulary": "named", "cross_fitted": cross_fitted}
    _, _, model = tiny_model("fusion", fuser="late", **more)
    model.name_classes(SHIRTS, SHIRTS)
    batch = one_batch(model.eval())
    assert model.vocabulary is not None

    def answers_when_filled(layer: Any) -> torch.Tensor:
        before = layer.weight.clone()
        layer.weight.data.normal_()
        answers = model(batch)["label"]
        layer.weight.data.copy_(before)
        return answers

    with torch.no_grad():
        before = model(batch)["label"]
        other_probe = answers_when_filled(model.vocabulary.probe.linear)
        other_head = answers_when_filled(model.heads["label"])
    assert torch.equal(other_probe, before) == cross_fitted
    assert torch.equal(other_head, before) != cross_fitted


def test_a_named_vocabulary_answers_with_seen_classes_alone() -> None:
    logits, seen = torch.tensor([[1.0, 5.0, 2.0]]), torch.tensor([True, False, True])
    named = Vocabulary(3, 4, 6, takes_new=False).answered(logits, seen)
    assert named.argmax() == 2 and torch.equal(named[:, seen], logits[:, seen])
    assert named.softmax(1)[0, 1] == 0
    assert torch.equal(Vocabulary(3, 4, 6).answered(logits, seen), logits)
