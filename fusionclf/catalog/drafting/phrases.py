"""Phrases of class names: their words, their singular, and the kinds of product that one name joins."""

import re
from functools import lru_cache

import inflection

from fusionclf.catalog.label_paths import PATH_SEPARATOR
from fusionclf.catalog.titles import split_words

JOINED = re.compile(r"\s*(?:[,/&+;()|]|\b(?:and|or|und|oder|et|ou)\b)\s*", re.IGNORECASE)
IRREGULAR = {"lens": "lens", "ties": "tie", "gloves": "glove", "jeans": "jeans"}  # what inflection gets wrong


@lru_cache(65_536)
def singular_word(word: str) -> str:
    """The singular of a word, in lower case.

    >>> singular_word("Watches"), singular_word("ties"), singular_word("dress")
    ('watch', 'tie', 'dress')
    """
    word = word.lower()
    return IRREGULAR.get(word) or inflection.singularize(word) or word  # that of "s" is empty


def singular_phrase(phrase: str) -> str:
    """A phrase in lower case with its last word in the singular.

    >>> singular_phrase("Sports Shoes")
    'sports shoe'
    """
    *first, last = phrase.lower().split() or [""]
    return " ".join([*first, singular_word(last)])


def letters(phrase: str) -> str:
    """What two spellings of one phrase share: its letters and digits, in the singular.

    >>> letters("T-Shirts"), letters("tee shirt"), letters("Tshirts")
    ('tshirt', 'teeshirt', 'tshirt')
    """
    return "".join(filter(str.isalnum, singular_phrase(phrase.replace("-", " "))))


def singular_words(text: str) -> str:
    """The words of a text, each in the singular, with one blank between them.

    >>> singular_words("Women's Casual-Shoes")
    'woman s casual shoe'
    """
    return " ".join(map(singular_word, split_words(text)))


def class_phrases(name: str) -> list[str]:
    """What a class name says: the name itself without the categories before it, and the kinds that it joins."""
    own = name.rpartition(PATH_SEPARATOR)[2]
    return [own, *joined_kinds(own)]


def joined_kinds(name: str) -> list[str]:
    """The kinds of product that a name joins, in lower case; empty for a name of one kind.

    What the first kind says before its noun may count for the others, and so may the noun of the last kind.

    >>> joined_kinds("Face Wash and Cleanser")
    ['face wash', 'cleanser', 'face cleanser']
    >>> joined_kinds("Hair & Body Wash")
    ['hair', 'body wash', 'hair wash']
    >>> joined_kinds("Belts")
    []
    """
    parts = [part.split() for part in JOINED.split(name.lower()) if any(map(str.isalnum, part))]
    if len(parts) < 2:
        return []
    before, noun = parts[0][:-1], parts[-1][-1]
    found = [singular_phrase(" ".join(part)) for part in parts]
    if before:
        found += [singular_phrase(" ".join([*before, *part])) for part in parts[1:] if len(part) == 1]
    if len(parts[-1]) > 1:
        found += [singular_phrase(f"{part[0]} {noun}") for part in parts[:-1] if len(part) == 1]
    return list(dict.fromkeys(found))
