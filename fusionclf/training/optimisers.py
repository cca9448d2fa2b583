"""Optimisers and learning-rate schedules by name."""

import math
from collections.abc import Callable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from fusionclf.models import pretrained_encoders


def build_optimiser(
    model: nn.Module,
    name: str,
    learning_rate: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    encoder_factor: float = 1.0,
    layer_decay: float = 1.0,
) -> Optimizer:
    """An optimiser over the trained parameters.

    Biases, normalisation weights and embedding tables get no weight decay.

    Args:
        model: its trained parameters are optimised; its pretrained encoders may learn slower.
        name: "sgd", "adam" or "adamw".
        learning_rate: of heads and fusers.
        momentum: of SGD.
        weight_decay: decoupled for AdamW, an L2 term for the others.
        encoder_factor: of an encoder's learning rate.
        layer_decay: further factor from each layer of an encoder to the one below it.

    Source: layer-wise learning rates, Howard and Ruder, ULMFiT (2018).
    """
    factors = _encoder_factors(model, encoder_factor, layer_decay)
    tables = {
        id(p)
        for m in model.modules()
        if isinstance(m, nn.EmbeddingBag | nn.Embedding)
        for p in m.parameters()
    }
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and id(parameter) not in tables
            groups.setdefault((factors.get(id(parameter), 1.0), decays), []).append(parameter)
    options = [
        {
            "params": parameters,
            "lr": learning_rate * factor,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (factor, decays), parameters in groups.items()
    ]
    if name == "sgd":
        return SGD(options, lr=learning_rate, momentum=momentum, fused=True)
    return (Adam if name == "adam" else AdamW)(options, lr=learning_rate, fused=True)


def _encoder_factors(model: nn.Module, encoder_factor: float, layer_decay: float) -> dict[int, float]:
    """By a parameter's identity, the factor of its learning rate; heads and fusers are not in it."""
    factors: dict[int, float] = {}
    for encoder in pretrained_encoders(model):
        for parameter in encoder.parameters():  # what is in no layer stands above them all
            factors[id(parameter)] = encoder_factor
        for below, layer in enumerate(reversed(encoder.layers)):
            for parameter in layer.parameters():
                factors[id(parameter)] = encoder_factor * layer_decay**below
    return factors


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
