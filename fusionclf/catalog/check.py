"""What is in a catalog, what is wrong with it, and whether its split can be used: `fusionclf data check`."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fusionclf.catalog.cell_checks import (
    count_cells,
    labels_with_path,
    labels_with_rows,
    several_parents,
    several_paths,
    spellings_by_column,
    with_several,
)
from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.catalog.languages import TextLanguages, catalog_languages, language_warning
from fusionclf.catalog.picture_checks import (
    PictureFacts,
    Progress,
    check_pictures,
    count_shared,
    usable_pictures,
)
from fusionclf.catalog.picture_paths import MissingPictures
from fusionclf.catalog.read_report import ReadReport
from fusionclf.catalog.records import Catalog
from fusionclf.catalog.split_record import Split
from fusionclf.catalog.splits import NO_CHOICE
from fusionclf.catalog.usable import UnusedRows, unused_by_models
from fusionclf.catalog.variants import VariantLeaks, find_leaks
from fusionclf.errors import CatalogError


@dataclass(frozen=True)
class PartFacts:
    """One part of the split: its classes and rows."""

    part: str
    classes: int
    train: int
    validation: int
    test: int
    without_train: dict[str, int]  # class → its test rows, most first
    without_validation: list[str]
    without_test: list[str]
    unseen_rows: int  # test rows with a class without a train row
    ceiling: float  # percentage of the other test rows


@dataclass(frozen=True)
class CatalogCheck:
    """Everything that a check found."""

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
    missing_words: dict[str, CountedExamples]
    corrected_paths: CountedExamples
    missing_pictures: MissingPictures
    missing_further: MissingPictures
    cut_pictures: CountedExamples
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
    variants: VariantLeaks | None = None  # None: there is no split
    unused: dict[str, UnusedRows] = field(
        default_factory=dict
    )  # kind of model → train rows it cannot learn from
    problems: list[str] = field(default_factory=list)
    named_by_path: list[str] = field(
        default_factory=list
    )  # classes whose own name occurs below several paths
    several_label_paths: CountedExamples = field(default_factory=CountedExamples)
    odd_label_lists: CountedExamples = field(default_factory=CountedExamples)
    labels_a_product: dict[int, int] = field(
        default_factory=dict
    )  # number of labels → products with it; empty where each product has one
    languages: dict[str, TextLanguages] = field(default_factory=dict)  # of title and further texts
    unknown_language: str | None = None  # a warning: the sentence encoder does not know one of them

    @property
    def usable(self) -> bool:
        """Whether training can start."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `data check --json` prints it."""
        unused = {kind: found.model_dump(mode="json") for kind, found in self.unused.items()}
        return {**asdict(self), "unused": unused, "usable": self.usable}


def check_catalog(
    catalog: Catalog,
    split: Split | CatalogError,
    *,
    unreadable: str = "error",
    decode: bool = True,
    encoder: str | None = None,
    progress: Progress | None = None,
) -> CatalogCheck:
    """Check every row and every picture.

    Args:
        catalog: the products.
        split: their division, or why there is none.
        unreadable: "error" makes an unreadable picture a problem, "drop" does not.
        decode: whether to decode the pictures.
        encoder: the sentence encoder that models read texts by, as of `model.text.model`; None: the texts' languages
            are not looked for.
        progress: called with the number of pictures that are done and in all.
    """
    divided = isinstance(split, Split)
    train = split.rows(catalog, None, "train", "validation") if divided else np.zeros(0, np.int64)
    test = split.rows(catalog, None, "test") if divided else np.zeros(0, np.int64)
    titles = catalog.table["title"].where(catalog.has_title, "").tolist()
    decode = decode and catalog.columns.picture is not None
    pictures = check_pictures(catalog, train, test, progress) if decode else None
    languages = catalog_languages(catalog) if encoder is not None else {}
    return CatalogCheck(
        **_reading_facts(catalog.read_report),
        **_cell_facts(catalog),
        **_title_facts(catalog, titles),
        products=len(catalog),
        test_titles_in_train=count_shared(titles, train, test) if divided else None,
        parts=[_part_facts(catalog, split, part) for part in split.classes] if divided else [],
        pictures=pictures,
        variants=find_leaks(catalog, split, search_columns=decode) if divided else None,
        unused=unused_by_models(catalog, train, usable_pictures(catalog, pictures)),
        problems=_problems(catalog, split, pictures, unreadable),
        languages=languages,
        unknown_language=language_warning(languages, encoder or ""),
    )


