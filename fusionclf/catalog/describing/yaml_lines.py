"""A description → the text of catalog.yaml: a line for each setting, with its reason as a comment."""

import re
from collections.abc import Iterable
from typing import Any

import yaml

from fusionclf.catalog.describing.description import Description
from fusionclf.catalog.describing.evidence import Guess

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
WORDS_OF_YAML = frozenset("null true false yes no on off y n".split())
LONGEST_COMMENT = 200  # characters
HEAD = """# The columns of this catalog, as `fusionclf data describe` guessed them. Edit what is wrong.
# Every command reads this file where it lies beside the data; --config and words behind the command win over it."""


def yaml_text(description: Description) -> str:
    """The text of catalog.yaml, with the sections `catalog` and `split`."""
    lines = [HEAD]
    for section in ("catalog", "split"):
        lines += ["", f"{section}:"]
        for guess in description.guesses:
            if guess.setting.startswith(f"{section}."):
                lines += _lines(guess)
    return "\n".join(lines) + "\n"


def _lines(guess: Guess) -> Iterable[str]:
    """A setting's line; its doubts stand before it."""
    for doubt in guess.doubts:
        yield f"  # unsure: {_comment(doubt)}"
    key = guess.setting.partition(".")[2]
    yield f"  {key}: {yaml_value(guess.value)}  # {_comment(guess.reason)}"


def yaml_value(value: Any) -> str:
    """A setting's value on one line of YAML.

    >>> yaml_value(("brand", "Größe: cm", "null")), yaml_value(None), yaml_value(2)
    ('[brand, "Größe: cm", "null"]', 'null', '2')
    """
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(yaml_value(item) for item in value)}]"
    text = str(value)
    if PLAIN.fullmatch(text) and text.casefold() not in WORDS_OF_YAML:
        return text
    return yaml.dump(text, default_style='"', allow_unicode=True, width=10**9).rstrip("\n")


def _comment(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    return shown if len(shown) <= LONGEST_COMMENT else f"{shown[:LONGEST_COMMENT]}…"
