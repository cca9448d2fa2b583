"""Settings from YAML files, key.path=value texts and Python values.

An unknown key or a bad value is an error that names the path, the value and what is allowed.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from fusionclf.config.yaml_text import DEEPEST, NULLS, as_text, is_unicode, parse_yaml, read_yaml
from fusionclf.errors import SettingsError, did_you_mean

SettingsType = TypeVar("SettingsType", bound=BaseModel)
Overrides = Sequence[str | Mapping[str, Any]]  # key.path=value texts, or nested settings as Python values


def load_settings(
    schema: type[SettingsType],
    file: Path | None,
    overrides: Overrides = (),
    defaults: Mapping[str, Any] | None = None,
    **fixed: Any,
) -> SettingsType:
    """Settings from a YAML file with overrides, validated.

    Args:
        schema: the settings class to validate with.
        defaults: sections that file and overrides are laid over.
        file: YAML file, or None for the defaults.
        overrides: texts such as `train.epochs=3`, or mappings such as {"train": {"epochs": 3}}.
        fixed: top-level values that neither file nor overrides may change (variant, data).

    Raises:
        SettingsError: unknown key, bad value or unreadable file.
    """
    given = read_settings(file) if file else {}
    values = override(schema, merge(defaults or {}, given), overrides)
    for key in fixed:
        if key in values and values[key] != fixed[key]:
            raise SettingsError(
                f"{key}={values[key]!r}: set by the command or function, not by a setting; remove it"
            )
    return build_settings(schema, {**values, **fixed})


def read_settings(file: Path) -> dict[str, Any]:
    """The content of a settings file, not validated yet; scalars are the text in the file.

    Raises:
        SettingsError: the file cannot be read, is not YAML, or is not a mapping.
    """
    return read_yaml(file, as_text)


def override(schema: type[BaseModel], values: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    """`values` with `key.path=value` texts and nested settings merged into them.

    Raises:
        SettingsError: a text is malformed.
    """
    merged = dict(values)
    for each in overrides:
        merged = merge(merged, parse_override(schema, each) if isinstance(each, str) else each)
    return merged


def nested_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as Python's keyword arguments give them, as nested mappings; a dot in a name is a step of its path.

    Raises:
        SettingsError: a name is malformed, or a setting is given twice.

    >>> nested_settings({"seed": 1, "train": {"epochs": 3}, "train.optimiser.name": "adamw"})
    {'seed': 1, 'train': {'epochs': 3, 'optimiser': {'name': 'adamw'}}}
    """
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        keys = name.split(".")
        if not all(keys) or len(keys) > DEEPEST:
            raise SettingsError(f"{name!r}: a setting's name is key.path, such as train.epochs")
        value = _python_value(value)
        for key in reversed(keys):
            value = {key: value}
        if twice := _first_in_both(nested, value):
            raise SettingsError(f"setting {twice} is given twice; keep one")
        nested = merge(nested, value)
    return nested


