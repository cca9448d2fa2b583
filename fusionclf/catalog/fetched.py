"""pictures/fetched.jsonl of a catalog: which file holds the picture of a URL."""

import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO

from fusionclf.errors import CatalogError

FOLDER, MANIFEST = "pictures", "fetched.jsonl"
NAME_DIGITS = 32  # of the URL's hash


def stem_of(url: str) -> str:
    """The name of a URL's file, without its suffix."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:NAME_DIGITS]


def read_fetched(folder: str | Path) -> dict[str, str]:
    """URL → name of its file in a folder; lines that are half written or name another folder are left out."""
    found: dict[str, str] = {}
    try:
        with open(os.path.join(folder, MANIFEST), encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if (entry := _entry(line)) is not None:
                    found[entry[0]] = entry[1]
    except OSError:
        return {}
    return found


def _entry(line: str) -> tuple[str, str] | None:
    try:
        values = json.loads(line)
        url, name = values["url"], values["file"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_name = isinstance(name, str) and name.startswith(stem_of(url) if isinstance(url, str) else "/")
    return (url, name) if is_name and os.path.basename(name) == name else None


def _open_itself(file: str, flags: int) -> int:
    """An opener that follows no link: that of an unpacked catalog could lead to any file."""
    return os.open(file, flags | os.O_NOFOLLOW, 0o666)


class FetchedWriter:
    """Appends to the manifest of a folder; a line that a killed command left half written stays apart.

    Raises:
        CatalogError: the manifest is a link.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / MANIFEST

    def __enter__(self) -> "FetchedWriter":
        try:
            self._stream: BinaryIO = open(self.file, "ab+", opener=_open_itself)
        except OSError as error:
            if not self.file.is_symlink():
                raise
            target = os.path.realpath(self.file)
            raise CatalogError(f"{self.file}: is a link to {target}, not a file; remove the link") from error
        if self._stream.tell():
            self._stream.seek(-1, os.SEEK_END)
            if self._stream.read(1) != b"\n":
                self._stream.write(b"\n")
        return self

    def add(self, url: str, name: str, size: int) -> None:
        """A picture that is in its place."""
        line = json.dumps({"url": url, "file": name, "bytes": size}, ensure_ascii=False)
        self._stream.write(line.encode("utf-8", "surrogatepass") + b"\n")
        self._stream.flush()

    def __exit__(self, *_: object) -> None:
        self._stream.close()
