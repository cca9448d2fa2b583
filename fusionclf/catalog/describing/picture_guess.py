"""Which cells name pictures: files below the catalog's folder, or URLs."""

import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from fusionclf.catalog.describing.evidence import SET, Evidence, Guess, listed, percent
from fusionclf.catalog.describing.profile import PICTURE, Profile, spread
from fusionclf.catalog.picture_paths import URL, pattern_fields
from fusionclf.errors import CatalogError

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2"))
MOST_FILES = 300_000  # that are listed; the rest of a larger folder looks alike
LOOKED_AT = 200  # cells of a column
SEPARATORS = ("|", ";", ",", "\n", " ")
SETTINGS = ("catalog.picture", "catalog.picture_separator")


@dataclass(frozen=True)
class Found:
    """How a column's cells lead to pictures.

    Attributes:
        column: the profile.
        pattern: for catalog.picture.
        separator: between the pictures of a cell; None: one a cell, or a JSON list.
        several: whether cells hold lists.
        share: of the cells that lead to a file, or are URLs.
        is_url: whether they are URLs.
        is_named: whether the cells name pictures themselves; else the pictures are named by an id.
    """

    column: Profile
    pattern: str
    separator: str | None
    several: bool
    share: float
    is_url: bool
    is_named: bool


class PictureFiles:
    """The picture files below a folder, by name and by stem."""

    def __init__(self, root: Path) -> None:
        self.folders: dict[str, list[str]] = defaultdict(
            list
        )  # file name → folders, relative, "" for the root
        self.stems: dict[str, list[tuple[str, str]]] = defaultdict(list)  # stem → (folder, suffix)
        self.count = 0
        seen: set[str] = set()  # a link may lead back to a folder above it
        for folder, below, names in os.walk(root, followlinks=True):
            if (real := os.path.realpath(folder)) in seen:
                below.clear()
                continue
            seen.add(real)
            below[:] = sorted(name for name in below if not name.startswith("."))
            relative = os.path.relpath(folder, root).replace(os.sep, "/")
            for name in names:
                self._add("" if relative == "." else relative, name)
            if self.count >= MOST_FILES:
                break

    def _add(self, folder: str, name: str) -> None:
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in SUFFIXES:
            self.folders[name].append(folder)
            self.stems[stem].append((folder, suffix))
            self.count += 1

    def prefixes(self, path: str) -> list[str]:
        """What to write before a path so that it leads to a file: "" or a folder with a slash at its end."""
        below, _, name = path.replace("\\", "/").strip().lstrip("/").rpartition("/")
        below = "/".join(piece for piece in below.split("/") if piece not in ("", "."))
        found = []
        for folder in self.folders.get(name, ()):
            if folder == below:
                found.append("")
            elif not below or folder.endswith(f"/{below}"):
                found.append(f"{folder.removesuffix(below).rstrip('/')}/")
        return found


def guess_pictures(evidence: Evidence) -> list[Guess]:
    """The guesses of `catalog.picture` and `catalog.picture_separator`."""
    if SETTINGS[0] in evidence.pinned:
        pattern = evidence.pinned[SETTINGS[0]]
        fields = tuple(name for name in pattern_fields(pattern) if name in evidence.profiles)
        evidence.take(name for name in fields if evidence.profiles[name].names_pictures)
        return [Guess(SETTINGS[0], pattern, SET, fields)]
    files = PictureFiles(evidence.root)
    found = [one for profile in evidence.free() if (one := find_pictures(profile, files)) and _writable(one)]
    evidence.take(one.column.name for one in found if one.is_named)
    if not found:
        return _none(evidence, files)
    return _chosen(found)


def find_pictures(profile: Profile, files: PictureFiles) -> Found | None:
    """How a column's cells lead to pictures; None where they do not."""
    cells = spread([str(cell) for cell in profile.present], LOOKED_AT)
    separator, several = _separator(cells)
    items = [item for cell in cells for item in _items(cell, separator)]
    if profile.share(URL.match) >= 0.8 or sum(URL.match(item) is not None for item in items) >= 0.8 * len(
        items
    ):
        is_picture = sum(PICTURE.fullmatch(item) is not None for item in items) >= 0.8 * len(items)
        if not items or not (is_picture or profile.kind == "picture"):
            return None
        return Found(profile, f"{{{profile.name}}}", separator, several, 1.0, True, True)
    prefixes = Counter(prefix for item in items for prefix in files.prefixes(item))
    if prefixes and (share := prefixes.most_common(1)[0][1] / len(items)) >= 0.3:
        pattern = f"{prefixes.most_common(1)[0][0]}{{{profile.name}}}"
        return Found(profile, pattern, separator, several, share, False, True)
    stems = Counter(place for cell in cells for place in files.stems.get(cell, ()))
    if stems and profile.unique > 0.2 and stems.most_common(1)[0][1] >= 0.3 * len(cells):
        (folder, suffix), count = stems.most_common(1)[0]
        pattern = f"{folder}/{{{profile.name}}}{suffix}".removeprefix("/")
        return Found(profile, pattern, None, False, count / len(cells), False, False)
    if profile.kind == "picture" and profile.names_pictures:
        return Found(profile, f"{{{profile.name}}}", separator, several, 0.0, False, True)
    return None


