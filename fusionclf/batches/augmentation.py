"""TrivialAugment and RandAugment, each picture by its own seed."""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# What an operation uncovers becomes ImageNet's mean colour: zero after normalisation, as unreadable pictures are.
FILL = (124.0, 116.0, 104.0)
AUGMENTATIONS = ("trivial", "rand")


@cache
def augmentation(name: str) -> torch.nn.Module:
    """The operation, of one (3, H, W) uint8 picture."""
    # Imported here, as torchvision takes seconds, and most commands augment nothing.
    from torchvision.transforms import InterpolationMode, v2

    shared: Any = {"interpolation": InterpolationMode.BILINEAR, "fill": list(FILL)}
    if name == "trivial":
        return v2.TrivialAugmentWide(**shared)
    return v2.RandAugment(num_ops=2, magnitude=9, **shared)


def augmented(pictures: Tensor, name: str, seeds: np.ndarray) -> Tensor:
    """Each picture augmented as its seed says.

    Args:
        pictures: (b, 3, H, W) float32 in [0, 1].
        name: one of `AUGMENTATIONS`.
        seeds: (b,) one whole number a picture.

    Returns:
        (b, 3, H, W) float32 in steps of 1/255.

    Source: Müller and Hutter, TrivialAugment (2021); Cubuk et al., RandAugment (2020); torchvision's transforms.v2
    with the bilinear interpolation of its reference training.
    """
    augment = augmentation(name)
    levels = (pictures * 255).round_().to(torch.uint8)
    generator = torch.Generator()
    with _DrawingFrom(generator):
        for place, seed in enumerate(seeds.tolist()):
            generator.manual_seed(seed)
            levels[place] = augment(levels[place])
    return levels.float().div_(255)


class _DrawingFrom(TorchFunctionMode):
    """torchvision draws from torch's global generator; within this block, on this thread, from another one.

    A forked global generator would do too, but not while another thread draws dropout from it.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.rand, torch.randint):
            kwargs = {**kwargs, "generator": self.generator}
        return func(*args, **kwargs)
