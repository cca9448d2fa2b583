"""Settings from YAML files and key.path=value overrides.

An unknown key or a bad value is an error that names the path, the value and what is allowed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from fusionclf.errors import SettingsError, did_you_mean

SettingsType = TypeVar("SettingsType", bound=BaseModel)


def load_settings(
    schema: type[SettingsType], file: Path | None, overrides: Sequence[str] = (), **fixed: Any
) -> SettingsType:
    """Read settings from a YAML file, lay `key.path=value` overrides over it, and validate.

    Args:
        schema: the settings class to validate with.
        file: YAML file, or None for the defaults.
        overrides: texts such as `train.epochs=3`; values are YAML.
        fixed: top-level values that neither file nor overrides may change (variant, data).

    Raises:
        SettingsError: unknown key, bad value or unreadable file.
    """
    values = read_yaml(file) if file else {}
    for text in overrides:
        values = merge(values, parse_override(text))
    for key in fixed:
        if key in values and values[key] != fixed[key]:
            raise SettingsError(
                f"{key}={values[key]!r}: set by the command line, not by a setting; remove it"
            )
    return build_settings(schema, {**values, **fixed})


def read_yaml(file: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping; SettingsError where it is missing or is none."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read ({error}); give an existing settings file") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{file}: holds {type(values).__name__}; settings are a mapping of key: value")
    return values


def parse_override(text: str) -> dict[str, Any]:
    """`a.b=1` as {"a": {"b": 1}}."""
    path, separator, value = text.partition("=")
    if not separator or not path or not all(path.split(".")):
        raise SettingsError(f"{text!r}: a setting is written key.path=value, such as train.epochs=3")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"{text!r}: the value is not valid YAML") from error
    for key in reversed(path.split(".")):
        parsed = {key: parsed}
    return parsed


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`; mappings are merged key by key, all else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def build_settings(schema: type[SettingsType], values: Mapping[str, Any], prefix: str = "") -> SettingsType:
    """Validate `values`; the first fault becomes one line with path, value and what is allowed."""
    try:
        return schema.model_validate(dict(values))
    except ValidationError as error:
        raise SettingsError(_first_fault(schema, error, prefix)) from error


def _first_fault(schema: type[BaseModel], error: ValidationError, prefix: str) -> str:
    faults = error.errors(include_url=False)
    # An unknown key says more than the missing one that it was meant to be.
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    path = [str(key) for key in fault["loc"]]
    name = prefix + ".".join(path)
    if fault["type"] == "extra_forbidden":
        allowed = _keys_at(schema, path[:-1])
        return f"unknown setting {name!r}: {did_you_mean(path[-1], allowed)}"
    if fault["type"] == "missing":
        return f"setting {name!r} is missing: give {name}=VALUE"
    message = fault["msg"].removeprefix("Value error, ")
    if not path:
        return prefix + message
    hint = ""
    if fault["type"] == "literal_error" and isinstance(fault["input"], str):
        allowed = _literals(schema, path)
        hint = f"; {did_you_mean(fault['input'], allowed)}" if allowed else ""
        message = "not one of the allowed values" if allowed else message
    return f"setting {name}={fault['input']!r}: {message}{hint}"


def _field_type(schema: Any, path: Sequence[str]) -> Any:
    for key in path:
        schema = next((s for s in _unions(schema) if isinstance(s, type) and issubclass(s, BaseModel)), None)
        if schema is None or key not in schema.model_fields:
            return None
        schema = schema.model_fields[key].annotation
    return schema


def _unions(annotation: Any) -> tuple[Any, ...]:
    args = get_args(annotation)
    return args if args and not isinstance(annotation, type) else (annotation,)


def _keys_at(schema: type[BaseModel], path: Sequence[str]) -> list[str]:
    # A number is a place in a list: what stands there has the list's type.
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
    """The resolved settings as YAML, in the order in which they are declared."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
