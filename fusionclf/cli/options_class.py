"""A command whose options are the fields of a dataclass."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from functools import wraps
from inspect import Parameter, Signature
from typing import Any, TypeVar, get_type_hints

Options = TypeVar("Options")
Result = TypeVar("Result")


def takes(options: type[Options]) -> Callable[[Callable[[Options], Result]], Callable[..., Result]]:
    """A decorator: the command gets one instance of `options`, whose fields are its options in help's order.

    Args:
        options: a dataclass whose fields are Annotated[type, typer.Option(…) or typer.Argument(…)].

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class SumOptions:
    ...     first: int
    ...     second: int = 2
    >>> @takes(SumOptions)
    ... def add(options: SumOptions) -> int:
    ...     return options.first + options.second
    >>> add(first=1)
    3
    """
    hints = get_type_hints(options, include_extras=True)
    parameters = [_parameter(field, hints[field.name]) for field in fields(options)]  # pyright: ignore[reportArgumentType]

    def decorate(command: Callable[[Options], Result]) -> Callable[..., Result]:
        @wraps(command)
        def run(**values: Any) -> Result:
            return command(options(**values))

        run.__signature__ = Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _parameter(field: Field[Any], annotation: Any) -> Parameter:
    default = Parameter.empty if field.default is MISSING else field.default
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
