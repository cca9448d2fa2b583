"""The contract of every registered variant: a new one is tested by being registered and named in TINY."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from fusionclf.errors import RunError, SettingsError
from fusionclf.models import Model, StackedClassifier, base_model, find_variant, variant_names
from fusionclf.models.classifier import HEADS
from fusionclf.models.fusers import MissingModality
from fusionclf.models.storage import load_model, save_model
from tests.small import CLASSES, TINY, one_batch, tiny_model

VARIANTS = variant_names()


def test_every_variant_is_under_contract() -> None:
    assert set(VARIANTS) == set(TINY)


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_have_a_row_a_product_and_a_column_a_class(name: str) -> None:
    _, _, model = tiny_model(name)
    logits = model(one_batch(model))
    assert set(logits) == set(base_model(model).task_weights)
    for task, values in logits.items():
        assert values.shape == (16, CLASSES[task])
        assert torch.isfinite(values).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_every_trainable_parameter_gets_a_gradient(name: str) -> None:
    _, _, model = tiny_model(name)
    model, batch = base_model(model), one_batch(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # timm starts the last one of a block at 0, which stops gradients
    sum(values.float().square().mean() for values in model(batch).values()).backward()  # pyright: ignore
    without = [
        n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    assert not without


@pytest.mark.parametrize("name", VARIANTS)
def test_save_and_load_give_equal_predictions(name: str, tmp_path: Path) -> None:
    variant, params, model = tiny_model(name)
    batch = one_batch(model)
    model(batch)  # moves the batch statistics away from their start
    model.eval()
    names = {
        task: tuple(f"{task} {n}" for n in range(CLASSES[task])) for task in base_model(model).task_weights
    }
    save_model(tmp_path, "top20", model, names, {"label": 1.5})
    loaded = load_model(tmp_path, "top20", variant, params)
    with torch.no_grad():
        assert torch.equal(loaded(batch)["label"], model(batch)["label"])


def test_saved_model_that_does_not_fit_names_the_difference(tmp_path: Path) -> None:
    variant, params, model = tiny_model("text")
    names = {
        task: tuple(f"{task} {n}" for n in range(CLASSES[task])) for task in base_model(model).task_weights
    }
    save_model(tmp_path, "top20", model, names, {"label": 1.0})
    file = tmp_path / "top20.safetensors"
    weights = load_file(file)
    left_out = weights.pop("heads.label.bias")
    save_file(weights, file)
    with pytest.raises(RunError, match=r"another version of fusionclf \(Missing key.*heads\.label\.bias"):
        load_model(tmp_path, "top20", variant, params)
    save_file(weights | {"heads.label.bias": left_out[1:].clone()}, file)
    with pytest.raises(RunError, match=r"\(size mismatch for heads\.label\.bias") as refused:
        load_model(tmp_path, "top20", variant, params)
    assert "\n" not in str(refused.value)
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(RunError, match=r"top20\.safetensors: cannot be used"):
        load_model(tmp_path, "top20", variant, params)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_overfits_sixteen_rows(name: str) -> None:
    _, _, model = tiny_model(name, dropout=0.0)
    model, batch = base_model(model), one_batch(model)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    loss = torch.tensor(torch.inf)
    for _ in range(60):
        loss = F.cross_entropy(model(batch)["label"], batch.targets["label"])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if loss.item() < 0.05:
            break
    assert loss.item() < 0.1
    assert (model(batch)["label"].argmax(1) == batch.targets["label"]).all()


def fusion_by(fuser: str) -> Model:
    image = {**TINY["fusion"]["image"], "regions": 2 if fuser == "attention" else 1}
    return tiny_model("fusion", fuser=fuser, image=image)[2]


@pytest.mark.parametrize("fuser", ["concat", "gated", "attention"])
def test_fusion_depends_on_picture_and_on_title(fuser: str) -> None:
    model = fusion_by(fuser)
    model.eval()
    batch = one_batch(model)
    assert batch.pictures is not None and batch.titles is not None
    with torch.no_grad():
        before = model(batch)["label"]
        other_picture = type(batch)(batch.rows, batch.pictures.flip(0), batch.titles, batch.targets)
        other_title = {**batch.titles, "ids": batch.titles["ids"].flip(0)}
        other_title = type(batch)(batch.rows, batch.pictures, other_title, batch.targets)
        assert not torch.allclose(model(other_picture)["label"], before)
        assert not torch.allclose(model(other_title)["label"], before)


@pytest.mark.parametrize("fuser", ["concat", "gated", "attention"])
def test_what_is_missing_does_not_count(fuser: str) -> None:
    model = fusion_by(fuser).eval()
    batch = one_batch(model)
    assert batch.pictures is not None
    there = torch.arange(16) >= 8  # the first half has no picture
    with torch.no_grad():
        before = model(replace(batch, has_picture=there))["label"]
        after = model(replace(batch, has_picture=there, pictures=batch.pictures.flip(0)))["label"]
    assert torch.equal(before[:8], after[:8]) and not torch.allclose(before[8:], after[8:])


def test_training_hides_one_side_of_some_products() -> None:
    missing = MissingModality(4, 3, share=0.4)
    image, text = missing(torch.ones(2000, 4), torch.ones(2000, 3), None, None)
    no_picture, no_title = (image == 0).all(1), (text == 0).all(1)
    assert not (no_picture & no_title).any()
    assert abs(no_picture.float().mean() - 0.2) < 0.04 and abs(no_title.float().mean() - 0.2) < 0.04
    assert all((side == 1).all() for side in missing.eval()(torch.ones(9, 4), torch.ones(9, 3), None, None))


def test_attention_needs_regions_and_the_others_none() -> None:
    with pytest.raises(SettingsError, match=r"regions=1, model\.fuser=attention"):
        tiny_model("fusion", fuser="attention")
    with pytest.raises(SettingsError, match=r"regions=2, model\.fuser=gated"):
        tiny_model("fusion", fuser="gated", image={**TINY["fusion"]["image"], "regions": 2})


def test_late_fusion_needs_the_linear_text_model() -> None:
    _, _, model = tiny_model("fusion", fuser="late")
    assert isinstance(model, StackedClassifier) and model.base.text is None
    assert model(one_batch(model))["label"].shape == (16, 4)
    with pytest.raises(SettingsError, match=r"set model\.wide=true"):
        tiny_model("fusion", fuser="late", wide=False)


def test_stage_two_takes_over_all_but_the_heads() -> None:
    _, _, first = tiny_model("fusion")
    variant = find_variant("fusion")
    torch.manual_seed(1)
    second = variant.model(variant.params.model_validate(TINY["fusion"]), {"label": 7})
    ours, theirs = base_model(first), base_model(second)
    theirs.load_backbone(ours.backbone_state())
    before, after = ours.state_dict(), theirs.state_dict()
    taken = {
        name
        for name, value in after.items()
        if name in before and value.shape == before[name].shape and torch.equal(value, before[name])
    }
    assert {name for name in after if not name.startswith(HEADS)} <= taken
    assert "heads.label.weight" not in taken


def test_unknown_variant_names_the_near_match() -> None:
    with pytest.raises(SettingsError, match=r"'fusoin'.*did you mean 'fusion'"):
        find_variant("fusoin")


@pytest.mark.parametrize(
    "auxiliary", [{}, {"masterCategory": 0.5}, {"masterCategory": 1.0, "subCategory": 0.1}]
)
def test_multitask_takes_any_number_of_auxiliary_columns(auxiliary: dict[str, float]) -> None:
    _, _, model = tiny_model("multitask", auxiliary=auxiliary)
    assert set(model(one_batch(model))) == {"label", *auxiliary}