def _python_value(value: Any) -> Any:
    """A value as settings take it: a path as text, a number of NumPy as one of Python."""
    if isinstance(value, Mapping):
        return {str(key): _python_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_python_value(inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    return value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value


def _first_in_both(one: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> str:
    """The path of the first setting that two mappings hold; "" where there is none."""
    for key in one.keys() & other.keys():
        values, name = (one[key], other[key]), f"{path}.{key}".lstrip(".")
        if not all(isinstance(value, Mapping) for value in values):
            return name
        if found := _first_in_both(*values, name):
            return found
    return ""


def parse_override(schema: type[BaseModel], text: str) -> dict[str, Any]:
    """`a.b=1` as {"a": {"b": "1"}}.

    The setting's declared type decides how its value is read: sections as YAML, all others as plain text.
    """
    if not is_unicode(text):
        raise SettingsError(f"{text!r}: not UTF-8 text; type the setting again")
    path, separator, value = text.partition("=")
    keys = path.split(".")
    if not separator or not all(keys) or len(keys) > DEEPEST:
        raise SettingsError(f"{text!r}: a setting is written key.path=value, such as train.epochs=3")
    try:
        parsed: Any = _parse_value(value, _field_type(schema, keys))
    except SettingsError as error:
        raise SettingsError(f"{text!r}: {str(error).removeprefix('line 1: ')}") from error
    for key in reversed(keys):
        parsed = {key: parsed}
    return parsed


def _parse_value(text: str, annotation: Any) -> Any:
    is_list = get_origin(annotation) is tuple
    if _is_nested(annotation) or (is_list and text.startswith("[")):
        return parse_yaml(text)
    if is_list or type(None) in get_args(annotation):
        return None if text in NULLS else text
    return text or None


def _is_nested(annotation: Any) -> bool:
    """Whether a setting holds further settings or a list of them, so that its value is YAML."""
    origin, options = get_origin(annotation), get_args(annotation)
    if origin in (tuple, Union, UnionType):
        return any(_is_nested(option) for option in options)
    is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return is_section or annotation is Any or origin is dict


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` merged into `base`: mappings key by key, other values replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def plain_values(value: Any) -> Any:
    """A value with its texts of numbers and booleans converted, for settings without a declared type."""
    if isinstance(value, dict):
        return {key: plain_values(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain_values(inner) for inner in value]
    try:
        plain = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
    return plain if isinstance(plain, bool | int | float) else value


def build_settings(schema: type[SettingsType], values: Mapping[str, Any], prefix: str = "") -> SettingsType:
    """Validated settings; the first fault becomes one line with path, value and allowed values."""
    try:
        return schema.model_validate(dict(values))
    except ValidationError as error:
        raise SettingsError(_first_fault(schema, error, prefix)) from error


def _first_fault(schema: type[BaseModel], error: ValidationError, prefix: str) -> str:
    faults = error.errors(include_url=False)
    # An unknown key is more useful to report than the missing key that was meant.
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    path = [str(key) for key in fault["loc"]]
    name = prefix + ".".join(path)
    if fault["type"] == "extra_forbidden":
        allowed = _keys_at(schema, path[:-1])
        # Names are ASCII: an escape shows a letter that only looks like an ASCII one.
        return f"unknown setting {name!a}: {did_you_mean(path[-1], allowed)}"
    if fault["type"] == "missing":
        return f"setting {name!r} is missing: give {name}=VALUE"
    message = fault["msg"].removeprefix("Value error, ")
    if not path:
        return prefix + message
    hint = ""
    if fault["type"] == "string_type":
        message = "is text; give a value, and in a YAML file put it in quotes"
    if fault["type"] == "literal_error" and isinstance(fault["input"], str):
        allowed = _literals(schema, path)
        hint = f"; {did_you_mean(fault['input'], allowed)}" if allowed else ""
        message = "not one of the allowed values" if allowed else message
    return f"setting {name}={fault['input']!r}: {message}{hint}"


def _field_type(schema: Any, path: Sequence[str]) -> Any:
    """The declared type of the setting at `path`; None where there is no such setting."""
    for key in path:
        options = _unions(schema)
        section = next((s for s in options if isinstance(s, type) and issubclass(s, BaseModel)), None)
        if section is not None and key in section.model_fields:
            schema = section.model_fields[key].annotation
        elif get_origin(schema) is dict:
            schema = get_args(schema)[1]
        elif schema is not Any:  # Any allows every key
            return None
    return schema


def _unions(annotation: Any) -> tuple[Any, ...]:
    args = get_args(annotation)
    return args if args and not isinstance(annotation, type) else (annotation,)


def _keys_at(schema: type[BaseModel], path: Sequence[str]) -> list[str]:
    # A number is an index of a list: the item has the list's type.
    annotation = _field_type(schema, [key for key in path if not key.isdigit()])
    found = next((s for s in _unions(annotation) if hasattr(s, "model_fields")), None)
    return sorted(found.model_fields) if found else []


def _literals(schema: type[BaseModel], path: Sequence[str]) -> list[str]:
    annotation = _field_type(schema, [key for key in path if not key.isdigit()])
    found: list[str] = []
    for option in (annotation, *get_args(annotation)):
        found += [str(value) for value in get_args(option) if isinstance(value, str)]
    return list(dict.fromkeys(found))


def dump_yaml(settings: BaseModel) -> str:
    """The resolved settings as YAML, in the order of their declaration."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
