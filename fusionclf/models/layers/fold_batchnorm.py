"""Batch normalisation as part of the convolution before it: the same network in fewer passes over memory.

Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference
(2018), section 3.2.
"""

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

LEAST_AGREEMENT = 1e-4  # largest difference of outputs, as a share of the largest output


@torch.no_grad()
def fold_batch_norms(network: nn.Module, example: Tensor) -> nn.Module:
    """A copy of a network for inference whose batch normalisations are folded into convolutions where that is possible.

    A normalisation is folded where its parent registers it right after a convolution, which is how networks are
    written. Where that is not the order in which data passes, outputs differ, and the network itself is returned.

    Args:
        network: in evaluation mode.
        example: (B, 3, H, W) pictures to compare the outputs on.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network
    folded = copy.deepcopy(network)
    for parent in folded.modules():
        children = list(parent.named_children())
        for (_, conv), (name, norm) in pairwise(children):
            if _is_foldable(conv, norm):
                assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
                _fold(conv, norm)
                # timm's normalisations bring their activation along.
                setattr(parent, name, getattr(norm, "act", nn.Identity()))
    expected, found = network(example), folded(example)
    agrees = (expected - found).abs().max() <= LEAST_AGREEMENT * expected.abs().max()
    return folded if agrees else network


def _is_foldable(conv: nn.Module, norm: nn.Module) -> bool:
    return (
        isinstance(conv, nn.Conv2d)
        and isinstance(norm, nn.BatchNorm2d)
        and norm.track_running_stats
        and norm.num_features == conv.out_channels
    )


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None and norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    conv.weight, conv.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
