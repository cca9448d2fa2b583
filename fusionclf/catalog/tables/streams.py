"""A file's bytes and text, decompressed where gzip made it."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO, cast

from fusionclf.errors import CatalogError

GZIP = b"\x1f\x8b"
HEAD = 2**16  # bytes from which a format is recognised
WIDE = ("utf-16", "utf-32")  # a byte of another encoding cannot be kept apart in these


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise CatalogError where a file cannot be read or decompressed."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None)
        remedy = "check its permissions" if reason else "it is damaged or cut short: replace it"
        raise CatalogError(f"{path}: cannot be read ({reason or error}); {remedy}") from error


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed by gzip, by its first bytes."""
    with path.open("rb") as stream:
        return stream.read(len(GZIP)) == GZIP


def open_bytes(path: Path) -> IO[bytes]:
    """The file's content; decompressed where gzip made it."""
    return cast(IO[bytes], gzip.open(path, "rb")) if is_gzip(path) else path.open("rb")


def read_head(path: Path) -> bytes:
    """The first bytes of the content."""
    with open_bytes(path) as stream:
        return stream.read(HEAD)


@dataclass(frozen=True)
class Encoding:
    """How the bytes of a file become text.

    Attributes:
        name: as catalog.encoding names it.
        marked: whether the file begins with a byte order mark.
        fault: the first line that is not of this encoding, such as "line 3"; "" where there is none.
    """

    name: str
    marked: bool = False
    fault: str = ""

    @property
    def codec(self) -> str:
        """Python's codec, which leaves a byte order mark out."""
        return "utf-8-sig" if codecs.lookup(self.name).name == "utf-8" else self.name

    @property
    def shown(self) -> str:
        """As a message names it."""
        name = self.name.upper() if self.name.startswith("utf") else self.name
        return f"{name} with byte order mark" if self.marked and self.name == "utf-8" else name

    @property
    def is_wide(self) -> bool:
        """Whether each character takes several bytes."""
        return codecs.lookup(self.name).name.startswith(WIDE)


@dataclass(frozen=True)
class TextFile:
    """A text file whose encoding is known."""

    path: Path
    encoding: Encoding

    @contextmanager
    def open(self, *, lenient: bool = False, newline: str = "") -> Iterator[TextIO]:
        """The text.

        Args:
            lenient: keep a byte of another encoding as a lone surrogate, where it is otherwise an error.
            newline: as of `open`.

        Raises:
            CatalogError: the file cannot be read, or is of another encoding.
        """
        keeps = lenient and not self.encoding.is_wide
        try:
            with readable(self.path), open_bytes(self.path) as stream:
                text = io.TextIOWrapper(
                    stream, self.encoding.codec, "surrogateescape" if keeps else "strict", newline
                )
                yield text
        except UnicodeError as error:
            raise CatalogError(self._fault(error)) from error

    def head(self, size: int) -> str:
        """The first characters."""
        with self.open(lenient=True) as stream:
            return stream.read(size)

    def count_lines(self) -> int:
        """About the number of lines."""
        with readable(self.path), open_bytes(self.path) as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(2**20), b""))

    def _fault(self, error: UnicodeError) -> str:
        place = ""
        if isinstance(error, UnicodeDecodeError):
            place = f" (byte {error.object[error.start]:#x}, {error.reason})" if error.object else ""
        return (
            f"{self.path}: not a {self.encoding.shown} file{place}; save it as UTF-8, or set catalog.encoding"
        )
