"""Splits by groups: products of one group are on one side, for any rows, rule and order."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionclf.catalog import Catalog, Split, make_split, read_catalog
from fusionclf.catalog.groups import product_groups
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.errors import CatalogError
from tests.catalog.conftest import MakeCatalog
from tests.catalog.split_helpers import SUBSETS, labels_in, rows_of, subset_of


def test_products_with_one_title_are_on_one_side(make_catalog: MakeCatalog) -> None:
    rows = rows_of(("A", 10, 10), ("B", 5, 5))
    for first, second in [(0, 10), (1, 11), (12, 13), (2, 25), (3, 20)]:  # the last two: over classes
        rows[second]["productDisplayName"] = rows[first]["productDisplayName"]
    catalog = make_catalog([{**row, "id": f"{n:02}"} for n, row in enumerate(rows)])
    split = make_split(catalog, SplitConfig(group_by=("title",), top_k=1))
    found = subset_of(split)
    for first, second in [("00", "10"), ("01", "11"), ("12", "13"), ("02", "25"), ("03", "20")]:
        assert found[first] == found[second]
    assert found["12"] == "test"
    assert found["10"] != "test" and found["25"] != "test"
    plain = subset_of(make_split(catalog, SplitConfig(top_k=1)))
    assert plain["10"] == plain["25"] == "test"


def test_large_group_does_not_block_others_from_validation(make_catalog: MakeCatalog) -> None:
    rows = rows_of(("A", 40, 4))
    for row in rows[:25]:
        row["productDisplayName"] = "one title"
    catalog = make_catalog(rows)
    for seed in range(5):
        split = make_split(catalog, SplitConfig(group_by=("title",), seed=seed))
        assert len(split.ids["top20"]["validation"]) == 8


@pytest.mark.parametrize("seed", range(5))
def test_smallest_group_validates_if_all_exceed_the_share(make_catalog: MakeCatalog, seed: int) -> None:
    rows = rows_of(("A", 20, 2), ("B", 12, 2), ("C", 6, 2))
    for row in rows:
        if row["year"] == 2012:
            row["productDisplayName"] = f"{row['articleType']} of a series"
    for row in rows[22:29]:  # B has two groups, of 7 and of 5; the other classes have one group each
        row["productDisplayName"] = "B of another series"
    catalog = make_catalog(rows)
    spec = SplitConfig(group_by=("title",), validation_fraction=0.1, top_k=2, seed=seed)
    sizes = {
        part: [len(subsets[s]) for s in SUBSETS] for part, subsets in make_split(catalog, spec).ids.items()
    }
    assert sizes == {"top2": [27, 5, 4], "rest": [6, 0, 2]}


def test_one_of_equally_large_groups_validates_at_random(make_catalog: MakeCatalog) -> None:
    rows = rows_of(("A", 30, 2))
    for place, row in enumerate(rows[:30]):
        row["productDisplayName"] = f"series {place % 3}"
    catalog = make_catalog(rows)
    specs = [SplitConfig(group_by=("title",), seed=seed) for seed in range(20)]
    found = {make_split(catalog, spec).ids["top20"]["validation"] for spec in specs}
    assert [len(ids) for ids in found] == [10, 10, 10]


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ABCDE"), st.sampled_from([2010, 2011, 2012, 2013, ""]), st.sampled_from("rstuvwxyz")
    ),
    min_size=6,
    max_size=40,
)
SPECS = st.builds(
    SplitConfig,
    rule=st.sampled_from(["year_parity", "random"]),
    swap=st.booleans(),
    top_k=st.integers(1, 4),
    validation_fraction=st.sampled_from([0.1, 0.3, 0.6]),
    test_fraction=st.sampled_from([0.2, 0.5]),
    group_by=st.sampled_from([(), ("title",)]),
    seed=st.integers(0, 5),
)


def _catalog(folder: Path, rows: list[tuple[int, tuple[str, Any, str]]]) -> Catalog:
    lines = ["id,label,year,title", *(f"p{n},{label},{year},{title}" for n, (label, year, title) in rows)]
    folder.mkdir()
    (folder / "styles.csv").write_text("\n".join(lines))
    columns = CatalogConfig(title="title", label="label", categories=(), metadata=(), missing_picture="keep")
    return read_catalog(folder, columns)


@pytest.mark.slow
@settings(max_examples=120)
@given(rows=ROWS, spec=SPECS, chance=st.randoms(use_true_random=False))
def test_split_properties(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, Any, str]],
    spec: SplitConfig,
    chance: random.Random,
) -> None:
    folder = tmp_path_factory.mktemp("split")
    numbered = list(enumerate(rows))
    catalog = _catalog(folder / "a", numbered)
    chance.shuffle(numbered)
    shuffled = _catalog(folder / "b", numbered)
    try:
        split = make_split(catalog, spec)
    except CatalogError as error:
        assert "row" in str(error)
        assert ("set split.rule=random" in str(error)) == (spec.rule != "random")
        with pytest.raises(CatalogError):
            make_split(shuffled, spec)
        return
    assert make_split(shuffled, spec) == split  # order-free
    everything = [i for part in split.ids.values() for ids in part.values() for i in ids]
    assert sorted(everything) == sorted(catalog.table["id"])  # disjoint and covering
    assert sorted(split.class_names(None)) == list(catalog.classes)
    for part, names in split.classes.items():
        assert set(labels_in(catalog, split, part, *SUBSETS)) == set(names)
        assert split.ids[part]["train"] and split.ids[part]["test"]
        for ids in split.ids[part].values():
            assert list(ids) == sorted(ids)
    found = subset_of(split)
    groups = product_groups(catalog, spec.group_by)
    sides = {(int(group), found[i]) for group, i in zip(groups, catalog.table["id"], strict=True)}
    assert len(sides) == len(set(groups.tolist()))  # each group on one side
    assert Split.from_dict(json.loads(json.dumps(split.to_dict()))) == split
