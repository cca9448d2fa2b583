"""An exponential moving average of a model's weights."""

import copy

import torch
from torch import nn


class WeightAverage:
    """A second model whose weights follow the first one's slowly; it is what is scored and kept.

    The decay grows to its value over the first steps, so that the random start is soon forgotten. Batch statistics
    are averaged too. torch's AveragedModel is not used: on a GPU it waits for the device at every step.

    Args:
        model: what to follow.
        decay: share of the average that each step keeps.

    Source: Polyak and Juditsky (1992); the growing decay is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False)
        self._pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After optimiser step `step`, counted from 0 over the whole stage."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        floats = [(average, now) for average, now in self._pairs if average.is_floating_point()]
        averages, current = ([pair[n] for pair in floats] for n in (0, 1))
        torch._foreach_lerp_(averages, current, share)  # pyright: ignore[reportPrivateImportUsage]
        for average, now in self._pairs:
            if not average.is_floating_point():
                average.copy_(now)
