"""A file of classes, one a line: as a person writes them, or a taxonomy as Google and Shopify publish theirs."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fusionclf.catalog.label_paths import PATH_SEPARATOR, whole_path
from fusionclf.errors import PredictionError
from fusionclf.models.added_classes import AddedClass
from fusionclf.prediction.class_names import parse_class, split_steps

MOST_CLASSES = 20_000
MOST_BYTES = 32 * 2**20
LONGEST_ID = 200  # characters
EXAMPLES = 3
# How lines begin with an id in the published files of Google and of Shopify.
GOOGLE = re.compile(r"\s*(\d+)\s+-\s+(\S.*)")
SHOPIFY = re.compile(r"\s*(gid://\S+)\s+:\s+(\S.*)")
Line = tuple[str, str, str]  # where it is, its id or "", and the class


@dataclass(frozen=True)
class ClassList:
    """The classes of a file.

    Attributes:
        file: it.
        classes: in its order; those that the model has under the model's names.
        by_path: those that are named by their whole path, because their own name occurs below several paths.
        known: those that the model has.
        numbered: names that begin as with an id of Google's, while most lines of the file do not.
    """

    file: Path
    classes: list[AddedClass]
    by_path: list[str]
    known: list[str]
    numbered: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """What a person should know of it, a line each."""
        found = []
        if with_ids := [f"{each.id} is {each.name}" for each in self.classes if each.id]:
            found.append(f"{self.file}: {len(with_ids):,} classes have ids ({_some(with_ids)})")
        if self.numbered:
            found.append(
                f"{self.file}: {len(self.numbered):,} of {len(self.classes):,} lines begin with a number, which is "
                f"read as part of the name ({_some(self.numbered)}); if it is an id, give one to each class"
            )
        if self.by_path:
            found.append(
                f"{self.file}: {len(self.by_path):,} of {len(self.classes):,} classes share their name with another, "
                f"and are named by their path ({_some(self.by_path)})"
            )
        if self.known:
            found.append(
                f"{self.file}: {len(self.known):,} of {len(self.classes):,} classes are the run's own "
                f"({_some(self.known)})"
            )
        return found


def read_classes(
    file: Path, known: Collection[str] = (), places: Mapping[str, Sequence[str]] | None = None
) -> ClassList:
    """The classes of a text file, one a line; empty lines and lines that begin with # are skipped.

    A line is "Name" or "Category > Name", synonyms may follow. Where every line begins with an id, as in the files
    of Google ("123 - Category > Name") and Shopify ("gid://… : Category > Name"), the classes have ids.

    Args:
        file: UTF-8 text.
        known: classes that the model has.
        places: their categories, by which a path is recognised as one of them.

    Raises:
        PredictionError: the file cannot be read, or names a class or an id twice, no class, or too many.
    """
    lines = _with_ids(file, _read_lines(file))
    if not 0 < len(lines) <= MOST_CLASSES:
        raise PredictionError(
            f"--classes {file}: {len(lines)} classes; give 1 to {MOST_CLASSES:,}, one per line"
        )
    names = set(known)
    parsed = [
        replace(parse_class(text, place, names & {text.strip()}), id=number) for place, number, text in lines
    ]
    _refuse_repeated(lines, [each.id for each in parsed if each.id], "the id ")
    found, by_path, of_run = _named(parsed, [text.strip() for *_, text in lines], names, places or {})
    _refuse_repeated(lines, [each.name for each in found])
    numbered = [text.strip() for *_, number, text in lines if not number and GOOGLE.fullmatch(text)]
    return ClassList(file, found, by_path, of_run, numbered)


def _read_lines(file: Path) -> list[tuple[str, str]]:
    """Where each line is, and its text."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise PredictionError(
            f"--classes {file}: cannot be read ({reason}); give a UTF-8 text file with one class per line"
        ) from error
    if len(content) > MOST_BYTES:
        raise PredictionError(
            f"--classes {file}: larger than {MOST_BYTES // 2**20} MiB; give 1 to {MOST_CLASSES:,} classes, one per line"
        )
    return [
        (f"{file} line {number}: ", line)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _with_ids(file: Path, lines: Sequence[tuple[str, str]]) -> list[Line]:
    """The lines with their ids, which all have in one form, or none.

    A name may begin with a number, so a minority of such lines are names; none begins with gid://.
    """
    for form in (GOOGLE, SHOPIFY):
        matches = [(place, form.fullmatch(text)) for place, text in lines]
        without = [place for place, match in matches if match is None]
        number = len(lines) - len(without)
        if number and not without:
            return [
                (place, _checked(place, match[1]), match[2]) for place, match in matches if match is not None
            ]
        if number and (form is SHOPIFY or number >= len(without)):
            raise PredictionError(
                f"{without[0]}no id, while {number:,} of {len(lines):,} lines begin with one; "
                f"give an id to each class of {file} or to none"
            )
    return [(place, "", text) for place, text in lines]


def _checked(place: str, number: str) -> str:
    """An id.

    Raises:
        PredictionError: it is too long, or cannot be printed.
    """
    if len(number) > LONGEST_ID or not number.isprintable():
        raise PredictionError(
            f"{place}{number[:60]!r}: not an id; give at most {LONGEST_ID} characters, no control characters"
        )
    return number


def _named(
    parsed: Sequence[AddedClass], texts: Sequence[str], known: set[str], places: Mapping[str, Sequence[str]]
) -> tuple[list[AddedClass], list[str], list[str]]:
    """The classes under the names that they get, those that are named by their path, and those that are known."""
    by_path = {tuple(split_steps(name)): name for name in known}
    by_path |= {whole_path(name, filter(None, places.get(name, ()))): name for name in known}
    own = [
        text if text in known else by_path.get((*each.place, each.name))
        for each, text in zip(parsed, texts, strict=True)
    ]
    shared = Counter(each.name for each in parsed)
    found, named = [], []
    for each, name in zip(parsed, own, strict=True):
        if name is not None:
            found.append(AddedClass(name, id=each.id))
        elif shared[each.name] > 1 and each.place:
            named.append(PATH_SEPARATOR.join((*each.place, each.name)))
            found.append(replace(each, name=named[-1]))
        else:
            found.append(each)
    return found, named, [each.name for each in found if each.name in known]


def _refuse_repeated(lines: Sequence[Line], values: Sequence[str], what: str = "") -> None:
    """Raises PredictionError at the first line whose value an earlier one has; where there are values, each has one."""
    seen: set[str] = set()
    for (place, *_), value in zip(lines, values, strict=False):
        if value in seen:
            raise PredictionError(f"{place}{what}{value!r} occurs twice; remove one")
        seen.add(value)


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:EXAMPLES], *(["…"] if len(names) > EXAMPLES else [])])
