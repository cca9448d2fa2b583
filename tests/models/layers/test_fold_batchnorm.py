"""Batch normalisations folded into convolutions leave what a network says as it was."""

import pytest
import torch
from torch import nn

from fusionclf.models.backbones import build_image_encoder
from fusionclf.models.encoders import fold_encoder, folded_for_inference
from fusionclf.models.layers.fold_batchnorm import fold_batch_norms
from fusionclf.models.text_encoders import _of_like_length

PICTURES = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))


def lived_in(network: nn.Module) -> nn.Module:
    """With statistics and factors as after a training."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
    return network.eval()


@pytest.mark.parametrize(
    ("library", "backbone"),
    [("torchvision", "resnet18"), ("torchvision", "mobilenet_v2"), ("timm", "tf_efficientnet_lite0")],
)
def test_a_folded_network_says_the_same_with_fewer_layers(library: str, backbone: str) -> None:
    network = lived_in(build_image_encoder(library, backbone, "none").network)
    folded = fold_batch_norms(network, PICTURES)
    with torch.inference_mode():
        assert torch.allclose(folded(PICTURES), network(PICTURES), rtol=1e-3, atol=1e-4)
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


def test_network_with_norms_before_convolutions_is_not_folded() -> None:
    class NormsFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.conv(self.norm(pictures))

    network = lived_in(NormsFirst())
    assert fold_batch_norms(network, PICTURES) is network


def test_folded_depthwise_convolution_keeps_bias_with_gradients() -> None:
    network = lived_in(build_image_encoder("timm", "tf_efficientnet_lite0", "none").network)
    folded = fold_batch_norms(network, PICTURES)
    with torch.autocast("cpu", torch.bfloat16):
        found = folded(PICTURES.requires_grad_())
        with torch.inference_mode():
            expected = folded(PICTURES)
    assert torch.allclose(found.float(), expected.float(), rtol=0.05, atol=0.05)


def test_an_encoder_is_as_before_after_it_was_folded_for_a_while() -> None:
    encoder = build_image_encoder("torchvision", "resnet18", "none").eval()
    network, state = encoder.network, {name: t.clone() for name, t in encoder.state_dict().items()}
    with pytest.raises(KeyError), folded_for_inference(nn.Sequential(encoder), (64, 48)):
        assert encoder.is_folded and encoder.network is not network
        raise KeyError
    assert encoder.network is network and not encoder.is_folded
    assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())
    fold_encoder(encoder, (64, 48))
    folded = encoder.network
    with folded_for_inference(encoder, (64, 48)):
        assert encoder.network is folded
    assert encoder.network is folded and encoder.is_folded


def test_titles_of_like_length_are_read_together() -> None:
    lengths = torch.randint(1, 40, (500,), generator=torch.Generator().manual_seed(0)).numpy()
    batches = list(_of_like_length(lengths, 128))
    assert sorted(row for batch in batches for row in batch) == list(range(500))
    assert all(len(batch) * lengths[batch].max() <= 128 for batch in batches)
    assert len(batches) < 1.3 * lengths.sum() / 128
    assert [list(batch) for batch in _of_like_length(lengths[:1], 1)] == [[0]]
