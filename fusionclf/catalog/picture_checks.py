"""What is in a catalog's pictures, and what is wrong with them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fusionclf.catalog.decoding import decoded_picture
from fusionclf.catalog.pictures import map_paths, picture_hash
from fusionclf.catalog.records import Catalog
from fusionclf.errors import PictureError

GRAYSCALE = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes without colour
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PictureFacts:
    """What decoding all pictures showed.

    A picture is named by its product's id; of several, the second is "ID picture 2".

    Attributes:
        decoded: pictures that can be used.
        missing: ids of products without a picture, where settings keep these products.
        unreadable: name → reason.
        without_readable: ids of products that have pictures, none of which can be read.
        several: products with several pictures.
        grayscale: names of pictures without colour channels.
        turned: names of pictures whose EXIF orientation is not upright; they are turned when they are read.
        usual_size: width × height of most pictures.
        odd_sizes: names of pictures of another size.
        identical: pictures with the same pixels as another one.
        identical_groups: groups of such pictures.
        conflicting_groups: ids of each such group whose products have different labels.
        test_pictures_in_train: test products of whose pictures a train or validation product has one, too.
    """

    decoded: int
    missing: list[str]
    unreadable: dict[str, str]
    grayscale: list[str]
    turned: list[str]
    usual_size: str
    odd_sizes: list[str]
    identical: int
    identical_groups: int
    conflicting_groups: list[list[str]]
    test_pictures_in_train: int
    without_readable: list[str] = field(default_factory=list)
    several: int = 0


@dataclass(frozen=True)
class _Inspection:
    """One picture: its mode, size and pixel hash, or why it cannot be used; empty where there is no picture."""

    mode: str = ""
    turned: bool = False
    size: str = ""
    digest: str | None = None
    fault: str = ""


def _inspect(path: Path | None) -> _Inspection:
    if path is None:
        return _Inspection()
    try:
        with decoded_picture(path) as decoded:
            width, height = decoded.size
            return _Inspection(
                decoded.mode, decoded.turned, f"{width} x {height}", picture_hash(decoded.picture)
            )
    except PictureError as error:
        return _Inspection(fault=str(error).removeprefix(f"{path}: "))


def check_pictures(
    catalog: Catalog, train: np.ndarray, test: np.ndarray, progress: Progress | None
) -> PictureFacts:
    """Decode every picture of a catalog.

    Args:
        catalog: the products.
        train, test: catalog rows of the train and validation subsets, and of the test subset.
        progress: called with the number of pictures that are done and in all.
    """
    inspections = map_paths(catalog.flat_picture_paths(), _inspect, progress)
    owners, ids = catalog.picture_owners.tolist(), catalog.table["id"].tolist()
    labels = catalog.table["label"].tolist()
    groups, digests = defaultdict(list), [set[str]() for _ in ids]
    for row, found in zip(owners, inspections, strict=True):
        if found.digest:
            groups[found.digest].append(row)
            digests[row].add(found.digest)
    equal = [rows for rows in groups.values() if len(rows) > 1]
    sizes = Counter(found.size for found in inspections if found.size)
    usual = sizes.most_common(1)[0][0] if sizes else ""
    named = list(zip(_names(owners, ids), inspections, strict=True))
    there = catalog.table["picture"].notna().tolist()
    unread = [row for row, own in enumerate(digests) if there[row] and not own]
    return PictureFacts(
        decoded=sum(found.digest is not None for found in inspections),
        missing=[name for name, found in named if found == _Inspection()],
        unreadable={name: found.fault for name, found in named if found.fault},
        grayscale=[name for name, found in named if found.mode in GRAYSCALE],
        turned=[name for name, found in named if found.turned],
        usual_size=usual,
        odd_sizes=[name for name, found in named if found.size not in ("", usual)],
        identical=sum(map(len, equal)),
        identical_groups=len(equal),
        conflicting_groups=[
            [ids[row] for row in dict.fromkeys(rows)]
            for rows in equal
            if len({labels[row] for row in rows}) > 1
        ],
        test_pictures_in_train=_count_sharing(digests, train, test),
        without_readable=[ids[row] for row in unread],
        several=len(catalog.further_pictures),
    )


def _names(owners: Sequence[int], ids: Sequence[str]) -> list[str]:
    """The name of each picture: its product's id, and from the second on its number."""
    names, number, before = [], 1, -1
    for row in owners:
        number = number + 1 if row == before else 1
        names.append(ids[row] if number == 1 else f"{ids[row]} picture {number}")
        before = row
    return names


def _count_sharing(digests: Sequence[set[str]], train: np.ndarray, test: np.ndarray) -> int:
    """How many test rows have a picture that a train row has, too."""
    known = {digest for row in train for digest in digests[row]}
    return sum(not known.isdisjoint(digests[row]) for row in test)


def usable_pictures(catalog: Catalog, pictures: PictureFacts | None) -> np.ndarray:
    """(N,) whether each product has a picture that can be read; without `pictures`, whether it names one."""
    there = catalog.table["picture"].notna().to_numpy(bool)
    unreadable = pictures.without_readable if pictures else []
    return there & ~catalog.table["id"].isin(unreadable).to_numpy(bool)


def count_shared(values: Sequence[Hashable], train: np.ndarray, test: np.ndarray) -> int:
    """How many test rows have a value that a train row has, too; "" and None are no values."""
    known = {values[row] for row in train} - {"", None}
    return sum(values[row] in known for row in test)
