"""An open vocabulary: learns on some classes to name others, and stays where it is when classes are added."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fusionclf.errors import SettingsError
from fusionclf.models.names import FIGURES
from fusionclf.models.storage import load_model, save_model
from fusionclf.models.vocabulary import Episode, OpenVocabulary, held_out_folds
from tests.small import CLASSES, one_batch, tiny_model

CLASS_COUNT = 12


def episode(unseen: list[int], rows: int = 600, seed: int = 0) -> Episode:
    """Products whose names fit their class; network and expert know the seen classes."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(CLASS_COUNT, (rows,), generator=generator)
    right = torch.nn.functional.one_hot(targets, CLASS_COUNT).float()
    pairs = torch.rand(rows, CLASS_COUNT, len(FIGURES), generator=generator) * 0.5
    pairs[:, :, 0] = right * 0.8 + torch.rand(rows, CLASS_COUNT, generator=generator) * 0.4
    noise = torch.randn(rows, CLASS_COUNT, generator=generator)
    seen = torch.ones(CLASS_COUNT, dtype=torch.bool)
    seen[unseen] = False
    return Episode(3 * right + noise, 2 * right - 1 + 0.3 * noise, pairs, targets, seen)


def accuracy(model: OpenVocabulary, asked: Episode) -> tuple[float, float]:
    model.seen.copy_(asked.seen)
    right = model(asked.network, asked.expert, asked.pairs).argmax(1) == asked.targets
    of_seen = asked.seen[asked.targets]
    return right[of_seen].double().mean().item(), right[~of_seen].double().mean().item()


def test_names_classes_that_no_episode_took_away() -> None:
    model = OpenVocabulary(CLASS_COUNT)
    model.fit([episode([n, n + 4], seed=n) for n in range(4)] * 8, groups=[])
    seen, unseen = accuracy(model, episode([8, 9, 10, 11], seed=9))
    assert seen > 0.95 and unseen > 0.9


def test_what_an_expert_says_of_an_unseen_class_does_not_count() -> None:
    model = OpenVocabulary(CLASS_COUNT)
    model.fit([episode([0, 1])], groups=[])
    asked = episode([0, 1])
    model.seen.copy_(asked.seen)
    before = model(asked.network, asked.expert, asked.pairs)
    network, expert = asked.network.clone(), asked.expert.clone()
    network[:, :2], expert[:, :2] = 50.0, 50.0
    assert torch.equal(model(network, expert, asked.pairs), before)


def test_another_unseen_class_moves_no_other_score() -> None:
    model = OpenVocabulary(CLASS_COUNT)
    model.fit([episode([0, 1])], groups=[])
    asked = episode([0, 1])
    model.seen.copy_(asked.seen)
    more = OpenVocabulary(CLASS_COUNT + 1)
    state = {**model.state_dict(), "seen": torch.cat([model.seen, torch.tensor([False])])}
    more.load_state_dict(state)
    wider = [torch.cat([part, part[:, :1]], dim=1) for part in (asked.network, asked.expert, asked.pairs)]
    before = model(asked.network, asked.expert, asked.pairs)
    assert torch.allclose(more(*wider)[:, :CLASS_COUNT], before, atol=1e-5)


def test_same_seed_same_weights() -> None:
    first, second = OpenVocabulary(CLASS_COUNT), OpenVocabulary(CLASS_COUNT)
    for model in (first, second):
        model.fit([episode([0, 1])], groups=[np.arange(CLASS_COUNT) < 6], seed=3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_folds_take_every_class_away_once_alone_and_once_with_its_family() -> None:
    classes = np.arange(20)
    folds = held_out_folds(classes, classes // 4, folds=3, seed=1)
    assert len(folds) == 6
    assert sorted(np.concatenate(folds[:3])) == sorted(np.concatenate(folds[3:])) == classes.tolist()
    for fold in folds[3:]:
        assert all((np.isin(classes, fold)[classes // 4 == n // 4]).all() for n in fold)


def test_no_fold_takes_all_classes_away() -> None:
    assert held_out_folds(np.arange(2), np.zeros(2), folds=5) != []
    assert all(len(fold) == 1 for fold in held_out_folds(np.arange(2), np.zeros(2), folds=5))


def test_an_open_model_is_saved_with_its_names(tiny_bert: Path, tmp_path: Path) -> None:
    text = {"kind": "both", "buckets": 4096, "dim": 16, "model": str(tiny_bert)}
    variant, params, model = tiny_model("fusion", fuser="late", vocabulary="open", text=text)
    names = tuple(f"{colour} shirt" for colour in ("red", "blue", "gold", "black"))
    paths = [f"{name}, Topwear" for name in names]
    model.eval()
    model.name_classes(names, paths)
    batch = one_batch(model)
    save_model(tmp_path, "joint", model, {"label": names}, temperature=1.0)
    loaded = load_model(tmp_path, "joint", variant, params)
    assert loaded.names is not None and loaded.names.paths == tuple(paths)
    titles = ["red shirt", "blue shoe"]
    pairs = [m.prepare_titles(titles).batch(np.arange(2))["pairs"] for m in (model, loaded)]
    assert torch.allclose(pairs[0], pairs[1], atol=1e-3)
    with torch.no_grad():
        assert model(batch)["label"].shape == (16, CLASSES["label"])
        assert torch.equal(loaded(batch)["label"], model(batch)["label"])


def test_an_open_vocabulary_needs_the_sentence_encoder() -> None:
    with pytest.raises(SettingsError, match=r"set model\.fuser=late model\.text\.kind=both"):
        tiny_model("fusion", fuser="late", vocabulary="open")
