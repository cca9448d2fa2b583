"""The files and folders in one folder, by name and by a key that all spellings of a name share."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property

from fusionclf.errors import CatalogError


class Listing:
    """Names of the files and of the folders in a folder; none where there is no such folder.

    Raises:
        CatalogError: the folder cannot be read.
    """

    def __init__(self, folder: str) -> None:
        self.files: set[str] = set()
        self.folders: set[str] = set()
        if not os.path.isdir(folder):
            return
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_file():
                        self.files.add(entry.name)
                    elif entry.is_dir():
                        self.folders.add(entry.name)
        except OSError as error:
            raise CatalogError(
                f"{folder}: cannot be read ({error.strerror}); check its permissions"
            ) from error

    @cached_property
    def ordered(self) -> list[str]:
        """The files, by name."""
        return sorted(self.files)

    @cached_property
    def files_by_key(self) -> dict[str, list[str]]:
        """The files by a key that all spellings of a path share."""
        return _by_key(self.ordered, file_key)

    @cached_property
    def folders_by_key(self) -> dict[str, list[str]]:
        """The folders by a key that all spellings of a path share."""
        return _by_key(sorted(self.folders), folder_key)


def _by_key(names: Sequence[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[key(name)].append(name)
    return dict(found)


def folder_key(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def file_key(name: str) -> str:
    stem, dot, suffix = folder_key(name).rpartition(".")
    return f"{stem.strip()}.{suffix.strip().casefold()}" if dot else suffix
