"""Each training technique does what its setting says."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fusionclf.batches import Batch
from fusionclf.errors import SettingsError
from fusionclf.models import pretrained_encoders
from fusionclf.models.weights import load_weights
from fusionclf.training import Progress
from fusionclf.training.averaging import WeightAverage
from fusionclf.training.mixing import Mix, draw_mix, mix
from fusionclf.training.objective import Objective, build_losses
from tests.training.small_stage import (
    CLASSES,
    TRAIN,
    equal_weights,
    fusion,
    picture_encoder,
    picture_model,
    picture_source,
    settings,
    train_pictures,
)


def pictures(size: int = 8) -> Batch:
    shown = torch.arange(size).float().view(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous()
    return Batch(np.arange(size), shown, None, {"label": torch.arange(size) % CLASSES})


def test_a_batch_in_pieces_learns_as_the_whole_batch_does(tmp_path: Path) -> None:
    models = []
    for name, pieces in (("whole", 1), ("pieces", 4)):
        model, source = fusion()
        model.eval()  # batch statistics are per piece; without them the gradients are the same sums
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.0
        model.train = lambda mode=True, model=model: model  # pyright: ignore[reportAttributeAccessIssue]
        train_pictures(
            tmp_path / name, {"gradient_accumulation_steps": pieces, "epochs": 1}, model=model, source=source
        )
        models.append(model)
    first, second = (model.state_dict() for model in models)
    assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in first)


def test_frozen_epochs_keep_the_encoder_and_its_statistics(tmp_path: Path) -> None:
    before = picture_encoder().state_dict()
    seen: list[dict[str, torch.Tensor]] = []
    model = picture_model()
    start = {name: value.clone() for name, value in model.state_dict().items()}

    def epoch(_: Any) -> None:
        seen.append({name: value.clone() for name, value in model.state_dict().items()})

    train_pictures(tmp_path, {"freeze_epochs": 2, "epochs": 3}, model=model, progress=Progress(epoch=epoch))
    encoder = [f"image.{name}" for name in before]
    for name in encoder:
        assert torch.equal(seen[0][name], start[name]) and torch.equal(seen[1][name], start[name]), name
    assert any(not torch.equal(seen[2][name], start[name]) for name in encoder)
    assert not torch.equal(seen[0]["heads.label.weight"], start["heads.label.weight"])
    assert all(p.requires_grad for e in pretrained_encoders(model) for p in e.parameters())


def test_an_average_follows_by_its_decay() -> None:
    model = picture_model()
    average = WeightAverage(model, 0.9)
    weight, followed = (m.get_parameter("heads.label.weight") for m in (model, average.model))
    start = followed.clone()
    with torch.no_grad():
        weight.copy_(start + 1)
    average.update(0)  # decay 1/10
    assert torch.allclose(followed, start + 0.9)
    average.update(10_000)
    assert torch.allclose(followed, start + 0.9 * 0.9 + 0.1)


def test_the_averaged_weights_are_what_is_kept(tmp_path: Path) -> None:
    plain, _ = train_pictures(tmp_path / "plain", {"select_by": "last"})
    kept, _ = train_pictures(tmp_path / "kept", {"select_by": "last", "ema_decay": 0.9})
    assert not equal_weights(plain, kept)
    last = load_weights(tmp_path / "kept" / "last" / "average.safetensors")
    trained = load_weights(tmp_path / "kept" / "last" / "model.safetensors")
    weights = kept.state_dict()
    assert all(torch.equal(weights[name], last[name]) for name in weights)
    assert all(
        torch.equal(plain.state_dict()[name], trained[name]) for name in weights
    )  # training is the same


def test_patience_stops_when_the_score_no_longer_rises(tmp_path: Path) -> None:
    # With a vanishing learning rate no epoch is better than the first.
    changes = {"patience": 2, "epochs": 9, "optimiser": {"name": "sgd", "learning_rate": 1e-12}}
    _, state = train_pictures(tmp_path, changes)
    assert state.best_epoch == 1 and [row["epoch"] for row in state.log] == [1, 2, 3]
    _, again = train_pictures(tmp_path, changes)
    assert again.log == state.log


def test_progressive_sizes_come_first_and_validate_at_full_size(tmp_path: Path) -> None:
    sizes: list[tuple[int, ...]] = []
    model = picture_model()
    assert model.image is not None

    def look(_: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        sizes.append((*inputs[0].shape[2:], int(model.training)))

    model.image.network.register_forward_pre_hook(look)
    smaller = [{"epochs": 1, "height": 16, "width": 16}, {"epochs": 1, "height": 20, "width": 20}]
    train_pictures(tmp_path, {"progressive": smaller}, model=model, source=picture_source(24))
    assert list(dict.fromkeys(sizes)) == [(16, 16, 1), (24, 24, 0), (20, 20, 1), (24, 24, 1)]


def test_epochs_that_do_not_add_up_are_refused() -> None:
    for changes in (
        {"progressive": [{"epochs": 3, "height": 16, "width": 16}]},
        {"freeze_epochs": 3},
        {"patience": 1, "select_by": "last"},
    ):
        with pytest.raises(ValueError, match=r"epochs|patience"):
            settings(**changes)


def test_mixup_blends_each_picture_with_its_partner() -> None:
    mixed, share = mix(pictures(), Mix(0.75))
    assert share == 0.75
    assert mixed.pictures is not None
    assert torch.allclose(mixed.pictures[0], torch.full((3, 16, 16), 0.25 * 7))


def test_cutmix_pastes_a_box_and_counts_its_area() -> None:
    mixed, share = mix(pictures(), Mix(0.75, (0.5, 0.5)))
    assert mixed.pictures is not None
    pasted = (mixed.pictures[0, 0] == 7).float().mean().item()
    assert pasted == pytest.approx(0.25) and share == pytest.approx(1 - pasted)
    mixed, share = mix(pictures(), Mix(0.75, (0.0, 0.0)))  # a box that is cut at the corner
    assert mixed.pictures is not None
    assert share == pytest.approx(1 - (mixed.pictures[0, 0] == 7).float().mean().item())


def test_a_mixed_loss_weighs_own_and_partners_target() -> None:
    batch, logits = pictures(), torch.randn(8, CLASSES, generator=torch.Generator().manual_seed(0))
    source = picture_source()
    objective = Objective(build_losses(source, TRAIN), picture_model().task_weights, source.targets)
    targets = batch.targets["label"]
    own, partners = (torch.nn.functional.cross_entropy(logits, t) for t in (targets, targets.flip(0)))
    found = objective({"label": logits}, batch, {"label": 8.0}, 0.8)
    assert torch.allclose(found, 0.8 * own + 0.2 * partners)
    assert not torch.allclose(own, partners)


def test_the_mix_depends_on_seed_epoch_and_step_alone() -> None:
    assert draw_mix(0.2, 1.0, 0, 1, 2) == draw_mix(0.2, 1.0, 0, 1, 2) != draw_mix(0.2, 1.0, 0, 1, 3)
    assert draw_mix(0.0, 0.0, 0, 1, 2) is None
    kinds = {draw.box is None for step in range(40) if (draw := draw_mix(0.2, 1.0, 0, 1, step))}
    assert kinds == {True, False}
    plain = [draw_mix(0.2, 0.0, 0, 1, step) for step in range(9)]
    assert all(draw is not None and draw.box is None for draw in plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"mixup": 0.4}, {"cutmix": 1.0}, {"focal_gamma": 2.0}, {"label_smoothing": 0.2}, {"ema_decay": 0.9},
        {"sampler": "balanced"}, {"sampler": "in_order"}, {"oversample_up_to": 30}, {"augment": "trivial"},
        {"augment": "rand"}, {"clip_norm": 0.01}, {"freeze_epochs": 1}, {"gradient_accumulation_steps": 2},
        {"class_weights": "inverse"},
        {"optimiser": {"name": "adam", "learning_rate": 0.01, "weight_decay": 0.1}},
        {"optimiser": {"name": "sgd", "learning_rate": 0.1}},
        {"optimiser": {"name": "adamw", "learning_rate": 0.01, "layer_decay": 0.5}},
        {"schedule": {"name": "cosine", "warmup_epochs": 1}}, {"schedule": {"name": "one_cycle"}},
        {"progressive": [{"epochs": 1, "height": 24, "width": 24}]},
    ],
    ids=lambda changes: "-".join(map(str, changes)),
)  # fmt: skip
def test_each_technique_changes_training_and_resumes_exactly(changes: dict[str, Any], tmp_path: Path) -> None:
    changes = {**changes, "select_by": "last"}  # an early best epoch would hide what comes after it
    plain, _ = train_pictures(tmp_path / "plain", {"select_by": "last"})
    whole, state = train_pictures(tmp_path / "whole", changes)
    assert all(np.isfinite(row["train_loss"]) for row in state.log)
    assert not equal_weights(plain, whole)

    class Cut(Exception):
        pass

    def step(epoch: int, step: int, *_: Any) -> None:
        if (epoch, step) == (2, 4):
            raise Cut

    with pytest.raises(Cut):
        train_pictures(tmp_path / "cut", changes, progress=Progress(step=step), save_every_s=0.0)
    resumed, _ = train_pictures(tmp_path / "cut", changes)
    assert equal_weights(whole, resumed)


def test_compiled_encoders_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(
        nn.Module, "compile", lambda self: compiled.append(self)
    )  # a compiler may not be at hand
    model, _ = train_pictures(tmp_path, {"compile": True, "epochs": 1})
    assert model.image is not None
    assert compiled == [model.image.network]


def test_the_start_is_kept_where_no_epoch_is_better(tmp_path: Path) -> None:
    model, _ = train_pictures(tmp_path / "first")
    start = {name: value.clone() for name, value in model.state_dict().items()}
    harmful = {"optimiser": {"name": "sgd", "learning_rate": 10.0}, "epochs": 2}
    after, state = train_pictures(tmp_path / "second", harmful, model=model, score_first=True)
    assert state.best_epoch == 0 and len(state.log) == 2
    assert all(torch.equal(value, start[name]) for name, value in after.state_dict().items())


def test_a_scored_start_survives_a_cut(tmp_path: Path) -> None:
    trained, _ = train_pictures(tmp_path / "first")
    harmful = {"optimiser": {"name": "sgd", "learning_rate": 10.0}, "epochs": 2}
    models = [copy.deepcopy(trained) for _ in range(3)]
    whole, state = train_pictures(tmp_path / "whole", harmful, model=models[0], score_first=True)

    def step(epoch: int, step: int, *_: Any) -> None:
        if (epoch, step) == (1, 4):
            raise KeyboardInterrupt

    options: dict[str, Any] = {"score_first": True, "save_every_s": 0.0}
    with pytest.raises(KeyboardInterrupt):
        train_pictures(tmp_path / "cut", harmful, model=models[1], progress=Progress(step=step), **options)
    resumed, after = train_pictures(tmp_path / "cut", harmful, model=models[2], **options)
    assert after.best_epoch == state.best_epoch == 0
    assert equal_weights(whole, resumed)


def test_near_match_inside_a_list_of_sizes() -> None:
    from fusionclf.config import RunConfig, build_settings
    from fusionclf.models import find_variant

    schema = RunConfig[find_variant("image").params]
    values = {
        "variant": "image",
        "data": "x",
        "train": {"progressive": [{"epochs": 1, "heigth": 32, "width": 32}]},
    }
    with pytest.raises(SettingsError, match=r"heigth.*did you mean 'height'"):
        build_settings(schema, values)
