"""What is in a catalog's pictures, and what is wrong with them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np

from fusionclf.catalog.inspection import Inspections, inspect_pictures
from fusionclf.catalog.records import Catalog

# Kinds of findings about how pictures look, and what to do about them.
LOOKS = {
    "blank": "one colour alone; replace them, or empty their cells",
    "dark": "hardly anything is visible; replace or brighten them",
    "blurred": "no sharp edge; replace them by sharper ones",
    "odd": "tiny, or ten times larger, smaller or four times longer than usual; crop or replace them",
}
ODD_AREA, ODD_SHAPE = 10, 4  # factors by which area and width / height differ from the median's
TINY = 32  # pixels of the shorter side
GRAYSCALE = [b"1", b"L", b"LA", b"I", b"I;16", b"I;16B", b"I;16L", b"F"]  # Pillow's modes without colour
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
        looks: kind of finding, as of LOOKS → names of such pictures; a kind without any is left out.
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
    looks: dict[str, list[str]] = field(default_factory=dict)


def check_pictures(
    catalog: Catalog, train: np.ndarray, test: np.ndarray, progress: Progress | None
) -> PictureFacts:
    """What is in every picture of a catalog; those are decoded that are new or have changed.

    Args:
        catalog: the products.
        train, test: catalog rows of the train and validation subsets, and of the test subset.
        progress: called with the number of pictures that are done and in all.
    """
    found = inspect_pictures(catalog.root, catalog.flat_picture_paths(), progress=progress)
    owners, ids = catalog.picture_owners.tolist(), catalog.table["id"].tolist()
    labels = catalog.table["label"].tolist()
    groups, digests = defaultdict(list), [set[bytes]() for _ in ids]
    for row, digest in zip(owners, found.digests, strict=True):
        if digest is not None:
            groups[digest].append(row)
            digests[row].add(digest)
    equal = [rows for rows in groups.values() if len(rows) > 1]
    own = found.table
    sizes = [f"{width} x {height}" if width else "" for width, height in own[["width", "height"]].tolist()]
    counts = Counter(size for size in sizes if size)
    usual = counts.most_common(1)[0][0] if counts else ""
    names = _names(owners, ids)
    there = catalog.table["picture"].notna().tolist()
    unread = [row for row, own in enumerate(digests) if there[row] and not own]
    return PictureFacts(
        decoded=int(found.decoded.sum()),
        missing=[
            name for place, name in enumerate(names) if not own["width"][place] and place not in found.faults
        ],
        unreadable={names[place]: fault for place, fault in found.faults.items()},
        grayscale=[names[place] for place in np.flatnonzero(np.isin(own["mode"], GRAYSCALE))],
        turned=[names[place] for place in np.flatnonzero(own["turned"])],
        usual_size=usual,
        odd_sizes=[name for name, size in zip(names, sizes, strict=True) if size not in ("", usual)],
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
        looks=_looks(found, names),
    )


def picture_names(catalog: Catalog) -> list[str]:
    """The name of each picture, in the order of `catalog.flat_picture_paths`: its product's id, and a number."""
    return _names(catalog.picture_owners.tolist(), catalog.table["id"].tolist())


def _looks(found: Inspections, names: Sequence[str]) -> dict[str, list[str]]:
    """The pictures of each kind of LOOKS."""
    looks = found.appearances
    masks = {
        "blank": [own is not None and own.is_blank for own in looks],
        "dark": [own is not None and own.is_dark for own in looks],
        "blurred": [own is not None and own.is_blurred for own in looks],
        "odd": _odd_sizes(found.table["width"], found.table["height"]).tolist(),
    }
    chosen = {kind: list(compress(names, masks[kind])) for kind in LOOKS}
    return {kind: some for kind, some in chosen.items() if some}


def _odd_sizes(width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """(P,) which pictures are tiny, or of a size or shape that is far from the median's; sizes are 0 for none."""
    there = width > 0
    if not there.any():
        return there
    with np.errstate(divide="ignore", invalid="ignore"):
        area, shape = np.log(width * height.astype(np.float64)), np.log(width / height)
        far = np.abs(area - np.median(area[there])) > np.log(ODD_AREA)
        far |= np.abs(shape - np.median(shape[there])) > np.log(ODD_SHAPE)
    return there & (far | (np.minimum(width, height) < TINY))


def _names(owners: Sequence[int], ids: Sequence[str]) -> list[str]:
    """The name of each picture: its product's id, and from the second on its number."""
    names, number, before = [], 1, -1
    for row in owners:
        number = number + 1 if row == before else 1
        names.append(ids[row] if number == 1 else f"{ids[row]} picture {number}")
        before = row
    return names


def _count_sharing(digests: Sequence[set[bytes]], train: np.ndarray, test: np.ndarray) -> int:
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
