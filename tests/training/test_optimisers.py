"""Learning rates over a run, by hand."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fusionclf.models import base_model
from fusionclf.models.text_backbones import build_transformer
from fusionclf.training.optimisers import build_optimiser, build_schedule
from tests.small import tiny_model
from tests.training.small_stage import picture_model


def rates(name: str, steps: int = 40, per_epoch: int = 10, **options: float) -> list[float]:
    optimiser = build_optimiser(nn.Linear(2, 2), "sgd", 1.0)
    schedule = build_schedule(optimiser, name, steps, per_epoch, **options)  # pyright: ignore[reportArgumentType]
    found = []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def test_step_drops_by_gamma_every_step_epochs() -> None:
    found = rates("step", step_epochs=2, gamma=0.25)
    assert found[:20] == [1.0] * 20 and found[20:] == [0.25] * 20


def test_one_cycle_rises_to_its_peak_and_ends_near_zero() -> None:
    found = rates("one_cycle")
    assert (
        found[0] == pytest.approx(1 / 25)
        and max(found) == pytest.approx(1.0)
        and found.index(max(found)) == 12
    )
    assert found[-1] < 0.01


def test_cosine_with_warm_up() -> None:
    found = rates("cosine", warmup_epochs=1)
    assert found[:10] == sorted(found[:10]) and found[0] < 0.1
    assert found[10] == pytest.approx(1.0) and found[25] == pytest.approx(0.5) and found[-1] < 0.01


def test_encoders_learn_slower_and_biases_do_not_decay() -> None:
    _, _, model = tiny_model("fusion")
    model = base_model(model)
    optimiser = build_optimiser(model, "adamw", 0.01, weight_decay=0.1, encoder_factor=0.1)
    names = {id(p): n for n, p in model.named_parameters()}
    seen = set()
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.add(name)
            assert group["lr"] == pytest.approx(0.001 if name.startswith("image.network") else 0.01), name
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 and "table" not in name else 0.0), name
    assert seen == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert isinstance(optimiser, torch.optim.AdamW)


def test_each_layer_below_learns_slower_by_layer_decay() -> None:
    model = picture_model()
    optimiser = build_optimiser(model, "adam", 1.0, encoder_factor=0.5, layer_decay=0.1)
    assert isinstance(optimiser, torch.optim.Adam) and not isinstance(optimiser, torch.optim.AdamW)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert found["heads.label.weight"] == 1.0
    assert found["image.network.1.0.weight"] == pytest.approx(0.5)  # the upper layer
    assert found["image.network.0.0.weight"] == pytest.approx(0.05)


def test_a_transformers_layers_are_its_embeddings_and_blocks(tiny_bert: Path) -> None:
    encoder = build_transformer(str(tiny_bert))
    optimiser = build_optimiser(encoder, "adamw", 1.0, layer_decay=0.5)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    found = {
        name: rates[id(parameter)] for name, parameter in encoder.named_parameters() if id(parameter) in rates
    }
    # Titles are pooled by their mean, so the pooler gets no gradient; DDP would wait for one.
    assert {name for name, _ in encoder.named_parameters() if name not in found} == {
        "network.pooler.dense.weight",
        "network.pooler.dense.bias",
    }
    assert {rate for name, rate in found.items() if ".embeddings." in name} == {0.25}
    assert {rate for name, rate in found.items() if ".layer.0." in name} == {0.5}
    assert {rate for name, rate in found.items() if ".layer.1." in name} == {1.0}
