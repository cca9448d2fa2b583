"""The split of products with several labels."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog import Catalog, Split, make_split
from fusionclf.catalog.label_lists import LabelSets
from fusionclf.catalog.read_report import ReadReport
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.errors import CatalogError


def catalog_of(sets: list[tuple[str, ...]], **columns: list[str]) -> Catalog:
    table = pd.DataFrame(
        {"id": [f"{n:04}" for n in range(len(sets))], "title": [f"t{n}" for n in range(len(sets))]}
    )
    table = table.assign(label=[" | ".join(own) for own in sets], **columns)
    table["year"] = pd.Series(pd.NA, table.index, "Int64")
    config = CatalogConfig(label_list="|", metadata=tuple(columns))
    return Catalog(
        Path("."),
        config,
        table,
        table.filter(["title"]),
        ReadReport(len(table)),
        "c" * 64,
        label_sets=LabelSets(tuple(sets)),
    )


@pytest.fixture
def sets() -> list[tuple[str, ...]]:
    """Frequent labels, and rare ones that occur beside them alone."""
    generator = np.random.default_rng(0)
    found = [tuple(sorted({"all", f"common{generator.integers(3)}"})) for _ in range(300)]
    for place in range(0, 40, 2):
        found[place] = tuple(sorted({*found[place], f"rare{place // 4}"}))
    return found


def counts(catalog: Catalog, split: Split, *subsets: str) -> Counter[str]:
    return catalog.count_labels(split.rows(catalog, None, *subsets))


def test_every_label_of_two_products_has_a_train_row(sets: list[tuple[str, ...]]) -> None:
    catalog = catalog_of(sets)
    for seed in range(5):
        split = make_split(catalog, SplitConfig(rule="random", seed=seed, validation_fraction=0.5))
        assert set(counts(catalog, split, "train")) == set(catalog.classes)


def test_one_part_holds_all_labels(sets: list[tuple[str, ...]]) -> None:
    split = make_split(catalog_of(sets), SplitConfig(rule="random", top_k=2))
    assert list(split.classes) == ["every_label"]
    assert Split.from_dict(split.to_dict()) == split


def test_frequent_labels_keep_their_share_in_test(sets: list[tuple[str, ...]]) -> None:
    catalog = catalog_of(sets)
    split = make_split(catalog, SplitConfig(rule="random"))
    whole, test = catalog.count_labels(), counts(catalog, split, "test")
    for name in ("common0", "common1", "common2"):
        assert 0.15 < test[name] / whole[name] < 0.25


def test_groups_stay_together(sets: list[tuple[str, ...]]) -> None:
    styles = [str(number // 3) for number in range(len(sets))]
    catalog = catalog_of(sets, style=styles)
    split = make_split(catalog, SplitConfig(rule="random", group_by=("style",), validation_fraction=0.5))
    found = [
        {styles[row] for row in split.rows(catalog, None, subset)}
        for subset in ("train", "validation", "test")
    ]
    assert sum(map(len, found)) == len(set(styles))


def test_given_validation_column_stays_as_it_is(sets: list[tuple[str, ...]]) -> None:
    cells = ["validation" if number < 40 else "train" if number < 200 else "test" for number in range(300)]
    catalog = catalog_of(sets, part=cells)
    split = make_split(catalog, SplitConfig(rule="column", column="part"))
    assert len(split.rows(catalog, None, "validation")) == 40


def test_unseen_fraction_is_refused(sets: list[tuple[str, ...]]) -> None:
    with pytest.raises(CatalogError, match=r"unseen_fraction=0\.1: needs one label per product"):
        make_split(catalog_of(sets), SplitConfig(rule="random", unseen_fraction=0.1))
