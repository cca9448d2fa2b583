"""Optimisers and learning-rate schedules by name."""

import math
from collections.abc import Callable

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


def build_optimiser(
    model: nn.Module,
    name: str,
    learning_rate: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    encoder_factor: float = 1.0,
) -> Optimizer:
    """An optimiser over the trained parameters; pretrained encoders' learning rate is `encoder_factor` as large.

    Biases, normalisation weights and embedding tables get no weight decay.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    tables = {
        id(p)
        for m in model.modules()
        if isinstance(m, nn.EmbeddingBag | nn.Embedding)
        for p in m.parameters()
    }
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            encoder = ".network." in f".{parameter_name}"
            decays = parameter.ndim > 1 and id(parameter) not in tables
            groups.setdefault((encoder, decays), []).append(parameter)
    options = [
        {
            "params": parameters,
            "lr": learning_rate * (encoder_factor if encoder else 1.0),
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (encoder, decays), parameters in groups.items()
    ]
    if name == "sgd":
        return SGD(options, lr=learning_rate, momentum=momentum, fused=True)
    return AdamW(options, lr=learning_rate, fused=True)


def build_schedule(
    optimiser: Optimizer,
    name: str,
    steps: int,
    steps_per_epoch: int,
    step_epochs: float = 4,
    gamma: float = 0.25,
    warmup_epochs: float = 0,
) -> LambdaLR:
    """A factor of the learning rate for every step of the run.

    Source of one_cycle: Smith and Topin, Super-Convergence (2018), with cosine annealing both ways.
    """
    warmup = round(warmup_epochs * steps_per_epoch)
    shapes: dict[str, Callable[[int], float]] = {
        "constant": lambda step: 1.0,
        "step": lambda step: gamma ** math.floor((step / steps_per_epoch) / step_epochs),
        "cosine": lambda step: _cosine(1.0, 0.0, (step - warmup) / max(steps - warmup, 1)),
        "one_cycle": lambda step: _one_cycle(step, steps, warmup or round(0.3 * steps)),
    }
    shape = shapes[name]
    if name == "one_cycle":
        return LambdaLR(optimiser, shape)
    return LambdaLR(optimiser, lambda step: (step + 1) / (warmup + 1) if step < warmup else shape(step))


def _one_cycle(step: int, steps: int, rise: int) -> float:
    if step < rise:
        return _cosine(1 / 25, 1.0, step / rise)
    return _cosine(1.0, 1e-4, (step - rise) / max(steps - rise, 1))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
