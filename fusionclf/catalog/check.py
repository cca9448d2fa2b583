"""What is in a catalog, what is wrong with it, and whether its split can be used: `fusionclf data check`."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fusionclf.catalog.cell_checks import (
    count_cells,
    labels_with_path,
    several_parents,
    several_paths,
    spellings_by_column,
    with_several,
)
from fusionclf.catalog.counted_examples import Noted
from fusionclf.catalog.decoding import decoded_picture
from fusionclf.catalog.picture_paths import MissingPictures
from fusionclf.catalog.pictures import map_paths, picture_hash
from fusionclf.catalog.records import Catalog
from fusionclf.catalog.splits import NO_CHOICE, Split
from fusionclf.catalog.usable import UnusedRows, unused_by_models
from fusionclf.errors import CatalogError, PictureError

GRAYSCALE = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes without colour
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PictureFacts:
    """What decoding all pictures told.

    Attributes:
        decoded: pictures that can be used.
        missing: ids of products without a picture (settings keep them).
        unreadable: id → reason.
        grayscale: ids of pictures without colour channels.
        turned: ids of pictures whose EXIF orientation differs from upright; they are turned when they are read.
        usual_size: width × height of most pictures.
        odd_sizes: ids of pictures of another size.
        identical: pictures that show the same pixels as another one.
        identical_groups: groups of such pictures.
        conflicting_groups: ids of each such group whose products have different labels.
        test_pictures_in_train: test products whose picture a train or validation product shows.
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


@dataclass(frozen=True)
class PartFacts:
    """One part of the split."""

    part: str
    classes: int
    train: int
    validation: int
    test: int
    without_train: dict[str, int]  # class → its test rows, most first
    without_validation: list[str]
    without_test: list[str]
    unseen_rows: int
    ceiling: float  # percentage of test rows whose class has a train row


@dataclass(frozen=True)
class Audit:
    """All findings; `usable` says whether training can start."""

    rows_read: int
    repaired: list[str]
    multiline: list[str]
    dropped: dict[str, list[str]]
    products: int
    lost_classes: list[str]
    bad_years: list[str]
    without_year: list[str]
    without_title: list[str]
    levels: dict[str, int]
    single_product_classes: list[str]
    spellings: dict[str, list[str]]  # column → names that differ in case, blanks or Unicode form alone
    joined: dict[str, int]  # column → rows whose spelling was replaced
    labels_with_path: list[str]
    missing_words: dict[str, Noted]
    corrected_paths: Noted
    missing_pictures: MissingPictures
    na_texts: dict[str, int]
    empty_cells: dict[str, int]
    read_as_missing_by_pandas: dict[str, int]
    titles_with_several_labels: int
    titles_naming_the_label: float
    classes_with_several_paths: list[str]
    categories_with_several_parents: list[str]
    random_split_titles_in_train: float
    test_titles_in_train: int | None  # None: there is no split
    parts: list[PartFacts]
    pictures: PictureFacts | None
    unused: dict[str, UnusedRows] = field(
        default_factory=dict
    )  # kind of model → train rows it cannot learn from
    problems: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether nothing stands in the way of training."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `data check --json` prints it."""
        unused = {kind: found.model_dump(mode="json") for kind, found in self.unused.items()}
        return {**asdict(self), "unused": unused, "usable": self.usable}


def audit_catalog(
    catalog: Catalog,
    split: Split | CatalogError,
    *,
    unreadable: str = "error",
    decode: bool = True,
    progress: Progress | None = None,
) -> Audit:
    """Look at every row and every picture.

    Args:
        catalog: the products.
        split: their division, or why there is none.
        unreadable: "error" makes an unreadable picture a problem, "drop" does not.
        decode: whether to look at the pictures.
        progress: called with the pictures done and to do.
    """
    table, columns = catalog.table, catalog.columns
    text_columns = [*columns.categories, *columns.metadata]
    labels, has_title = table["label"].tolist(), catalog.has_title
    titles = table["title"].where(has_title, "").tolist()
    divided = isinstance(split, Split)
    train = split.rows(catalog, None, "train", "validation") if divided else np.zeros(0, np.int64)
    test = split.rows(catalog, None, "test") if divided else np.zeros(0, np.int64)
    parts = [_part_facts(catalog, split, part) for part in split.classes] if divided else []
    pictures = _picture_facts(catalog, train, test, progress) if decode else None
    return Audit(
        rows_read=catalog.reading.rows_read,
        repaired=catalog.reading.repaired,
        multiline=catalog.reading.multiline,
        dropped=catalog.reading.dropped,
        products=len(catalog),
        lost_classes=catalog.reading.lost_classes,
        bad_years=catalog.reading.bad_years,
        without_year=table["id"][table["year"].isna()].tolist() if columns.year else [],
        without_title=table["id"][~has_title].tolist(),
        levels={name: len(set(table[name]) - {""}) for name in columns.categories}
        | {"label": len(catalog.classes)},
        single_product_classes=sorted(name for name, n in Counter(labels).items() if n == 1),
        spellings=spellings_by_column(catalog),
        joined=catalog.reading.joined,
        labels_with_path=labels_with_path(catalog),
        missing_words=catalog.reading.missing_words,
        corrected_paths=catalog.reading.corrected_paths,
        missing_pictures=catalog.reading.missing_pictures,
        na_texts=count_cells(catalog, text_columns, "NA"),
        empty_cells=count_cells(catalog, text_columns, ""),
        read_as_missing_by_pandas=count_cells(catalog, text_columns, "", "NA"),
        titles_with_several_labels=len(with_several(zip(titles, labels, strict=True))),
        titles_naming_the_label=100 * _share_named(titles, labels),
        classes_with_several_paths=several_paths(catalog),
        categories_with_several_parents=several_parents(catalog),
        random_split_titles_in_train=_random_leakage(titles),
        test_titles_in_train=_shared(titles, train, test) if divided else None,
        parts=parts,
        pictures=pictures,
        unused=unused_by_models(catalog, train, _has_picture(catalog, pictures)),
        problems=_problems(catalog, split, pictures, unreadable),
    )


