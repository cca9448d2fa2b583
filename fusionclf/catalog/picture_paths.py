"""Picture paths as people and programs write them → files below one folder, and reports of missing files."""

import os
import re
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from string import Formatter

from fusionclf.catalog.counted_examples import EXAMPLES, CountedExamples
from fusionclf.catalog.fetched import FOLDER, read_fetched
from fusionclf.catalog.listing import Listing, file_key, folder_key
from fusionclf.catalog.picture_cells import separator_in
from fusionclf.errors import CatalogError, quoted

LONGEST_EXAMPLES = 220  # characters of the examples in a message
LONGEST_PATH = 48  # characters of a path in a message
NEIGHBOURS = 500  # names of a folder on either side that are compared with a wrong one
OTHER_FOLDERS = 20  # below the root, that are searched for a file of the same name
NUMBER = re.compile(r"\d+")
URL = re.compile(r"\s*([a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)


def pattern_fields(pattern: str | None) -> list[str]:
    """The columns that a pattern such as images/{id}.jpg names; none where it is None.

    Raises:
        CatalogError: the pattern is malformed, or names no column.
    """
    if pattern is None:
        return []
    remedy = "write a path such as images/{id}.jpg, or null where the catalog has no pictures"
    try:
        pieces = list(Formatter().parse(pattern))
    except ValueError as error:
        raise CatalogError(f"catalog.picture={quoted(pattern)}: {error}; {remedy}") from error
    if any(name == "" or spec or conversion for _, name, spec, conversion in pieces):
        raise CatalogError(
            f"catalog.picture={quoted(pattern)}: only {{column}} is allowed in braces; {remedy}"
        )
    if not any(name for _, name, _, _ in pieces):
        raise CatalogError(
            f"catalog.picture={quoted(pattern)}: names no column, so all products would have the same picture; {remedy}"
        )
    return [name for _, name, _, _ in pieces if name]


def is_url(path: str) -> bool:
    """Whether a path is a URL."""
    return URL.match(path) is not None


def is_outside(path: str) -> bool:
    """Whether a relative path leads out of its folder, judged by its text."""
    if path.startswith(("/", "\\")):
        return True
    return ".." in path and ".." in re.split(r"[/\\]", path)


@dataclass
class MissingPictures(CountedExamples):
    """Products without a picture file.

    Attributes:
        count: how many.
        empty: those whose path is empty.
        urls: those whose path is a URL.
        lists: those whose path holds several file names with a separator between.
        separator: that of the first of them.
        examples: paths of missing files, each with the nearest existing file.
    """

    empty: int = 0
    urls: int = 0
    lists: int = 0
    separator: str = ""

    def add_path(self, finder: "PictureFinder | None", path: str) -> None:
        """Count a product whose picture is not at `path` ("" where its cell is empty).

        Args:
            finder: finds the nearest file for the first few examples; None: no examples are collected.
            path: as the catalog's file gives it.
        """
        if not path.strip():
            self.count, self.empty = self.count + 1, self.empty + 1
            return
        self.urls += is_url(path)
        if sign := separator_in(path):
            self.lists, self.separator = self.lists + 1, self.separator or sign
        if finder is None:
            self.count += 1
        else:
            self.add(lambda: finder.described(path))

    def __str__(self) -> str:
        """The missing paths and the remedy, in one line."""
        sentences = []
        if self.empty:
            sentences.append(f"{self.empty:,} empty cell(s)")
        if self.urls:
            sentences.append(f"{self.urls:,} URL(s): download the pictures by `fusionclf data fetch`")
        if self.lists:
            setting = f"catalog.picture_separator={self.separator}"
            sentences.append(f"{self.lists:,} cell(s) with several paths: set '{setting}'")
        if self.examples:
            shown = [text for n, text in enumerate(self.examples) if not n or self._fits(n)]
            more = ["…"] if self.count - self.empty > len(shown) else []
            sentences.append(f"looked for {', '.join([*shown, *more])}")
        return "; ".join(sentences)

    def _fits(self, number: int) -> bool:
        return sum(map(len, self.examples[: number + 1])) <= LONGEST_EXAMPLES

    def __add__(self, other: "MissingPictures") -> "MissingPictures":
        return MissingPictures(
            self.count + other.count, [*self.examples, *other.examples][:EXAMPLES],
            self.empty + other.empty, self.urls + other.urls,
            self.lists + other.lists, self.separator or other.separator,
        )  # fmt: skip


class PictureFinder:
    """Finds files below a folder by paths that may be nearly right. Each folder is listed once.

    A path also means a file from which it differs in double slashes, backslashes, blanks at the ends of a name,
    Unicode form, or the case of the suffix, or where it is absolute and inside the folder. A path that could mean
    several files is not found. A URL means the file that `fusionclf data fetch` stored.

    Args:
        root: the folder. Nothing outside it is found; symbolic links in it are followed.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = os.path.abspath(root)
        self._bases = tuple(dict.fromkeys((self.root, os.path.realpath(root))))
        self._listings: dict[str, Listing] = {}

    def relative(self, path: str) -> str | None:
        """The path below the folder, unchanged where it is one already, or a URL; None where it leads out."""
        if "\0" in path:
            return None
        if is_url(path):
            return path
        bare = path.strip()
        if not is_outside(bare):
            return path
        bare = bare.replace("\\", "/")
        for base in self._bases:
            below = bare.removeprefix(base.rstrip("/") + "/").lstrip("/")
            if bare.startswith(base.rstrip("/") + "/") and not is_outside(below):
                return below
        return None

    def has(self, path: str) -> bool:
        """Whether a path below the folder is that of a file, letter by letter."""
        if is_url(path):
            return False
        folder, name = os.path.split(path)
        return os.path.join(folder, name) == path and name in self._listing(folder).files

    def find(self, path: str) -> str | None:
        """The one file that a path can mean, below the root; None where there is none, or several."""
        below = self.relative(path)
        if below is not None and is_url(below):
            return self._fetched.get(below.strip())
        if below is None or not (names := _components(below)):
            return None
        place = self._folder(names[:-1])
        if place is None:
            return None
        listing = self._listing(place)
        name = _only(names[-1], listing.files, listing.files_by_key, file_key)
        return None if name is None else os.path.join(place, name)

    def described(self, path: str) -> str:
        """A path in quotes, with the nearest existing file, for a message."""
        near = self.nearest(path)
        return _quoted(path) + (f" (there is {_quoted(near)})" if near else "")

    def nearest(self, path: str) -> str | None:
        """The file most similar to a path: in the same folder, or of the same name; None where there is none."""
        *folders, name = _components(path) or [""]
        place = None if is_url(path) else self._folder(folders)
        if place is not None and (near := _near(name, self._listing(place).ordered)):
            return os.path.join(place, near)
        top = self._listing("")
        for other in ["", *sorted(top.folders)[:OTHER_FOLDERS]]:
            for match in self._listing(other).files_by_key.get(file_key(name), ()):
                return os.path.join(other, match)
        return None

    @cached_property
    def _fetched(self) -> dict[str, str]:
        """URL → its file, of pictures that `fusionclf data fetch` put into the folder, or one below it."""
        return {
            url: os.path.join(place, name)
            for place in ("", FOLDER)
            for url, name in read_fetched(os.path.join(self.root, place)).items()
            if name in self._listing(place).files
        }

    def _folder(self, names: Sequence[str]) -> str | None:
        """The one folder below the root that these names can mean."""
        place = ""
        for name in names:
            listing = self._listing(place)
            found = _only(name, listing.folders, listing.folders_by_key, folder_key)
            if found is None:
                return None
            place = os.path.join(place, found)
        return place

    def _listing(self, folder: str) -> Listing:
        if folder not in self._listings:
            self._listings[folder] = Listing(os.path.join(self.root, folder))
        return self._listings[folder]


def _only(name: str, names: set[str], by_key: dict[str, list[str]], key: Callable[[str], str]) -> str | None:
    """The one of some names that `name` means: itself, or the only one that is spelled nearly like it."""
    if name in names:
        return name
    same = by_key.get(key(name), ())
    return same[0] if len(same) == 1 else None


def _components(path: str) -> list[str]:
    """The names that a path is made of; blanks at its ends, empty names and single dots are left out."""
    return [name for name in re.split(r"[/\\]", path.strip()) if name.strip() not in ("", ".")]


def _near(name: str, ordered: Sequence[str]) -> str | None:
    """The name most similar to another: of the same stem, or with few letters but no number changed."""
    place = bisect(ordered, name)
    around = ordered[max(0, place - NEIGHBOURS) : place + NEIGHBOURS]
    stem = os.path.splitext(name)[0].casefold()
    same = [other for other in around if os.path.splitext(other)[0].casefold() == stem]
    numbers = NUMBER.findall(name)
    alike = same or [other for other in around if NUMBER.findall(other) == numbers]
    close = get_close_matches(name[:200], alike, n=1) or same
    return close[0] if close else None


def _quoted(path: str) -> str:
    """A path in quotes; of a long one, its beginning and its end."""
    if len(path) > LONGEST_PATH:
        path = f"{path[: LONGEST_PATH // 3]}…{path[-LONGEST_PATH * 2 // 3 :]}"
    return repr(path)
