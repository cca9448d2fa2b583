"""Further names of classes, drafted without a person: from the names, a lexical database, titles, a language model."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from fusionclf.catalog.drafting.lexical import lexical_names
from fusionclf.catalog.drafting.lexicon import INSTALL, Lexicon
from fusionclf.catalog.drafting.phrases import class_phrases, letters, singular_words
from fusionclf.catalog.drafting.title_terms import TitleTerms
from fusionclf.catalog.synonyms import MOST_SYNONYMS, is_name
from fusionclf.config.yaml_text import NULLS

OF_NAME, OF_PART = -2, -1  # instead of steps: the class's name, and a kind of product that it joins
# Steps → the share of another class's titles from which a name is that class's: a frequent one for a part of a name.
OF_ANOTHER = {OF_PART: 0.05, 1: 0.0}
NAME_SOURCE = "part of the name"
PLAIN = re.compile(r"[A-Za-z0-9][\w '&/-]*(?<! )")  # YAML reads it as it is
EXAMPLES = 3
MOST_LINES = 12_000  # of a file, about: one of 1 MiB can be read
HEADER = """\
# Further names of classes, drafted by fusionclf. Read them, change them, and train with model.synonyms=THIS_FILE.
# After each name: where it comes from.
"""
TITLES_HEADER = """\
# A line that begins with "# -" is a term that train titles of the class end with. The linear text model knows it
# already, and as a synonym it made classes without train rows worse, so it is left out; remove the "# " to add it.
"""


def _scalar(text: str) -> str:
    """A text as YAML."""
    return text if PLAIN.fullmatch(text) and text not in NULLS else json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class Synonym:
    """A further name of a class, and where it comes from."""

    text: str
    source: str


@dataclass(frozen=True)
class TrainTitles:
    """Titles of train rows, and their classes; never those of test rows."""

    titles: Sequence[str] = ()
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class SynonymDraft:
    """Drafted names of classes.

    Attributes:
        synonyms: class → further names, the nearest first; every class is in it.
        has_lexicon: whether a lexical database was read.
        terms: class → terms of its own titles, and how many titles have each; for review alone.
        rows: class → its train titles.
        most: how many names a class has at most.
    """

    synonyms: Mapping[str, tuple[Synonym, ...]]
    has_lexicon: bool
    terms: Mapping[str, list[tuple[str, int]]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    most: int = MOST_SYNONYMS

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Class → further names, as `read_synonyms` reads them from the file."""
        return {name: tuple(each.text for each in own) for name, own in self.synonyms.items()}

    @property
    def summary(self) -> str:
        """One line: how many names, three examples, and what would bring more."""
        named = [(name, own[0].text) for name, own in self.synonyms.items() if own]
        count = sum(map(len, self.synonyms.values()))
        cut = (
            f"; at most {self.most} for each, so that the file stays small"
            if self.most < MOST_SYNONYMS
            else ""
        )
        some = "; ".join(f"{name}: {text}" for name, text in named[:EXAMPLES])
        found = f"{count:,} names drafted for {len(named):,} of {len(self.synonyms):,} classes"
        more = "" if self.has_lexicon else f"; without WordNet: {INSTALL} for more"
        return f"synonyms: {found}{f' ({some})' if some else ''}{cut}{more}"

    def to_yaml(self) -> str:
        """The text of a synonyms file, a name a line, each with its source as a comment."""
        lines = [HEADER + (TITLES_HEADER if any(self.terms.values()) else "")]
        for name, own in self.synonyms.items():
            if not own and len(self.synonyms) > MOST_LINES // 10:
                continue  # many classes: those without a name would fill the file
            lines.append(f"{_scalar(name)}:" if own else f"{_scalar(name)}: []")
            lines += [f"  - {_scalar(each.text)}  # {each.source}" for each in own]
            lines += [
                f"  # - {_scalar(term)}  # titles: {count:,} of {self.rows[name]:,} train rows"
                for term, count in self.terms.get(name, [])
            ]
        return "\n".join(lines) + "\n"


