"""What is in a catalog, what is wrong with it, and whether its split can be used: `fusionclf data check`."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fusionclf.catalog.pictures import open_picture, picture_hash
from fusionclf.catalog.records import Catalog
from fusionclf.catalog.splits import Split
from fusionclf.errors import PictureError

# Cells that pandas.read_csv takes for missing unless it is told not to (its documentation, `na_values`).
PANDAS_MISSING = ("NA", "N/A", "NaN", "nan", "NULL", "null", "None", "n/a", "<NA>", "#N/A", "-NaN", "-nan")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PictureFacts:
    """What decoding all pictures told.

    Attributes:
        decoded: pictures that can be used.
        unreadable: id → reason.
        grayscale: ids of pictures without colour channels.
        usual_size: width × height of most pictures.
        odd_sizes: ids of pictures of another size.
        identical: pictures that show the same pixels as another one.
        identical_groups: groups of such pictures.
        conflicting_groups: groups whose products have different labels.
        test_pictures_in_train: test products whose picture a train or validation product shows.
    """

    decoded: int
    unreadable: dict[str, str]
    grayscale: list[str]
    usual_size: str
    odd_sizes: list[str]
    identical: int
    identical_groups: int
    conflicting_groups: int
    test_pictures_in_train: int


@dataclass(frozen=True)
class PartFacts:
    """One part of the split."""

    part: str
    classes: int
    train: int
    validation: int
    test: int
    without_train: list[str]
    without_validation: list[str]
    without_test: list[str]
    unseen_rows: int
    ceiling: float


@dataclass(frozen=True)
class Audit:
    """All findings; `usable` says whether training can start."""

    rows_read: int
    repaired: list[str]
    dropped: dict[str, list[str]]
    products: int
    bad_years: list[str]
    without_year: list[str]
    without_title: int
    levels: dict[str, int]
    single_product_classes: list[str]
    na_texts: dict[str, int]
    empty_cells: dict[str, int]
    read_as_missing_by_pandas: dict[str, int]
    titles_with_several_labels: int
    titles_naming_the_label: float
    classes_with_several_paths: list[str]
    categories_with_several_parents: list[str]
    test_titles_in_train: int
    random_split_titles_in_train: float
    parts: list[PartFacts]
    pictures: PictureFacts | None
    problems: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether nothing stands in the way of training."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `data check --json` prints it."""
        return {**asdict(self), "usable": self.usable}


def audit_catalog(
    catalog: Catalog, split: Split, *, unreadable: str = "error", progress: Progress | None = None
) -> Audit:
    """Look at every row and every picture.

    Args:
        catalog: the products.
        split: their division.
        unreadable: "error" makes an unreadable picture a problem, "drop" does not.
        progress: called with the pictures done and to do.
    """
    table, columns = catalog.table, catalog.columns
    text_columns = [*columns.categories, *columns.metadata]
    train = split.rows(catalog, None, "train", "validation")
    test = split.rows(catalog, None, "test")
    titles, labels = table["title"].tolist(), table["label"].tolist()
    pictures = _picture_facts(catalog, train, test, progress)
    problems = []
    if pictures.unreadable and unreadable == "error":
        problems.append(
            f"{len(pictures.unreadable)} picture(s) cannot be decoded: mend them, or set pictures.unreadable=drop"
        )
    return Audit(
        rows_read=catalog.reading.rows_read,
        repaired=catalog.reading.repaired,
        dropped=catalog.reading.dropped,
        products=len(catalog),
        bad_years=catalog.reading.bad_years,
        without_year=table["id"][table["year"].isna()].tolist() if columns.year else [],
        without_title=titles.count(""),
        levels={name: table[name].nunique() for name in columns.categories} | {"label": len(catalog.classes)},
        single_product_classes=sorted(name for name, n in Counter(labels).items() if n == 1),
        na_texts=_count_cells(catalog, text_columns, "NA"),
        empty_cells=_count_cells(catalog, text_columns, ""),
        read_as_missing_by_pandas=_count_cells(catalog, text_columns, "", *PANDAS_MISSING),
        titles_with_several_labels=_with_several(zip(titles, labels, strict=True)),
        titles_naming_the_label=100 * _share_named(titles, labels),
        classes_with_several_paths=_several_paths(catalog),
        categories_with_several_parents=_several_parents(catalog),
        test_titles_in_train=_shared(titles, train, test),
        random_split_titles_in_train=_random_leakage(catalog, titles),
        parts=[_part_facts(catalog, split, part) for part in split.classes],
        pictures=pictures,
        problems=problems,
    )


def _count_cells(catalog: Catalog, columns: Iterable[str], *texts: str) -> dict[str, int]:
    counts = {name: int(catalog.table[name].isin(texts).sum()) for name in columns}
    return {name: n for name, n in counts.items() if n}


