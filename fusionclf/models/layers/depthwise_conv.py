"""Depthwise convolutions whose bfloat16 backward pass is fast on CPUs.

PyTorch's CPU library has no fast bfloat16 kernels for two gradients of a depthwise convolution: that of the
input at stride 2, and that of a 5×5 kernel. Both fall back to loops that take longer than all the rest of
a step together (`benchmarks/depthwise.py` prints the ratio). Here the first becomes a forward
convolution of the spread-out output gradient, and the second is computed in float32.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _DepthwiseConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        grad_x = (
            _input_gradient(grad, weight, x.shape, ctx.stride, ctx.padding)
            if ctx.needs_input_grad[0]
            else None
        )
        grad_weight = (
            _weight_gradient(grad, x, weight, ctx.stride, ctx.padding) if ctx.needs_input_grad[1] else None
        )
        return grad_x, grad_weight, None, None


def _input_gradient(grad: Tensor, weight: Tensor, shape: torch.Size, stride: int, padding: int) -> Tensor:
    """The transposed convolution, written as a forward one: spread by the stride, convolve with the flip."""
    height, width = shape[2:]
    kernel = weight.shape[2]
    if stride > 1:
        rows, columns = height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1
        spread = grad.new_zeros(*shape[:2], rows, columns).contiguous(memory_format=torch.channels_last)
        spread[:, :, ::stride, ::stride] = grad
        grad = spread
    return F.conv2d(grad, weight.flip(2, 3), padding=kernel - 1 - padding, groups=shape[1])  # (B, C, H, W)


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    dtype = torch.float32 if weight.shape[2] > 3 else x.dtype
    _, grad_weight, _ = torch.ops.aten.convolution_backward(
        grad.to(dtype), x.to(dtype), weight.to(dtype), None,
        [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], x.shape[1], [False, True, False],
    )  # fmt: skip
    return grad_weight.to(weight.dtype)


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise nn.Conv2d (one filter a channel) with the fast bfloat16 backward pass on CPUs.

    `same` pads as TensorFlow does: so that the output has ceil(size / stride) rows and columns.
    """

    same: bool = False

    def forward(self, input: Tensor) -> Tensor:
        stride, padding = int(self.stride[0]), int(self.padding[0]) if not self.same else 0
        if self.same:
            input = _pad_same(input, self.kernel_size[0], stride)
        weight, bias = self.weight, self.bias  # a bias comes with a batch normalisation that was folded in
        if input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            input, weight, bias = input.to(dtype), weight.to(dtype), bias if bias is None else bias.to(dtype)
        if input.dtype == torch.bfloat16 and input.device.type == "cpu" and torch.is_grad_enabled():
            found: Any = _DepthwiseConv.apply(input, weight, stride, padding)
            return found if bias is None else found + bias[:, None, None]
        return F.conv2d(input, weight, bias, stride=stride, padding=padding, groups=self.groups)


def _pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    rows, columns = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:])
    return F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])


def speed_up_depthwise(module: nn.Module) -> int:
    """Replace every depthwise convolution in `module`, in place; names and weights stay. Returns how many."""
    replaced = 0
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and _is_plain_depthwise(child):
                setattr(parent, name, _converted(child))
                replaced += 1
    return replaced


def _is_plain_depthwise(conv: nn.Conv2d) -> bool:
    kind = type(conv).__name__
    return (
        kind in ("Conv2d", "Conv2dSame")  # timm's Conv2dSame pads as TensorFlow does
        and conv.groups == conv.in_channels == conv.out_channels > 1
        and conv.bias is None
        and conv.dilation == (1, 1)
        and conv.padding_mode == "zeros"
        and conv.stride[0] == conv.stride[1]
        and conv.kernel_size[0] == conv.kernel_size[1]
        and not isinstance(conv.padding, str)
        and conv.padding[0] == conv.padding[1]
    )


def _converted(conv: nn.Conv2d) -> DepthwiseConv2d:
    new = DepthwiseConv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0],
        padding=conv.padding[0], groups=conv.groups, bias=False,
    )  # fmt: skip
    new.weight = conv.weight
    new.same = type(conv).__name__ == "Conv2dSame"
    return new
