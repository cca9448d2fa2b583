"""split.json: its hash, its faults, and the catalog that it belongs to."""

import json
from pathlib import Path

import pytest

from fusionclf.catalog import Split, make_split, read_catalog
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.errors import RunError
from tests.catalog.conftest import MakeCatalog, WriteCatalog
from tests.catalog.split_helpers import rows_of


def test_hash_depends_on_ids_subsets_and_classes_only(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(rows_of(("A", 4, 4), ("B", 3, 3)))
    split = make_split(catalog, SplitConfig(top_k=2))
    assert make_split(catalog, SplitConfig(top_k=2, test_fraction=0.5)).sha256 == split.sha256
    specs = [SplitConfig(), SplitConfig(top_k=1), SplitConfig(seed=9), SplitConfig(swap=True)]
    hashes = {make_split(catalog, spec).sha256 for spec in specs}
    assert len(hashes) == 4


def test_splits_are_unchanged(make_catalog: MakeCatalog) -> None:
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
    with pytest.raises(RunError, match="hash does not match its rows"):
        Split.load(tmp_path / "split.json")


def test_a_split_of_another_catalog_is_refused(write_catalog: WriteCatalog) -> None:
    keep = CatalogConfig(missing_picture="keep")
    rows = rows_of(("A", 4, 4))
    split = make_split(read_catalog(write_catalog(rows, name="all"), keep))
    fewer = read_catalog(write_catalog(rows[:5], name="fewer"), keep)
    with pytest.raises(RunError, match="3 products of the split are missing, such as "):
        split.rows(fewer, None, "train", "test", "validation")
