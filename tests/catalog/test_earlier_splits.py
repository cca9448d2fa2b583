"""split.same_as: products keep their subsets of an earlier split, whatever their labels are now."""

from pathlib import Path
from typing import Any

import pytest

from fusionclf.catalog import Split, make_split
from fusionclf.config import SplitConfig
from fusionclf.errors import CatalogError, RunError, SettingsError
from tests.catalog.conftest import MakeCatalog
from tests.catalog.split_helpers import rows_of, subset_of

ROWS = [{**row, "id": f"{n:03}"} for n, row in enumerate(rows_of(("A", 10, 0), ("B", 10, 0), ("C", 5, 0)))]
RANDOM = SplitConfig(rule="random", test_fraction=0.4, seed=7, top_k=2)


@pytest.fixture
def earlier(make_catalog: MakeCatalog, tmp_path: Path) -> Split:
    split = make_split(make_catalog(ROWS), RANDOM)
    split.save(tmp_path / "first" / "split.json")
    return split


def changed(**of_id: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows, some of them with other cells."""
    return [{**row, **of_id.get(f"p{row['id']}", {})} for row in ROWS]


def test_a_corrected_label_moves_no_product(
    make_catalog: MakeCatalog, earlier: Split, tmp_path: Path
) -> None:
    rows = changed(p000={"articleType": "B"}, p003={"articleType": "C"}, p021={"articleType": "New"})
    corrected = make_catalog(rows, name="corrected")
    kept = make_split(corrected, SplitConfig(same_as=str(tmp_path / "first")))
    assert subset_of(kept) == subset_of(earlier)
    assert subset_of(make_split(corrected, RANDOM)) != subset_of(earlier)  # why the setting is there
    assert kept.classes == {"top2": ("A", "B"), "rest": ("C", "New")}  # by the labels now
    assert kept.note == f"split: each product keeps its subset of {tmp_path}/first"


def test_other_settings_are_those_of_the_run(
    make_catalog: MakeCatalog, earlier: Split, tmp_path: Path
) -> None:
    name = str(tmp_path / "first" / "split.json")
    kept = make_split(make_catalog(ROWS, name="again"), SplitConfig(same_as=name, top_k=1))
    assert kept.spec == RANDOM.model_copy(update={"same_as": name, "top_k": 1})
    assert list(kept.classes) == ["top1", "rest"]


def test_a_kept_split_can_be_kept_again_without_the_first_run(
    make_catalog: MakeCatalog, earlier: Split, tmp_path: Path
) -> None:
    catalog = make_catalog(ROWS, name="again")
    make_split(catalog, SplitConfig(same_as=str(tmp_path / "first"))).save(tmp_path / "second" / "split.json")
    (tmp_path / "first" / "split.json").unlink()
    assert subset_of(Split.load(tmp_path / "second" / "split.json")) == subset_of(earlier)
    third = make_split(catalog, SplitConfig(same_as=str(tmp_path / "second")))
    assert third.sha256 == earlier.sha256


def test_new_and_lost_products_are_counted(make_catalog: MakeCatalog, earlier: Split, tmp_path: Path) -> None:
    tested = min(product for product, subset in subset_of(earlier).items() if subset == "test")
    rows = [row for row in ROWS if row["id"] not in (tested, "024")]
    rows += [{"id": f"new{n}", "articleType": "A", "productDisplayName": f"new {n}"} for n in range(3)]
    kept = make_split(make_catalog(rows, name="more"), SplitConfig(same_as=str(tmp_path / "first")))
    assert {kept_in for product, kept_in in subset_of(kept).items() if product.startswith("new")} == {"train"}
    count = 1 + (subset_of(earlier)["024"] == "test")
    assert kept.note.endswith(
        f"; new products: 3 join train; 2 of its products ({count} of test) are not in the catalog: {tested}, 024"
    )


def test_a_new_product_joins_its_group(make_catalog: MakeCatalog, earlier: Split, tmp_path: Path) -> None:
    of = {
        subset: min(p for p, s in subset_of(earlier).items() if s == subset) for subset in ("test", "train")
    }
    titles = {row["id"]: row["productDisplayName"] for row in ROWS}
    new = [
        {"id": f"like_{subset}", "articleType": "A", "productDisplayName": titles[product]}
        for subset, product in of.items()
    ]
    spec = SplitConfig(same_as=str(tmp_path / "first"), group_by=("title",))
    kept = make_split(make_catalog([*ROWS, *new], name="more"), spec)
    found = subset_of(kept)
    assert (found["like_test"], found["like_train"]) == ("test", "train")
    assert "new products: 1 join test, 1 join train" in kept.note


def test_a_divided_group_is_refused(make_catalog: MakeCatalog, earlier: Split, tmp_path: Path) -> None:
    own = subset_of(earlier)
    two = [next(p for p, s in sorted(own.items()) if s == subset) for subset in ("train", "test")]
    rows = changed(**{f"p{product}": {"productDisplayName": "one title"} for product in two})
    spec = SplitConfig(same_as=str(tmp_path / "first"), group_by=("title",))
    with pytest.raises(CatalogError, match=r"divides 1 groups .*set split\.group_by=null, or leave out"):
        make_split(make_catalog(rows, name="grouped"), spec)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": 8}, r"split\.seed=8: has no effect with split\.same_as=.*whose value is 7; leave out one"),
        ({"rule": "year_parity"}, r"split\.rule=year_parity: has no effect"),
        ({"swap": True}, r"split\.swap=True: has no effect"),
        ({"unseen_fraction": 0.1}, r"split\.unseen_fraction=0\.1: has no effect"),
    ],
)
def test_a_setting_without_effect_is_refused(
    given: dict[str, Any], message: str, make_catalog: MakeCatalog, earlier: Split, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=message):
        make_split(make_catalog(ROWS, name="again"), SplitConfig(same_as=str(tmp_path / "first"), **given))


def test_a_missing_or_damaged_run_is_refused(
    make_catalog: MakeCatalog, earlier: Split, tmp_path: Path
) -> None:
    catalog = make_catalog(ROWS, name="again")
    with pytest.raises(
        SettingsError, match=r"no run folder .*did you mean '.*first'\?; any run with that split"
    ):
        make_split(catalog, SplitConfig(same_as=str(tmp_path / "frst")))
    with pytest.raises(SettingsError, match=r"no run folder with a split\.json; any run with that split"):
        make_split(catalog, SplitConfig(same_as=str(tmp_path)))
    (tmp_path / "first" / "split.json").write_text("{")
    with pytest.raises(RunError, match=r"first/split\.json"):
        make_split(catalog, SplitConfig(same_as=str(tmp_path / "first")))


def test_a_part_without_test_rows_names_the_setting(
    make_catalog: MakeCatalog, earlier: Split, tmp_path: Path
) -> None:
    own = subset_of(earlier)
    rows = [row for row in ROWS if row["articleType"] != "C" or own[row["id"]] != "test"]
    with pytest.raises(CatalogError, match=r"same_as=.*part 'rest' has no test row; set split\.top_k"):
        make_split(make_catalog(rows, name="fewer"), SplitConfig(same_as=str(tmp_path / "first")))


def test_the_rules_column_need_not_be_there(make_catalog: MakeCatalog, tmp_path: Path) -> None:
    marks = ["train", "test", "validation"]
    rows = [{**row, "season": marks[n % 3]} for n, row in enumerate(ROWS)]
    by_column = SplitConfig(rule="column", column="season")
    split = make_split(make_catalog(rows), by_column)
    split.save(tmp_path / "first" / "split.json")
    spec = SplitConfig(same_as=str(tmp_path / "first"))
    kept = make_split(make_catalog(ROWS, name="without", metadata=()), spec)
    assert subset_of(kept) == subset_of(split) and kept.spec.columns_read == ()
