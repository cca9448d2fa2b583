"""Text that a person wrote → names of new classes."""

import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path

from fusionclf.errors import PredictionError
from fusionclf.models.added_classes import AddedClass
from fusionclf.prediction.answers import PATH_SEPARATOR

SYNONYM_SEPARATOR = "|"
LONGEST_NAME = 200  # characters
MOST_CLASSES = 10_000


def parse_class(text: str, place: str = "", known: Collection[str] = ()) -> AddedClass:
    """A class from "Name", or from its path, "Category > Name"; "| other name" may follow, once or more.

    Args:
        text: the name or path, and synonyms.
        place: where the text comes from, for messages.
        known: existing classes. One whose name contains > or | is found by that whole name.

    Raises:
        PredictionError: it is empty, too long, or contains control characters.
    """
    if text.strip() in known:
        return AddedClass(text.strip())
    path, *others = text.split(SYNONYM_SEPARATOR)
    steps = _steps(path)
    if len(steps) > 1:
        steps = next(([name] for name in known if _steps(name) == steps), steps)
    synonyms = [other.strip() for other in others]
    if not all((*steps, *synonyms)):
        raise PredictionError(
            f"{place}{text[:60]!r}: an empty name ({PATH_SEPARATOR.strip()!r} separates categories, "
            f"{SYNONYM_SEPARATOR!r} synonyms); write Name, Category > Name, or Name | other name"
        )
    for step in (*steps, *synonyms):
        if len(step) > LONGEST_NAME or any(unicodedata.category(letter) == "Cc" for letter in step):
            raise PredictionError(
                f"{place}{step[:60]!r}: not a class name; give at most {LONGEST_NAME} characters, "
                "no control characters"
            )
    return AddedClass(steps[-1], tuple(steps[:-1]), synonyms=tuple(dict.fromkeys(synonyms)))


def _steps(path: str) -> list[str]:
    return [step.strip() for step in path.split(PATH_SEPARATOR.strip())]


def find_added(added: Sequence[AddedClass], text: str) -> AddedClass | None:
    """The added class that a text names: by its name alone, or by the text that added it; None for no such class."""
    for new in added:
        if new.name == text.strip():
            return new
    try:
        named = parse_class(text)
    except PredictionError:
        return None
    same = [new for new in added if (new.name, new.place) == (named.name, named.place)]
    return same[0] if same else None


def read_classes(file: Path, known: Collection[str] = ()) -> list[AddedClass]:
    """The classes of a text file, one per line; empty lines and lines that begin with # are skipped.

    Args:
        file: UTF-8 text.
        known: as in `parse_class`.

    Raises:
        PredictionError: the file cannot be read, or names a class twice, no class, or too many.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise PredictionError(
            f"--classes {file}: cannot be read ({reason}); give a text file with one class per line"
        ) from error
    found: dict[str, AddedClass] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        new = parse_class(line, f"{file} line {number}: ", known)
        if new.name in found:
            raise PredictionError(f"{file} line {number}: {new.name!r} occurs twice; remove one")
        found[new.name] = new
    if not 0 < len(found) <= MOST_CLASSES:
        raise PredictionError(
            f"--classes {file}: {len(found)} classes; give 1 to {MOST_CLASSES}, one per line"
        )
    return list(found.values())
