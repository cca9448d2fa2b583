"""The split that all variants share."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fusionclf.catalog import make_split, read_catalog, splits
from fusionclf.config import SplitConfig
from fusionclf.errors import CatalogError
from tests.catalog.conftest import MakeCatalog
from tests.catalog.split_helpers import SUBSETS, labels_in, rows_of


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


def test_a_share_of_the_classes_is_unseen(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(*((name, 5, 3) for name in "ABCDEFGHIJ")))
    split = make_split(catalog, SplitConfig(unseen_fraction=0.3))
    unseen = {name for name, count in split.train_counts(catalog, None).items() if not count}
    assert len(unseen) == 3
    tested = labels_in(catalog, split, "top20", "test")
    assert all(tested[name] == (8 if name in unseen else 3) for name in "ABCDEFGHIJ")
    other = make_split(catalog, SplitConfig(unseen_fraction=0.3, seed=1)).train_counts(catalog, None)
    assert unseen != {name for name, count in other.items() if not count}


def test_too_many_unseen_classes_name_the_setting(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 5, 3), ("B", 5, 3)))
    with pytest.raises(CatalogError, match=r"no train row; lower split.unseen_fraction=0\.9, or"):
        make_split(catalog, SplitConfig(unseen_fraction=0.9))


def test_what_stays_together_is_unseen_together(make_catalog: MakeCatalog) -> None:
    titles = [("AB"[n < 6], 2012, f"thing {n % 6}") for n in range(12)]
    titles += [("C", 2012 + n % 2, f"other {n}") for n in range(8)]
    keys = ("articleType", "year", "productDisplayName")
    catalog = make_catalog([dict(zip(keys, row, strict=True)) for row in titles])
    specs = [SplitConfig(unseen_fraction=0.34, group_by=("title",), seed=seed) for seed in (0, 1, 3, 4)]
    seeds = [make_split(catalog, spec) for spec in specs]
    counts = [split.train_counts(catalog, None) for split in seeds]
    assert all((count["A"] == 0) == (count["B"] == 0) for count in counts)
    assert any(not count["A"] for count in counts) and any(count["A"] for count in counts)


def test_no_rest_without_remaining_classes(make_catalog: MakeCatalog) -> None:
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


def test_share_of_each_parts_train_rows_is_validation(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 31, 2), ("B", 8, 2), ("C", 4, 2)))
    split = make_split(catalog, SplitConfig(top_k=1, validation_fraction=0.3))
    assert [len(split.ids["top1"][s]) for s in SUBSETS] == [22, 9, 2]  # round(0.3 · 31) = 9
    assert [len(split.ids["rest"][s]) for s in SUBSETS] == [8, 4, 4]
    other = make_split(catalog, SplitConfig(top_k=1, validation_fraction=0.3, seed=1))
    assert other.ids["top1"]["validation"] != split.ids["top1"]["validation"]
    assert other.ids["top1"]["test"] == split.ids["top1"]["test"]


def test_small_part_has_validation_rows(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 9, 9), ("B", 2, 2), ("C", 1, 1)))
    sizes = make_split(catalog, SplitConfig(top_k=2)).ids
    assert [len(sizes["rest"][s]) for s in SUBSETS] == [1, 0, 1]
    assert [len(make_split(catalog, SplitConfig(top_k=1)).ids["rest"][s]) for s in SUBSETS] == [2, 1, 3]


def test_class_with_several_rows_keeps_one_to_train_on(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(*((f"class {n}", 2, 1) for n in range(30))))
    for seed in range(3):
        split = make_split(catalog, SplitConfig(top_k=10, validation_fraction=0.45, seed=seed))
        assert set(split.train_counts(catalog, None).values()) == {2}
        trained = set(catalog.table["label"].iloc[split.rows(catalog, None, "train")])
        assert len(trained) == 30
        assert len(split.rows(catalog, None, "validation")) > 10


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


def test_random_rule_is_not_quadratic_in_rows_and_classes(
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


def test_validation_is_not_quadratic_in_rows_and_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountedName, "compared", 0)
    labels = np.array([CountedName(f"Class {n // 2:03}") for n in range(1000)], object)
    rows = np.arange(1000)
    drawn = np.flatnonzero((rows % 4 == 0) | (rows % 20 < 2))
    last = splits._last_of_classes(rows, drawn, labels, rows)
    assert last.tolist() == [
        row for row in range(1000) if row % 20 == 0
    ]  # one of two rows that were both drawn
    splits._hold_out_classes(np.full(1000, "train", object), labels, rows, SplitConfig(unseen_fraction=0.5))
    assert CountedName.compared < 100 * len(labels)


def test_column_rule_takes_the_subsets_of_the_file(make_catalog: MakeCatalog) -> None:
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


def test_column_rule_draws_validation_if_the_file_has_none(make_catalog: MakeCatalog) -> None:
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


def test_remedy_of_a_random_split_is_not_the_random_rule(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 9, 9), ("B", 1, 0)))
    advice = r"no test row; give more products, set split\.test_fraction, or split\.top_k"
    with pytest.raises(CatalogError, match=rf"split\.rule=random: part 'rest' has {advice}"):
        make_split(catalog, SplitConfig(rule="random", top_k=1))


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
