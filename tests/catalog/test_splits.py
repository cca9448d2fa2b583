"""The split that all variants share."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionclf.catalog import Catalog, Split, make_split, read_catalog, splits
from fusionclf.catalog.groups import product_groups
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.errors import CatalogError, RunError
from tests.catalog.conftest import MakeCatalog, WriteCatalog

SUBSETS = ("train", "validation", "test")


def rows_of(*classes: tuple[str, int, int]) -> list[dict[str, Any]]:
    """Rows by (class, rows of an even year, rows of an odd year), each with its own title."""
    rows = []
    for name, even, odd in classes:
        for number in range(even + odd):
            year = 2012 if number < even else 2013
            rows.append({"articleType": name, "year": year, "productDisplayName": f"{name} {number}"})
    return rows


def subset_of(split: Split) -> dict[str, str]:
    return {i: subset for part in split.ids.values() for subset, ids in part.items() for i in ids}


def labels_in(catalog: Catalog, split: Split, part: str | None, *subsets: str) -> Counter[str]:
    return Counter(catalog.table["label"].iloc[split.rows(catalog, part, *subsets)])


def test_even_years_train_and_odd_or_no_years_test(make_catalog: MakeCatalog) -> None:
    years = [2010, 2011, 2012, 2013, "", 2014, 2016, 2018]
    catalog = make_catalog([{"id": f"y{year}", "year": year} for year in years])
    split = make_split(catalog)
    assert split.ids["top20"]["test"] == ("y", "y2011", "y2013")
    train = (*split.ids["top20"]["train"], *split.ids["top20"]["validation"])
    assert sorted(train) == ["y2010", "y2012", "y2014", "y2016", "y2018"]
    assert len(split.ids["top20"]["validation"]) == 1
    assert (split.catalog_sha256, split.spec) == (catalog.sha256, SplitConfig())


def test_parts_are_by_frequency_over_all_rows_with_ties_by_name(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("D", 1, 2), ("A", 1, 2), ("C", 0, 4), ("B", 2, 1), ("E", 9, 1)))
    split = make_split(catalog, SplitConfig(top_k=3))
    assert split.classes == {"top3": ("A", "C", "E"), "rest": ("B", "D")}
    assert split.class_names("rest") == ("B", "D")
    assert split.class_names(None) == ("A", "B", "C", "D", "E")
    assert split.train_counts(catalog, "top3") == {"A": 1, "C": 0, "E": 9}
    assert split.train_counts(catalog, None) == {"A": 1, "B": 2, "C": 0, "D": 1, "E": 9}


def test_there_is_no_rest_where_no_class_is_left_over(make_catalog: MakeCatalog) -> None:
    split = make_split(make_catalog(rows_of(("A", 2, 2), ("B", 2, 2))), SplitConfig(top_k=2))
    assert split.classes == {"top2": ("A", "B")}


def test_rows_are_ascending_positions_of_the_table(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 6, 3), ("B", 4, 3), ("C", 3, 2)))
    split = make_split(catalog, SplitConfig(top_k=1))
    for part in ("top1", "rest"):
        for subset in SUBSETS:
            rows = split.rows(catalog, part, subset)
            assert rows.dtype == np.int64
            assert (np.diff(rows) > 0).all()
            assert tuple(catalog.table["id"].iloc[rows]) == split.ids[part][subset]
    assert split.rows(catalog, None, *SUBSETS).tolist() == list(range(len(catalog)))
    both = np.sort(np.concatenate([split.rows(catalog, part, "train") for part in ("top1", "rest")]))
    assert split.rows(catalog, None, "train").tolist() == both.tolist()


def test_a_share_of_each_parts_train_rows_validates(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 31, 2), ("B", 8, 2), ("C", 4, 2)))
    split = make_split(catalog, SplitConfig(top_k=1, validation_fraction=0.3))
    assert [len(split.ids["top1"][s]) for s in SUBSETS] == [22, 9, 2]  # round(0.3 · 31) = 9
    assert [len(split.ids["rest"][s]) for s in SUBSETS] == [8, 4, 4]
    other = make_split(catalog, SplitConfig(top_k=1, validation_fraction=0.3, seed=1))
    assert other.ids["top1"]["validation"] != split.ids["top1"]["validation"]
    assert other.ids["top1"]["test"] == split.ids["top1"]["test"]


def test_a_small_part_still_validates(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 9, 9), ("B", 2, 2), ("C", 1, 1)))
    sizes = make_split(catalog, SplitConfig(top_k=2)).ids
    assert [len(sizes["rest"][s]) for s in SUBSETS] == [1, 0, 1]
    assert [len(make_split(catalog, SplitConfig(top_k=1)).ids["rest"][s]) for s in SUBSETS] == [2, 1, 3]


def test_swap_exchanges_train_and_test(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 6, 4), ("B", 5, 5)))
    plain, swapped = make_split(catalog), make_split(catalog, SplitConfig(swap=True))
    trained = {i for s in ("train", "validation") for i in plain.ids["top20"][s]}
    assert set(swapped.ids["top20"]["test"]) == trained
    assert swapped.sha256 != plain.sha256


def test_the_random_rule_is_stratified_and_seeded(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 40, 0), ("B", 20, 0), ("C", 5, 0), ("D", 2, 0)))
    spec = SplitConfig(rule="random", test_fraction=0.25)
    split = make_split(catalog, spec)
    assert labels_in(catalog, split, None, "test") == {"A": 10, "B": 5, "C": 1}
    assert make_split(catalog, spec) == split
    assert make_split(catalog, spec.model_copy(update={"seed": 1})).sha256 != split.sha256


class CountedName(str):
    """A class name that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        CountedName.compared += 1
        return str.__eq__(self, other)

    def __lt__(self, other: str) -> bool:
        CountedName.compared += 1
        return str.__lt__(self, other)


