"""Synonyms of class names: a YAML file that maps a class to a list of further names."""

from pathlib import Path
from typing import Any

from fusionclf.config import read_settings
from fusionclf.errors import SettingsError

MOST_SYNONYMS = 100  # of one class
LONGEST_SYNONYM = 200  # characters


def read_synonyms(file: Path) -> dict[str, tuple[str, ...]]:
    """Class → its further names, in the order of the file.

    Raises:
        SettingsError: the file cannot be read, or an entry is no list of names.
    """
    found = {}
    for name, others in read_settings(file).items():
        if not isinstance(others, list) or len(others) > MOST_SYNONYMS:
            raise SettingsError(
                f"{file}: {name!r}: give a list of at most {MOST_SYNONYMS} names, such as [deo, body spray]"
            )
        if wrong := [other for other in others if not is_name(other)]:
            raise SettingsError(
                f"{file}: {name!r}: {str(wrong[0])[:60]!r} is not a name; give a text of 1 to "
                f"{LONGEST_SYNONYM} characters"
            )
        found[name] = tuple(dict.fromkeys(other.strip() for other in others))
    return found


def is_name(value: Any) -> bool:
    """Whether a value is text that a class can be called."""
    return isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_SYNONYM and value.isprintable()
