"""An exponential moving average of a model's weights."""

import copy

import torch

from fusionclf.models import ProductClassifier, pretrained_encoders


class WeightAverage:
    """A second model whose weights follow the first one's slowly; it is what is scored and kept.

    The decay grows to its value over the first steps, so that the random start is soon forgotten. Batch statistics
    are averaged too; what is not trained, such as a frozen encoder, is left alone. torch's AveragedModel is not used:
    on a GPU it waits for the device at every step.

    Args:
        model: what to follow; it must keep its tensors: a model that is moved is no longer followed.
        decay: share of the average that each step keeps.

    Source: Polyak and Juditsky (1992); the growing decay is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, model: ProductClassifier, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False)
        still = {
            id(t)
            for e in pretrained_encoders(model)
            if e.frozen
            for t in e.state_dict(keep_vars=True).values()
        }
        ours, theirs = self.model.state_dict(), model.state_dict(keep_vars=True)
        followed = [name for name, t in theirs.items() if id(t) not in still]
        floats = [name for name in followed if theirs[name].is_floating_point()]
        self._floats = [ours[name] for name in floats], [theirs[name].detach() for name in floats]
        self._others = [(ours[name], theirs[name].detach()) for name in followed if name not in floats]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After optimiser step `step`, counted from 0 over the whole stage."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(*self._floats, share)  # pyright: ignore[reportPrivateImportUsage]
        for average, now in self._others:
            average.copy_(now)