def test_the_random_rule_does_not_look_at_every_row_for_every_class(
    make_catalog: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = make_catalog([{"articleType": f"Class {n // 2:03}", "year": 2012} for n in range(1000)])
    spec = SplitConfig(rule="random", test_fraction=0.5, top_k=500)
    monkeypatch.setattr(CountedName, "compared", 0)
    labels = np.array([CountedName(name) for name in catalog.table["label"]], object)
    subset = splits._train_or_test(catalog, spec, labels, np.arange(len(labels)))
    assert (subset == "test").sum() == 500
    assert CountedName.compared < 50 * len(
        labels
    )  # a sort takes about 10 a row, a look at all for each class 500


def test_the_column_rule_takes_what_the_file_says(make_catalog: MakeCatalog) -> None:
    cells = ["train", "Test", " val ", "train", "TRAIN", "validation", "valid", "test"]
    catalog = make_catalog([{"usage": cell} for cell in cells])
    split = make_split(catalog, SplitConfig(rule="column", column="usage"))
    assert split.ids["top20"] == {"train": ("1", "4", "5"), "validation": ("3", "6", "7"), "test": ("2", "8")}
    swapped = make_split(catalog, SplitConfig(rule="column", column="usage", swap=True))
    assert swapped.ids["top20"] == {
        "train": ("2", "8"),
        "validation": ("3", "6", "7"),
        "test": ("1", "4", "5"),
    }


def test_the_column_rule_draws_validation_where_the_file_has_none(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([{"usage": "test" if n < 3 else "train"} for n in range(13)])
    split = make_split(catalog, SplitConfig(rule="column", column="usage"))
    assert [len(split.ids["top20"][s]) for s in SUBSETS] == [8, 2, 3]


def test_the_column_rule_refuses_other_values_and_columns(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([{"usage": "train"}, {"usage": "tset"}, {"usage": ""}])
    with pytest.raises(CatalogError, match="product 2 has 'tset'; allowed: train, validation, test"):
        make_split(catalog, SplitConfig(rule="column", column="usage"))
    with pytest.raises(CatalogError, match=r"split.column='fold': not among .* add it to catalog\.metadata"):
        make_split(catalog, SplitConfig(rule="column", column="fold"))
    with pytest.raises(CatalogError, match="product 1 has '2012'"):
        make_split(catalog, SplitConfig(rule="column", column="year"))


def test_a_part_without_train_or_test_rows_is_refused(make_catalog: MakeCatalog) -> None:
    odd = make_catalog(rows_of(("A", 3, 3), ("B", 0, 2)), name="odd")
    with pytest.raises(
        CatalogError, match=r"split.rule=year_parity: part 'rest' has no train row; set split.rule=random"
    ):
        make_split(odd, SplitConfig(top_k=1))
    even = make_catalog(rows_of(("A", 3, 0)), name="even")
    with pytest.raises(CatalogError, match="part 'top20' has no test row"):
        make_split(even)
    yearless = make_catalog(rows_of(("A", 3, 3)), name="yearless", year=None)
    with pytest.raises(CatalogError, match=r"no train row \(no product has a year\); set split.rule=random"):
        make_split(yearless)
    assert make_split(yearless, SplitConfig(rule="random")).ids["top20"]["test"]


def test_what_helps_a_random_split_is_not_the_random_rule(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 9, 9), ("B", 1, 0)))
    advice = r"no test row; give more products, set split\.test_fraction, or split\.top_k"
    with pytest.raises(CatalogError, match=rf"split\.rule=random: part 'rest' has {advice}"):
        make_split(catalog, SplitConfig(rule="random", top_k=1))


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


def test_a_large_group_does_not_keep_others_out_of_validation(make_catalog: MakeCatalog) -> None:
    rows = rows_of(("A", 40, 4))
    for row in rows[:25]:
        row["productDisplayName"] = "one title"
    catalog = make_catalog(rows)
    for seed in range(5):
        split = make_split(catalog, SplitConfig(group_by=("title",), seed=seed))
        assert len(split.ids["top20"]["validation"]) == 8


@pytest.mark.parametrize("seed", range(5))
def test_where_every_group_is_larger_than_the_share_the_smallest_validates(
    make_catalog: MakeCatalog, seed: int
) -> None:
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


def test_of_groups_that_are_equally_large_chance_takes_one_to_validate(make_catalog: MakeCatalog) -> None:
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


def test_the_hash_knows_ids_subsets_and_classes_and_not_the_spec(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 4, 4), ("B", 3, 3)))
    split = make_split(catalog, SplitConfig(top_k=2))
    assert make_split(catalog, SplitConfig(top_k=2, test_fraction=0.5)).sha256 == split.sha256
    specs = [SplitConfig(), SplitConfig(top_k=1), SplitConfig(seed=9), SplitConfig(swap=True)]
    hashes = {make_split(catalog, spec).sha256 for spec in specs}
    assert len(hashes) == 4


