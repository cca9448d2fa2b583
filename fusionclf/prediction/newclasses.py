"""Names of new classes, from text that a person wrote."""

import unicodedata
from pathlib import Path

from fusionclf.errors import PredictionError
from fusionclf.models.classes import AddedClass
from fusionclf.prediction.answers import PATH_SEPARATOR

SYNONYM_SEPARATOR = "|"
LONGEST_NAME = 200  # characters
MOST_CLASSES = 10_000


def parse_class(text: str, place: str = "") -> AddedClass:
    """A class from "Name", or from its path, "Category > Name"; "| other name" may follow, once or more.

    Args:
        text: the name or path, and synonyms.
        place: where it stands, for messages.

    Raises:
        PredictionError: it is empty, too long, or holds control characters.
    """
    path, *others = text.split(SYNONYM_SEPARATOR)
    steps = [step.strip() for step in path.split(PATH_SEPARATOR.strip())]
    synonyms = [other.strip() for other in others]
    if not all((*steps, *synonyms)):
        raise PredictionError(
            f"{place}{text[:60]!r}: an empty name, for {PATH_SEPARATOR.strip()!r} separates categories and "
            f"{SYNONYM_SEPARATOR!r} synonyms; write Name, Category > Name, or Name | other name"
        )
    for step in (*steps, *synonyms):
        if len(step) > LONGEST_NAME or any(unicodedata.category(letter) == "Cc" for letter in step):
            raise PredictionError(
                f"{place}{step[:60]!r}: no class name; give at most {LONGEST_NAME} characters, none of them a control"
            )
    return AddedClass(steps[-1], tuple(steps[:-1]), synonyms=tuple(dict.fromkeys(synonyms)))


def read_classes(file: Path) -> list[AddedClass]:
    """The classes of a text file, one a line; empty lines and lines that begin with # are left out.

    Raises:
        PredictionError: it cannot be read, names a class twice, names none, or too many.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise PredictionError(
            f"--classes {file}: cannot be read ({reason}); give a text file, a class a line"
        ) from error
    found: dict[str, AddedClass] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        new = parse_class(line, f"{file} line {number}: ")
        if new.name in found:
            raise PredictionError(f"{file} line {number}: {new.name!r} stands there twice; remove one")
        found[new.name] = new
    if not 0 < len(found) <= MOST_CLASSES:
        raise PredictionError(f"--classes {file}: {len(found)} classes; give 1 to {MOST_CLASSES}, one a line")
    return list(found.values())