def _has_picture(catalog: Catalog, pictures: PictureFacts | None) -> np.ndarray:
    """(N,) whether each product has a picture that can be read, as far as pictures were looked at."""
    there = catalog.table["picture"].notna().to_numpy(bool)
    unreadable = list(pictures.unreadable) if pictures else []
    return there & ~catalog.table["id"].isin(unreadable).to_numpy(bool)


def _problems(
    catalog: Catalog, split: Split | CatalogError, pictures: PictureFacts | None, unreadable: str
) -> list[str]:
    """What stands in the way of training, each with its remedy."""
    if isinstance(split, CatalogError):
        found = [str(split)]
    else:
        found = [] if split.has_choice(catalog) else [NO_CHOICE]
    if pictures and pictures.unreadable and unreadable == "error":
        count = len(pictures.unreadable)
        found.append(f"{count} picture(s) cannot be decoded: mend them, or set pictures.unreadable=drop")
    return found


def title_names(title: str, label: str) -> bool:
    """Whether a title contains its class's name, if need be without the final s, in any case."""
    return label.lower().removesuffix("s") in title.lower()


def _share_named(titles: list[str], labels: list[str]) -> float:
    named = sum(title_names(title, label) for title, label in zip(titles, labels, strict=True))
    return named / max(len(titles), 1)


def _shared(values: Sequence[Hashable], train: np.ndarray, test: np.ndarray) -> int:
    """Test rows whose value a train row has; "" and None are no values."""
    known = {values[row] for row in train} - {"", None}
    return sum(values[row] in known for row in test)


def _random_leakage(titles: list[str]) -> float:
    """Percentage of test rows of a random 80/20 split whose title a train row has."""
    order = np.random.default_rng(0).permutation(len(titles))
    cut = len(order) // 5
    return 100 * _shared(titles, order[cut:], order[:cut]) / max(cut, 1)


def _part_facts(catalog: Catalog, split: Split, part: str) -> PartFacts:
    def labels(*subsets: str) -> Counter[str]:
        return Counter(catalog.table["label"].iloc[split.rows(catalog, part, *subsets)])

    names = split.classes[part]
    train, validation, test = (labels(subset) for subset in ("train", "validation", "test"))
    unseen = [(test[name], name) for name in names if not train[name] and not validation[name]]
    unseen_rows = sum(n for n, _ in unseen)
    return PartFacts(
        part=part,
        classes=len(names),
        train=train.total(),
        validation=validation.total(),
        test=test.total(),
        without_train={name: n for n, name in sorted(unseen, key=lambda item: (-item[0], item[1]))},
        without_validation=[name for name in names if not validation[name]],
        without_test=[name for name in names if not test[name]],
        unseen_rows=unseen_rows,
        ceiling=100 * (1 - unseen_rows / test.total()),
    )


@dataclass(frozen=True)
class _Look:
    """One picture: its mode, size and pixel hash, or why it cannot be used; nothing where there is none."""

    mode: str = ""
    turned: bool = False
    size: str = ""
    digest: str | None = None
    fault: str = ""


def _look(path: Path | None) -> _Look:
    if path is None:
        return _Look()
    try:
        with decoded_picture(path) as decoded:
            width, height = decoded.size
            return _Look(decoded.mode, decoded.turned, f"{width} x {height}", picture_hash(decoded.picture))
    except PictureError as error:
        return _Look(fault=str(error).removeprefix(f"{path}: "))


def _picture_facts(
    catalog: Catalog, train: np.ndarray, test: np.ndarray, progress: Progress | None
) -> PictureFacts:
    looks = map_paths(catalog.picture_paths(), _look, progress)
    ids, labels = catalog.table["id"].tolist(), catalog.table["label"].tolist()
    groups = defaultdict(list)
    for row, look in enumerate(looks):
        if look.digest:
            groups[look.digest].append(row)
    equal = [rows for rows in groups.values() if len(rows) > 1]
    sizes = Counter(look.size for look in looks if look.size)
    usual = sizes.most_common(1)[0][0] if sizes else ""
    seen = list(zip(ids, looks, strict=True))
    return PictureFacts(
        decoded=sum(look.digest is not None for look in looks),
        missing=[product for product, look in seen if look == _Look()],
        unreadable={product: look.fault for product, look in seen if look.fault},
        grayscale=[product for product, look in seen if look.mode in GRAYSCALE],
        turned=[product for product, look in seen if look.turned],
        usual_size=usual,
        odd_sizes=[product for product, look in seen if look.size not in ("", usual)],
        identical=sum(map(len, equal)),
        identical_groups=len(equal),
        conflicting_groups=[[ids[r] for r in rows] for rows in equal if len({labels[r] for r in rows}) > 1],
        test_pictures_in_train=_shared([look.digest for look in looks], train, test),
    )