def _with_several(pairs: Iterable[tuple[str, str]]) -> int:
    values = defaultdict(set)
    for key, value in pairs:
        values[key].add(value)
    return sum(len(found) > 1 for key, found in values.items() if key)


def title_names(title: str, label: str) -> bool:
    """Whether a title contains its class's name, in the plural or the singular, whatever the case."""
    return label.lower().removesuffix("s") in title.lower()


def _share_named(titles: list[str], labels: list[str]) -> float:
    return float(np.mean([title_names(title, label) for title, label in zip(titles, labels, strict=True)]))


def _several_paths(catalog: Catalog) -> list[str]:
    paths = catalog.table[["label", *catalog.columns.categories]].drop_duplicates()
    counts = paths["label"].value_counts()
    return sorted(counts[counts > 1].index)


def _several_parents(catalog: Catalog) -> list[str]:
    found = []
    levels = catalog.columns.categories
    for upper, lower in zip(levels[:-1], levels[1:], strict=True):
        counts = catalog.table[[upper, lower]].drop_duplicates()[lower].value_counts()
        found += sorted(counts[counts > 1].index)
    return found


def _shared(values: list[Any], train: np.ndarray, test: np.ndarray) -> int:
    known = {values[row] for row in train} - {"", None}
    return sum(values[row] in known for row in test)


def _random_leakage(catalog: Catalog, titles: list[str]) -> float:
    """Percentage of test rows of a random 80/20 split whose title a train row has."""
    order = np.random.default_rng(0).permutation(len(catalog))
    cut = len(order) // 5
    return 100 * _shared(titles, order[cut:], order[:cut]) / max(cut, 1)


def _part_facts(catalog: Catalog, split: Split, part: str) -> PartFacts:
    def labels(*subsets: str) -> Counter[str]:
        return Counter(catalog.table["label"].iloc[split.rows(catalog, part, *subsets)])

    names = split.classes[part]
    train, validation, test = (labels(subset) for subset in ("train", "validation", "test"))
    unseen = sum(n for name, n in test.items() if not train[name] and not validation[name])
    return PartFacts(
        part=part,
        classes=len(names),
        train=train.total(),
        validation=validation.total(),
        test=test.total(),
        without_train=[name for name in names if not train[name] and not validation[name]],
        without_validation=[name for name in names if not validation[name]],
        without_test=[name for name in names if not test[name]],
        unseen_rows=unseen,
        ceiling=100 * (1 - unseen / test.total()),
    )


@dataclass(frozen=True)
class _Look:
    """One picture: its mode, size and pixel hash, or why it cannot be used."""

    mode: str = ""
    size: str = ""
    digest: str | None = None
    fault: str = ""


def _look(path: Path | None) -> _Look:
    if path is None:
        return _Look(fault="missing")
    try:
        picture = open_picture(path)
        with Image.open(path) as header:
            mode = header.mode
    except PictureError as error:
        return _Look(fault=str(error).removeprefix(f"{path}: "))
    return _Look(mode, f"{picture.width}×{picture.height}", picture_hash(picture))


def _picture_facts(
    catalog: Catalog, train: np.ndarray, test: np.ndarray, progress: Progress | None
) -> PictureFacts:
    paths = catalog.picture_paths()
    looks: list[_Look] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for look in pool.map(_look, paths):
            looks.append(look)
            if progress and len(looks) % 200 == 0:
                progress(len(looks), len(paths))
    ids, labels = catalog.table["id"].tolist(), catalog.table["label"].tolist()
    groups = defaultdict(list)
    for row, look in enumerate(looks):
        if look.digest:
            groups[look.digest].append(row)
    equal = [rows for rows in groups.values() if len(rows) > 1]
    sizes = Counter(look.size for look in looks if look.size)
    usual = sizes.most_common(1)[0][0] if sizes else ""
    return PictureFacts(
        decoded=sum(not look.fault for look in looks),
        unreadable={
            ids[row]: look.fault for row, look in enumerate(looks) if look.fault not in ("", "missing")
        },
        grayscale=[ids[row] for row, look in enumerate(looks) if look.mode in ("L", "LA", "1", "I;16")],
        usual_size=usual,
        odd_sizes=[ids[row] for row, look in enumerate(looks) if look.size not in ("", usual)],
        identical=sum(map(len, equal)),
        identical_groups=len(equal),
        conflicting_groups=sum(len({labels[row] for row in rows}) > 1 for rows in equal),
        test_pictures_in_train=_shared([look.digest for look in looks], train, test),
    )


def printable(text: str) -> str:
    """Catalog text without control characters, which could steer a terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", text)