def _reading_facts(report: ReadReport) -> dict[str, Any]:
    """What was repaired, dropped or replaced while the catalog was read."""
    return {
        "rows_read": report.rows_read,
        "repaired": report.repaired,
        "multiline": report.multiline,
        "dropped": report.dropped,
        "lost_classes": report.lost_classes,
        "bad_years": report.bad_years,
        "joined": report.joined,
        "missing_words": report.missing_words,
        "corrected_paths": report.corrected_paths,
        "missing_pictures": report.missing_pictures,
        "missing_further": report.missing_further,
        "cut_pictures": report.cut_pictures,
        "named_by_path": report.named_by_path,
        "several_label_paths": report.several_label_paths,
        "odd_label_lists": report.odd_label_lists,
    }


def _cell_facts(catalog: Catalog) -> dict[str, Any]:
    """What the cells of labels, categories, metadata and years hold."""
    table, columns = catalog.table, catalog.columns
    text_columns = [*columns.categories, *columns.metadata]
    categories = {name: len(set(table[name]) - {""}) for name in columns.categories}
    sizes = Counter(map(len, catalog.label_sets.of)) if catalog.label_sets is not None else {}
    return {
        "without_year": table["id"][table["year"].isna()].tolist() if columns.year else [],
        "levels": categories | {"label": len(catalog.classes)},
        "single_product_classes": sorted(name for name, n in catalog.count_labels().items() if n == 1),
        "spellings": spellings_by_column(catalog),
        "labels_a_product": dict(sorted(sizes.items())),
        "labels_with_path": labels_with_path(catalog),
        "na_texts": count_cells(catalog, text_columns, "NA"),
        "empty_cells": count_cells(catalog, text_columns, ""),
        "read_as_missing_by_pandas": count_cells(catalog, text_columns, "", "NA"),
        "classes_with_several_paths": several_paths(catalog),
        "categories_with_several_parents": several_parents(catalog),
    }


def _title_facts(catalog: Catalog, titles: list[str]) -> dict[str, Any]:
    """What the titles hold.

    Args:
        catalog: the products.
        titles: theirs; "" where a product has none.
    """
    labels = catalog.table["label"].tolist()
    return {
        "without_title": catalog.table["id"][~catalog.has_title].tolist(),
        "titles_with_several_labels": len(with_several(zip(titles, labels, strict=True))),
        "titles_naming_the_label": 100 * _share_named(catalog, titles),
        "random_split_titles_in_train": _random_leakage(titles),
    }


def _problems(
    catalog: Catalog, split: Split | CatalogError, pictures: PictureFacts | None, unreadable: str
) -> list[str]:
    """What prevents training, each with its remedy."""
    if isinstance(split, CatalogError):
        found = [str(split)]
    else:
        found = [] if split.has_choice(catalog) else [NO_CHOICE]
    if pictures and pictures.unreadable and unreadable == "error":
        count = len(pictures.unreadable)
        found.append(f"{count} picture(s) cannot be decoded: fix them, or set pictures.unreadable=drop")
    return found


def title_names(title: str, label: str) -> bool:
    """Whether a title contains its class's name, if need be without the final s, in any case."""
    return label.lower().removesuffix("s") in title.lower()


def _share_named(catalog: Catalog, titles: list[str]) -> float:
    """Share of the labels that are in their product's title."""
    named = [title_names(titles[row], label) for row, label in labels_with_rows(catalog)]
    return sum(named) / max(len(named), 1)


def _random_leakage(titles: list[str]) -> float:
    """Percentage of the test rows of a random 80/20 split whose title a train row has, too."""
    order = np.random.default_rng(0).permutation(len(titles))
    cut = len(order) // 5
    return 100 * count_shared(titles, order[cut:], order[:cut]) / max(cut, 1)


def _part_facts(catalog: Catalog, split: Split, part: str) -> PartFacts:
    def labels(*subsets: str) -> Counter[str]:
        return catalog.count_labels(split.rows(catalog, part, *subsets))

    def rows(*subsets: str) -> int:
        return len(split.rows(catalog, part, *subsets))

    names = split.classes[part]
    train, validation, test = (labels(subset) for subset in ("train", "validation", "test"))
    unseen = [(test[name], name) for name in names if not train[name] and not validation[name]]
    without = {name for _, name in unseen}
    own = set(split.rows(catalog, part, "test").tolist())
    unseen_rows = len({row for row, name in labels_with_rows(catalog) if row in own and name in without})
    return PartFacts(
        part=part,
        classes=len(names),
        train=rows("train"),
        validation=rows("validation"),
        test=len(own),
        without_train={name: n for n, name in sorted(unseen, key=lambda item: (-item[0], item[1]))},
        without_validation=[name for name in names if not validation[name]],
        without_test=[name for name in names if not test[name]],
        unseen_rows=unseen_rows,
        ceiling=100 * (1 - unseen_rows / max(len(own), 1)),
    )
