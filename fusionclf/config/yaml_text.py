"""YAML files → mappings, lists and scalars; every fault of a file is one line.

YAML guesses the type of a scalar: `No` is false, `007` is 7 and `2020-01-01` a date. Settings have declared types
instead, so their scalars are read as the text in the file, and pydantic converts them. YAML's anchors, aliases and tags
are refused: settings do not need them, and with them a small file can become a very large value.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from fusionclf.errors import SettingsError

LARGEST_FILE = 2**20  # bytes: a file of 7,000 classes with their synonyms
DEEPEST = 20  # levels; settings have five
NULLS = ("", "~", "null", "Null", "NULL")
QUOTES = "put text with braces, colons or '#' in quotes, such as '{id}.jpg'"
Scalar = Callable[[ScalarEvent], Any]


def as_text(event: ScalarEvent) -> str | None:
    """The text of a scalar as in the file; None for a null without quotes."""
    if event.implicit[0] and event.value in NULLS:
        return None
    _refuse_bytes(event)
    return event.value


def as_guessed(event: ScalarEvent) -> Any:
    """The number, boolean or None that a scalar without quotes means in YAML, else its text.

    This is the inverse of `dump_yaml`, which quotes texts that YAML would read as another type.
    """
    if not event.implicit[0]:
        return event.value
    try:
        value = yaml.safe_load(event.value)
    except (yaml.YAMLError, ValueError):
        return event.value
    return value if value is None or isinstance(value, bool | int | float) else event.value


def read_yaml(file: Path, scalar: Scalar = as_guessed) -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        file: at most 1 MiB of UTF-8 text.
        scalar: scalar → value; `as_guessed` for files that fusionclf wrote, `as_text` for files that users wrote.

    Raises:
        SettingsError: the file cannot be read, is not YAML, or is not a mapping.
    """
    text = _read_text(file)
    try:
        values = parse_yaml(text, scalar)
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{file}: holds {type(values).__name__}; settings are a mapping of key: value")
    return values


def _read_text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise SettingsError(
            f"{file}: cannot be read ({error.strerror}); give an existing settings file"
        ) from error
    if len(content) > LARGEST_FILE:
        raise SettingsError(f"{file}: larger than 1 MiB; give a settings file in YAML")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8 text; give a settings file in YAML") from error


def parse_yaml(text: str, scalar: Scalar = as_text) -> Any:
    """The one document of a YAML text: mappings with text keys, lists, and scalars converted by `scalar`.

    Raises:
        SettingsError: the text is not YAML, or uses features of YAML that settings do not need.
    """
    around = (StreamStartEvent, StreamEndEvent, DocumentStartEvent, DocumentEndEvent)
    events = yaml.parse(text, Loader=yaml.SafeLoader)
    try:
        documents = [_value(event, events, scalar) for event in events if not isinstance(event, around)]
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise SettingsError(_fault(error)) from error
    if len(documents) > 1:
        raise SettingsError("holds more than one document; keep one and remove the '---' between them")
    return documents[0] if documents else None


def _value(event: Event, events: Iterator[Event], scalar: Scalar, depth: int = 0) -> Any:
    _refuse_references(event)
    if isinstance(event, ScalarEvent):
        return scalar(event)
    if depth == DEEPEST:
        raise SettingsError(
            f"line {_line(event)}: nested more than {DEEPEST} levels deep; close brackets and braces"
        )
    if isinstance(event, SequenceStartEvent):
        return [_value(inner, events, scalar, depth + 1) for inner in _inside(events)]
    return _mapping(_inside(events), events, scalar, depth + 1)


def _mapping(inside: Iterator[Event], events: Iterator[Event], scalar: Scalar, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in inside:
        _refuse_references(key)
        if not isinstance(key, ScalarEvent):
            raise SettingsError(f"line {_line(key)}: a list or a mapping cannot be a key; {QUOTES}")
        _refuse_bytes(key)
        if key.value in found:
            raise SettingsError(f"line {_line(key)}: key {key.value!r} is given twice; keep one")
        found[key.value] = _value(next(inside), events, scalar, depth)
    return found


def _inside(events: Iterator[Event]) -> Iterator[Event]:
    """The events up to the end of the list or mapping that has begun."""
    for event in events:
        if isinstance(event, SequenceEndEvent | MappingEndEvent):
            return
        yield event


def _refuse_references(event: Any) -> None:
    if isinstance(event, AliasEvent) or event.anchor:
        raise SettingsError(
            f"line {_line(event)}: anchors and aliases (&name, *name) are not supported; write the value out, "
            "or put the text in quotes"
        )
    if event.tag:
        raise SettingsError(
            f"line {_line(event)}: tags ({event.tag}) are not supported; leave it out, or put the text in quotes"
        )


def _refuse_bytes(event: ScalarEvent) -> None:
    if not is_unicode(event.value):
        raise SettingsError(f"line {_line(event)}: {event.value!r} is not Unicode text; write it again")


def _fault(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    character = getattr(error, "character", None)  # a ReaderError
    if isinstance(character, int):
        return f"not valid YAML: the character U+{character:04X} is not allowed; remove it"
    problem = getattr(error, "problem", None) or str(error)
    return f"{where}not valid YAML ({problem}); {QUOTES}"


def _line(event: Event) -> int:
    return event.start_mark.line + 1


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: bytes of another encoding become lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
