"""Text that a person wrote → names of new classes."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import replace

from fusionclf.catalog.label_paths import PATH_SEPARATOR, whole_path
from fusionclf.errors import PredictionError
from fusionclf.models.added_classes import AddedClass

SYNONYM_SEPARATOR = "|"
LONGEST_NAME = 200  # characters


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
    steps = split_steps(path)
    if len(steps) > 1:
        steps = next(([name] for name in known if split_steps(name) == steps), steps)
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


def split_steps(path: str) -> list[str]:
    """The steps of a path that is written with >."""
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
    path = (*named.place, named.name)
    same = [new for new in added if whole_path(new.name, new.place) == path]
    return same[0] if same else None


def named_apart(classes: Sequence[AddedClass]) -> list[AddedClass]:
    """Each class once; those that share their name below several paths are named by their paths.

    A name without a path is the first class of that name.
    """
    places: dict[str, dict[tuple[str, ...], AddedClass]] = {}
    for each in classes:
        of_name = places.setdefault(each.name, {})
        if each.place or not of_name:
            of_name.setdefault(each.place, each)
    for of_name in places.values():
        if len(of_name) > 1 and () in of_name:
            del of_name[()]
    return [
        replace(each, name=PATH_SEPARATOR.join((*place, each.name))) if len(of_name) > 1 else each
        for of_name in places.values()
        for place, each in of_name.items()
    ]
