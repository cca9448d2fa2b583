"""A model whose weights come from a file is built without first ones, and no larger than the file."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode


class _WithoutRandomValues(TorchFunctionMode):
    """Within it, tensors are not filled with random values, which takes longer than to read a model."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        if getattr(func, "__module__", "") == nn.init.__name__:
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def without_first_weights(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[None]:
    """Within the block parameters get no first values, and a model far larger than stored tensors cannot be built.

    A parameter is refused before it is initialised, when its memory is reserved but not yet filled.

    Args:
        shapes: name → shape of each stored tensor.

    Raises:
        ValueError: more or larger parameters were made than are stored.
    """
    # Parameters that are replaced while a model is built, such as a backbone's classifier, count, too.
    tensors, numbers = 10 * len(shapes) + 1000, 2 * sum(map(math.prod, shapes.values())) + 2**26

    def refuse_large(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors, numbers
        tensors, numbers = tensors - 1, numbers - (0 if parameter is None else parameter.numel())
        if min(tensors, numbers) < 0:
            raise ValueError("the settings ask for a far larger model than is stored")

    hook = register_module_parameter_registration_hook(refuse_large)
    try:
        with _WithoutRandomValues():
            yield
    finally:
        hook.remove()
