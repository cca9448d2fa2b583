"""The memory benchmark, at a size of seconds."""

from pathlib import Path

import pytest

from benchmarks.memory import measure, row, write_catalog
from fusionclf.catalog import make_split, read_catalog
from fusionclf.config import CatalogConfig


def test_the_catalog_has_its_products_and_classes(tmp_path: Path) -> None:
    write_catalog(tmp_path / "catalog", 600, 20)
    catalog = read_catalog(tmp_path / "catalog", CatalogConfig(picture="images/{picture}.jpg"))
    assert len(catalog) == 600 and len(catalog.classes) == 20
    train = make_split(catalog).rows(catalog, None, "train", "validation")
    assert 200 < len(train) < 400 and len(set(catalog.table["label"].iloc[train])) == 20
    assert len(set(catalog.table["title"])) > 590


@pytest.mark.slow
def test_memory_of_a_training_is_measured(tmp_path: Path) -> None:
    cost = measure(300, 6, tmp_path)
    assert 200 < cost["peak_memory_mib"] < 4096 and cost["train_seconds"] > 0
    assert row((300, 6), cost).startswith("| 300 | 6 | ")
