"""TrivialAugment and RandAugment, with a seed per picture."""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# Uncovered pixels become ImageNet's mean colour: zero after normalisation, as for unreadable pictures.
FILL = (124.0, 116.0, 104.0)
AUGMENTATIONS = ("trivial", "rand")


@cache
def augmentation(name: str) -> torch.nn.Module:
    """The operation on one (3, H, W) uint8 picture."""
    # Imported here, as torchvision takes seconds to import and most commands do not need it.
    from torchvision.transforms import InterpolationMode, v2

    shared: Any = {"interpolation": InterpolationMode.BILINEAR, "fill": list(FILL)}
    if name == "trivial":
        return v2.TrivialAugmentWide(**shared)
    return v2.RandAugment(num_ops=2, magnitude=9, **shared)


def augmented(pictures: Tensor, name: str, seeds: np.ndarray) -> Tensor:
    """Pictures, each augmented at random by its seed.

    Args:
        pictures: (b, 3, H, W) float32 in [0, 1].
        name: one of `AUGMENTATIONS`.
        seeds: (b,) one whole number per picture.

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
    """Within this block, torchvision draws from `generator` on this thread, not from torch's global one.

    Forking the global generator is not possible, as another thread may draw dropout from it.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.rand, torch.randint):
            kwargs = {**kwargs, "generator": self.generator}
        return func(*args, **kwargs)
