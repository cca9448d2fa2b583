"""The fast depthwise backward pass gives the gradients that PyTorch's own gives."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fusionclf.models.layers.depthwise_conv import DepthwiseConv2d, _DepthwiseConv, speed_up_depthwise


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(17, 13), (16, 12)])
def test_gradients_equal_those_of_conv2d(kernel: int, stride: int, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 8, *size, generator=generator, requires_grad=True)
    weight = torch.randn(8, 1, kernel, kernel, generator=generator, requires_grad=True)
    expected = F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=8)
    found = _DepthwiseConv.apply(x, weight, stride, kernel // 2)
    assert isinstance(found, torch.Tensor)
    assert torch.allclose(found, expected, atol=1e-5)
    for ours, theirs in zip(
        torch.autograd.grad(found.sin().sum(), (x, weight)),
        torch.autograd.grad(expected.sin().sum(), (x, weight)),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_only_plain_depthwise_layers_are_replaced() -> None:
    network = nn.Sequential(
        nn.Conv2d(8, 8, 3, groups=8, padding=1, bias=False),
        nn.Conv2d(8, 8, 3, groups=4, padding=1, bias=False),
        nn.Conv2d(8, 8, 3, groups=8, padding=1, bias=True),
        nn.Conv2d(8, 16, 1, bias=False),
    )
    names = list(network.state_dict())
    x = torch.randn(2, 8, 9, 9)
    before = network(x)
    assert speed_up_depthwise(network) == 1
    assert isinstance(network[0], DepthwiseConv2d)
    assert list(network.state_dict()) == names
    assert torch.allclose(network(x), before, atol=1e-6)
