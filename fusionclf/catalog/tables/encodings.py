"""The encoding of a text file: given by a setting, or recognised."""

import codecs
from dataclasses import dataclass, field
from pathlib import Path

from fusionclf.catalog.tables.streams import Encoding, open_bytes, read_head, readable
from fusionclf.catalog.tables.western import candidates, is_western
from fusionclf.errors import CatalogError, quoted

LONGEST_LINE = 2**20  # bytes that are looked at together
SAMPLE = 2**16  # bytes of lines that are not UTF-8
MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def find_encoding(path: Path, setting: str) -> Encoding:
    """The encoding that a setting names, or that `auto` finds.

    A byte order mark decides; then UTF-16 by its NUL bytes; then UTF-8, unless most lines that are not ASCII are
    not UTF-8, either; then cp1252, where the text is of Western Europe.

    Raises:
        CatalogError: the setting names no encoding, or the file may be of several ones.
    """
    with readable(path):
        head = read_head(path)
        mark = next((name for start, name in MARKS if head.startswith(start)), "")
        if setting != "auto":
            return Encoding(_checked(path, setting), bool(mark))
        if mark:
            return Encoding(mark, True)
        if wide := _utf_16(head):
            return Encoding(wide)
        lines = _Lines() if _is_utf8(path) else _lines(path)
    if lines.other <= lines.utf8:
        return Encoding("utf-8", fault=lines.first_other)
    if is_western(bytes(lines.sample)):
        return Encoding("cp1252")
    raise CatalogError(_unclear(path, lines))


def _checked(path: Path, setting: str) -> str:
    try:
        b"ab".decode(setting)
    except UnicodeDecodeError:  # such as of four bytes a character
        return setting
    except (LookupError, ValueError) as error:  # ValueError: a NUL character in the name
        raise CatalogError(
            f"{path}: catalog.encoding={quoted(setting)}: no such encoding; give auto, utf-8, utf-16, cp1252 or another"
        ) from error
    return setting


def _utf_16(head: bytes) -> str:
    """utf-16-le or utf-16-be where the NUL bytes of the head lie as in such a text; "" for others."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 20 < len(head) or max(even, odd) < 10 * min(even, odd):
        return ""
    name = "utf-16-le" if odd > even else "utf-16-be"
    try:
        text = codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return ""
    return name if "\n" in text or b"\n" not in head else ""


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_bytes(path) as stream:
            while block := stream.read(2**20):
                decoder.decode(block)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


@dataclass
class _Lines:
    """Lines that are not ASCII: how many are UTF-8, how many are not, and some of the latter."""

    utf8: int = 0
    other: int = 0
    first_other: str = ""
    sample: bytearray = field(default_factory=bytearray)


def _lines(path: Path) -> _Lines:
    found, number = _Lines(), 0
    with open_bytes(path) as stream:
        while line := stream.readline(LONGEST_LINE):
            number += 1
            if line.isascii():
                continue
            try:
                line.decode()
                found.utf8 += 1
            except UnicodeDecodeError as error:
                found.other += 1
                found.first_other = found.first_other or f"line {number} (byte {line[error.start]:#x})"
                found.sample += line if len(found.sample) + len(line) <= SAMPLE else b""
    return found


def _unclear(path: Path, lines: _Lines) -> str:
    names = list(candidates(bytes(lines.sample)))[:3]
    near = f" it may be {', '.join(names)}:" if names else ""
    return (
        f"{path}: not UTF-8 ({lines.first_other}), and its encoding is unclear;{near} set catalog.encoding, such as "
        f"catalog.encoding={names[0] if names else 'cp1252'}, or save it as UTF-8"
    )