def draft_synonyms(
    families: Mapping[str, str],
    trained: TrainTitles,
    lexicon: Lexicon | None,
    suggested: Iterable[tuple[str, Synonym]] = (),
    with_terms: bool = False,
) -> SynonymDraft:
    """Further names of classes.

    A name that two classes could have is that of the class whose meaning is nearer, and of none where both are as
    near. A kind of product from the database is left out where it goes with another class in train titles.

    Args:
        families: class → its lowest category.
        trained: titles of train rows; may be empty.
        lexicon: a lexical database; None for none.
        suggested: class and further name from elsewhere, such as a language model.
        with_terms: whether to list terms of each class's own titles for review.
    """
    claims = _Claims()
    for name in families:
        own, *kinds = class_phrases(name)
        claims.add(name, own, OF_NAME, "")
        for kind in kinds:
            claims.add(name, kind, OF_PART, NAME_SOURCE)
    for name, synonym in suggested:
        claims.add(name, synonym.text, 0, synonym.source)
    ends = {letters(class_phrases(name)[0]) for name in families}
    for name, text, steps, source in lexical_names(families, lexicon) if lexicon else ():
        if not _ends_with_another(text, name, ends):
            claims.add(name, text.lower(), steps, source)
    won = claims.settled()
    counted = TitleTerms.from_titles(
        trained.titles, trained.labels, {singular_words(synonym.text) for _, _, synonym in won}
    )
    found: dict[str, list[tuple[int, Synonym]]] = {name: [] for name in families}
    for name, steps, synonym in won:
        share = OF_ANOTHER.get(min(max(steps, OF_PART), 1))
        if share is None or not counted.goes_with_another(synonym.text, name, share):
            found[name].append((steps, synonym))
    most = max(1, min(MOST_SYNONYMS, MOST_LINES // len(families)))
    draft = {
        name: tuple(each for _, each in sorted(own, key=lambda each: each[0])[:most])
        for name, own in found.items()
    }
    terms = _own_terms(families, trained, claims) if with_terms else {}
    cut = any(len(own) > most for own in found.values())
    return SynonymDraft(draft, lexicon is not None, terms, counted.rows, most if cut else MOST_SYNONYMS)


class _Claims:
    """Which class is nearest to each name."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, tuple[int, Synonym]]] = {}  # letters → class → steps and name

    def add(self, name: str, text: str, steps: int, source: str) -> None:
        """A name that a class could have, in so many steps from what the class means."""
        spelled = letters(text)
        if not spelled or not is_name(text):
            return
        own = self.of.setdefault(spelled, {})
        if name not in own or own[name][0] > steps:
            own[name] = (steps, Synonym(text, source))

    def settled(self) -> list[tuple[str, int, Synonym]]:
        """Class, steps and name, of each name that one class is nearest to, but for the classes' own names."""
        found = []
        for own in self.of.values():
            nearest = min(steps for steps, _ in own.values())
            first, *others = [(name, *each) for name, each in own.items() if each[0] == nearest]
            if not others and nearest > OF_NAME:
                found.append(first)
        return found


def _ends_with_another(text: str, name: str, ends: Set[str]) -> bool:
    """Whether a phrase ends with the name of another class: a tank top is a top, and no shirt."""
    words, own = text.replace("-", " ").split(), letters(class_phrases(name)[0])
    return any(letters(" ".join(words[first:])) in ends - {own} for first in range(1, len(words)))


def _own_terms(
    families: Iterable[str], trained: TrainTitles, claims: _Claims
) -> dict[str, list[tuple[str, int]]]:
    """Class → terms that its train titles end with and that are no name of a class yet."""
    counted = TitleTerms.from_titles(trained.titles, trained.labels)
    return {
        name: [(term, count) for term, count in counted.of_class(name) if letters(term) not in claims.of]
        for name in families
    }
