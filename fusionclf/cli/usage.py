"""Errors in the words of a command, in the form of the other errors."""

from typing import Any

import typer

from fusionclf.errors import UsageError, did_you_mean


def is_help(error: typer.TyperException) -> bool:
    """Whether Typer shows help in place of an error, as for `fusionclf` alone."""
    return _kind(error) == "NoArgsIsHelpError"


def usage_error(error: typer.TyperException) -> UsageError:
    """Typer's error with the thing, the value and the remedy in its message."""
    from pydantic import ValidationError  # Typer has it by now; help does without

    context: Any = getattr(error, "ctx", None)
    see = f"; see {context.command_path} --help" if context else ""
    if _kind(error) == "NoSuchOption" and context:
        return UsageError(_unknown_option(error, context))
    if _kind(error) == "MissingParameter" and context:
        return UsageError(f"missing {_missing(context)}{see}")
    if isinstance(error, typer.BadParameter) and isinstance(error.__cause__, ValidationError):
        return UsageError(_bad_value(error.param, error.__cause__.errors()[0], see))
    message = error.format_message().rstrip(".")
    return UsageError(f"{message[:1].lower()}{message[1:]}{see}")


def _kind(error: typer.TyperException) -> str:
    """Name of the error's class, because Typer exports none of these classes."""
    return type(error).__name__


def _unknown_option(error: Any, context: Any) -> str:
    params = context.command.get_params(context)
    allowed = [name for param in params if param.param_type_name == "option" for name in param.opts]
    return f"unknown option {error.option_name!r}: {did_you_mean(error.option_name, allowed)}"


def _missing(context: Any) -> str:
    """All missing arguments and options of a command."""
    missing = [p for p in context.command.params if p.required and p.name not in context.params]
    return ", ".join(f"{_name(param)} ({(param.help or '').rstrip('.')})" for param in missing)


def _bad_value(param: Any, fault: Any, see: str) -> str:
    value, choices = fault["input"], param.type_descriptor.choices
    why = (
        did_you_mean(str(value), map(str, choices))
        if choices
        else f"{fault['msg'].removeprefix('Value error, ')}{see}"
    )
    return f"{param.param_type_name} {_name(param)}={value!r}: {why}"


def _name(param: Any) -> str:
    return param.opts[0] if param.param_type_name == "option" else param.metavar or param.name