def test_splits_made_long_ago_stay_the_same(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 6, 4), ("B", 5, 3), ("C", 3, 2)))
    assert make_split(catalog, SplitConfig(top_k=2)).sha256[:16] == "ce1a1495bf17547e"
    assert make_split(catalog, SplitConfig(top_k=2, rule="random")).sha256[:16] == "cecc34207d080286"
    by_title = SplitConfig(top_k=2, rule="random", group_by=("title",), seed=3)
    assert make_split(catalog, by_title).sha256[:16] == "9f7177268ab07240"


def test_a_saved_split_is_loaded_back(make_catalog: MakeCatalog, tmp_path: Path) -> None:
    split = make_split(
        make_catalog(rows_of(("A", 4, 4), ("B", 3, 3))), SplitConfig(top_k=1, group_by=("title",))
    )
    split.save(tmp_path / "split.json")
    assert Split.load(tmp_path / "split.json") == split
    assert set(json.loads((tmp_path / "split.json").read_text())) == {
        "spec",
        "catalog_sha256",
        "sha256",
        "classes",
        "ids",
    }


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '"x"',
        "null",
        '{"spec": {}}',
        '{"spec": {"rule": "x"}, "ids": {}, "classes": {}}',
        '{"ids',
    ],
)
def test_a_damaged_split_file_is_refused_with_its_path(tmp_path: Path, content: str) -> None:
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(RunError, match=r"split\.json"):
        Split.load(tmp_path / "split.json")
    with pytest.raises(RunError, match="no such file"):
        Split.load(tmp_path / "other.json")


def test_a_split_changed_by_hand_is_refused(make_catalog: MakeCatalog, tmp_path: Path) -> None:
    value = make_split(make_catalog(rows_of(("A", 4, 4)))).to_dict()
    moved = value["ids"]["top20"]["test"].pop()
    value["ids"]["top20"]["train"].append(moved)
    (tmp_path / "split.json").write_text(json.dumps(value))
    with pytest.raises(RunError, match="hash does not fit its rows"):
        Split.load(tmp_path / "split.json")


def test_a_split_of_another_catalog_is_refused(write_catalog: WriteCatalog) -> None:
    keep = CatalogConfig(missing_picture="keep")
    rows = rows_of(("A", 4, 4))
    split = make_split(read_catalog(write_catalog(rows, name="all"), keep))
    fewer = read_catalog(write_catalog(rows[:5], name="fewer"), keep)
    with pytest.raises(RunError, match="lacks products of the split; give the catalog it was made for"):
        split.rows(fewer, None, "train", "test", "validation")


@pytest.mark.real
def test_the_reference_split_of_the_real_catalog(real_catalog_dir: Path) -> None:
    catalog = read_catalog(real_catalog_dir)
    split = make_split(catalog)
    sizes = {part: [len(subsets[s]) for s in SUBSETS] for part, subsets in split.ids.items()}
    assert sizes == {"top20": [14_400, 3_600, 15_149], "rest": [4_630, 1_157, 5_505]}
    assert (len(split.classes["top20"]), len(split.classes["rest"])) == (20, 122)
    assert len(split.rows(catalog, None, "train", "validation")) == 23_787
    assert len(split.rows(catalog, None, "test")) == 20_654
    unseen = {}
    for part in split.classes:
        counts = split.train_counts(catalog, part)
        tested = labels_in(catalog, split, part, "test")
        unseen[part] = {name: n for name, n in tested.items() if not counts[name]}
    assert unseen["top20"] == {"Perfume and Body Mist": 614}
    assert (len(unseen["rest"]), sum(unseen["rest"].values())) == (34, 1_829)
    assert Counter(unseen["rest"]).most_common(3) == [
        ("Deodorant", 347),
        ("Nail Polish", 329),
        ("Lipstick", 315),
    ]
    assert sum(n > 0 for n in split.train_counts(catalog, "rest").values()) == 88
    assert "53781" in split.ids["top20"]["test"] + split.ids["rest"]["test"]