def _separator(cells: list[str]) -> tuple[str | None, bool]:
    """What stands between the pictures of a cell, and whether any cell holds several."""
    if any(_json_list(cell) for cell in cells):
        return None, True
    for sign in SEPARATORS:
        lists = [pieces for cell in cells if len(pieces := _items(cell, sign)) > 1]
        fitting = sum(
            all(PICTURE.fullmatch(piece) or URL.match(piece) for piece in pieces) for pieces in lists
        )
        if lists and fitting >= 0.8 * len(lists):
            return sign, True
    return None, False


def _items(cell: str, separator: str | None) -> list[str]:
    if (listed_items := _json_list(cell)) is not None:
        return listed_items
    pieces = cell.split(separator) if separator else [cell]
    return [piece.strip() for piece in pieces if piece.strip()]


def _json_list(cell: str) -> list[str] | None:
    if not cell.startswith("["):
        return None
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
    return values if texts else None


def _writable(found: Found) -> bool:
    """Whether a pattern can name the column: some signs in a header have a meaning there."""
    try:
        return pattern_fields(found.pattern) == [found.column.name]
    except CatalogError:
        return False


def _chosen(found: list[Found]) -> list[Guess]:
    """Files before URLs, cells that name pictures before ids, lists before single pictures."""
    best = max((one.share >= 0.3 and not one.is_url, one.is_url, one.is_named) for one in found)
    same = [o for o in found if (o.share >= 0.3 and not o.is_url, o.is_url, o.is_named) == best]
    if best[2] is False:
        same = [max(same, key=lambda one: (round(one.column.unique, 1), one.share, -one.column.place))]
    lists = [one for one in same if one.several]
    main = lists[0] if lists else same[0]
    used = [one for one in same if one is main or one.separator in (None, main.separator)]
    used = [one for one in used if one is main or not _is_inside(one, main)]
    pattern = ",".join(one.pattern for one in used)
    names = tuple(one.column.name for one in used)
    doubts = _doubts(used, main)
    guesses = [Guess(SETTINGS[0], pattern, _reason(used, main), names, doubts)]
    if main.separator:
        reason = "between the pictures of a cell"
        guesses.append(Guess(SETTINGS[1], main.separator, reason))
    return guesses


def _is_inside(one: Found, main: Found) -> bool:
    """Whether nearly every cell of a column is also in the list of the main one."""
    pairs = zip(one.column.cells, main.column.cells, strict=True)
    both = [a.lstrip("/") in b for a, b in pairs if a and b]
    return bool(both) and sum(both) >= 0.9 * len(both)


def _reason(used: list[Found], main: Found) -> str:
    if main.is_url:
        what = "URLs of pictures"
    else:
        what = (
            f"{percent(main.share)} of the cells looked at lead to a file"
            if main.share
            else "names of pictures"
        )
    if main.several:
        return f"{what}, several in a cell"
    return f"{what}, in {len(used)} columns" if len(used) > 1 else what


def _doubts(used: list[Found], main: Found) -> tuple[str, ...]:
    names = listed([one.column.name for one in used])
    if main.is_url:
        return ()
    if main.share == 0:
        return (
            f"catalog.picture: no cell of {names} leads to a file below the folder; unpack the pictures there",
        )
    if main.share < 0.8:
        return (f"catalog.picture: only {percent(main.share)} of the cells of {names} lead to a file",)
    return ()


def _none(evidence: Evidence, files: PictureFiles) -> list[Guess]:
    """The guesses for a catalog without pictures."""
    there = (
        f"{files.count:,} picture files are below the folder, but no column names them" if files.count else ""
    )
    doubts = (f"catalog.picture: {there}; name them by catalog.picture",) if there else ()
    return [Guess(SETTINGS[0], None, there or "no column names pictures", (), doubts)]
