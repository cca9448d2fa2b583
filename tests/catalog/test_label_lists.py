"""Cells with several labels: how they are read, repaired, counted and refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionclf.catalog import Catalog, read_catalog
from fusionclf.catalog.check import check_catalog
from fusionclf.catalog.label_lists import LabelSets
from fusionclf.catalog.splits import make_split
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.errors import CatalogError


def read(folder: Path, *cells: str, **settings: Any) -> Catalog:
    """A catalog of titles with these cells of tags."""
    rows = [
        {"id": str(number), "title": f"title {number}", "tags": cell} for number, cell in enumerate(cells)
    ]
    (folder / "tags.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plain: dict[str, Any] = {
        "file": "tags.jsonl", "title": "title", "label": "tags", "label_list": "|", "metadata": (), "year": None,
        "picture": None,
    }  # fmt: skip
    return read_catalog(folder, CatalogConfig(**plain | settings))


def of(catalog: Catalog) -> list[tuple[str, ...]]:
    assert catalog.label_sets is not None
    return list(catalog.label_sets.of)


def test_labels_are_split_at_the_sign(tmp_path: Path) -> None:
    catalog = read(tmp_path, "red | dress", "red")
    assert of(catalog) == [("dress", "red"), ("red",)]
    assert catalog.classes == ("dress", "red")
    assert catalog.count_labels(np.array([1])) == {"red": 1}


def test_json_lists_are_read_with_any_sign(tmp_path: Path) -> None:
    assert of(read(tmp_path, '["a|b", "c"]', "d")) == [("a|b", "c"), ("d",)]


def test_list_of_a_json_file_is_read(tmp_path: Path) -> None:
    row = {"id": 1, "title": "t", "tags": ["red", 7, None]}
    (tmp_path / "tags.jsonl").write_text(json.dumps(row))
    columns = CatalogConfig(
        file="tags.jsonl",
        title="title",
        label="tags",
        label_list="json",
        metadata=(),
        year=None,
        picture=None,
    )
    assert of(read_catalog(tmp_path, columns)) == [("7", "red")]


def test_cell_that_is_no_json_list_is_dropped_with_reason(tmp_path: Path) -> None:
    catalog = read(tmp_path, '["red", "dress"]', "red, dress", label_list="json")
    assert of(catalog) == [("dress", "red")]
    assert catalog.read_report.dropped == {"no JSON list of labels": ["1"]}


def test_empty_and_repeated_labels_are_counted(tmp_path: Path) -> None:
    catalog = read(tmp_path, "red|red|dress", "|red", "", "|")
    assert of(catalog) == [("dress", "red"), ("red",)]
    assert catalog.read_report.odd_label_lists.count == 3
    assert catalog.read_report.dropped == {"no label": ["2", "3"]}


def test_spellings_of_labels_are_joined(tmp_path: Path) -> None:
    catalog = read(tmp_path, "red|dress", "red", "Red|dress", join_spellings=True)
    assert of(catalog) == [("dress", "red"), ("red",), ("dress", "red")]
    assert catalog.read_report.joined == {"tags": 1}


def test_order_of_labels_does_not_change_the_hash(tmp_path: Path) -> None:
    first = read(tmp_path, "red|dress", "blue").sha256
    assert read(tmp_path, "dress|red", "blue").sha256 == first
    assert read(tmp_path, "dress", "blue|red").sha256 != first


def test_column_of_single_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=r"catalog.label_list='\|': no cell of the column 'tags' holds two"
    ):
        read(tmp_path, "red", "dress")


@pytest.mark.parametrize("others", [{"label_separator": ">"}, {"categories": ("kind",)}])
def test_path_or_categories_beside_a_list_are_refused(others: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="label_list"):
        CatalogConfig(label_list="|", **others)


def test_indicator_leaves_out_labels_that_are_no_names() -> None:
    sets = LabelSets((("a", "b"), ("c",)))
    assert sets.indicator(np.array([1, 0]), ["b", "c"]).tolist() == [[False, True], [True, False]]


def test_check_counts_labels_of_products(tmp_path: Path) -> None:
    catalog = read(tmp_path, *["red|dress"] * 9, "red", "Red|dress", "once||dress")
    found = check_catalog(catalog, make_split(catalog, SplitConfig(rule="random")))
    assert found.labels_a_product == {1: 1, 2: 11}
    assert found.levels == {"label": 4}
    assert found.single_product_classes == ["Red", "once"]
    assert found.spellings == {"tags": ["red = Red"]}
    assert found.odd_label_lists.count == 1
    assert [(part.part, part.train + part.validation + part.test) for part in found.parts] == [
        ("every_label", 12)
    ]
