"""Whether bytes are cp1252, which holds latin-1, rather than one of the encodings that write other letters alike."""

import re

import chardet

CODEC = "cp1252"
NAMES = (
    "windows-1252",
    "iso-8859-1",
    "iso8859-1",
    "iso8859-15",
    "iso-8859-15",
)  # of the detector, for such bytes
NEAR = 0.75  # of the score of the likeliest encoding
LIKEWISE = ("cp1250", "cp1254", "cp1257")  # write most signs and many letters as cp1252 does
SIGNS = frozenset("\u2018\u2019\u201c\u201d–—…•™®©°«»£€§×²³½¼¾·¿¡ªº±µ\u00a0\u00ad")
POUNDS = re.compile(r"£(?=\d)")
NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def candidates(sample: bytes) -> dict[str, float]:
    """The encodings that the detector finds, the likeliest first, with their scores."""
    return {
        str(found["encoding"]).lower(): float(found["confidence"]) for found in chardet.detect_all(sample)
    }


def is_western(sample: bytes) -> bool:
    """Whether lines of a table are cp1252.

    As cp1252 they must hold letters and signs that belong where they are, and either the detector finds the languages
    of Western Europe, or the other Windows encodings give the same text.

    Args:
        sample: lines that are not ASCII.

    >>> [is_western(text.encode("cp1252")) for text in ("Crème brûlée", "501™ Jeans", "Größe")]
    [True, True, True]
    >>> is_western("Męskie spodnie dżinsowe".encode("cp1250")), is_western("Größe".encode("cp850"))
    (False, False)
    """
    try:
        text = sample.decode(CODEC)
    except UnicodeDecodeError:
        return False
    if not _is_plausible(text):
        return False
    found = candidates(sample)
    own = max((found[name] for name in NAMES if name in found), default=0.0)
    return own >= NEAR * max(found.values(), default=1.0) or _is_alike(text)


def _is_plausible(text: str) -> bool:
    """Whether no letter or sign stands where only a wrong encoding puts it."""
    for match in NOT_ASCII.finditer(text):
        sign, before, after = match[0], text[match.start() - 1 : match.start()], text[match.end() :][:1]
        if sign.isalpha() and sign not in "ƒˆªºµ":
            if sign.isupper() and before.islower():
                return False
        elif sign not in SIGNS or (before.isalpha() and after.isalpha() and sign not in "\u2019·"):
            return False
    return True


def _is_alike(text: str) -> bool:
    try:
        own = POUNDS.sub("", text).encode(CODEC)
        return all(own.decode(other) == own.decode(CODEC) for other in LIKEWISE)
    except UnicodeDecodeError:
        return False
