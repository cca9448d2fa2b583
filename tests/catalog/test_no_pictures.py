"""A catalog without pictures: catalog.picture=null."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog import Catalog, read_catalog
from fusionclf.catalog.describing import describe_table
from fusionclf.catalog.usable import unused_by_models
from fusionclf.config import CatalogConfig

COLUMNS = CatalogConfig(
    file="goods.csv", picture=None, title="name", label="kind", categories=(), metadata=(), year=None
)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "goods.csv").write_text("id,name,kind\n1,Oak bed,Bed\n2,Pine desk,Desk\n")
    return read_catalog(tmp_path, COLUMNS)


def test_no_row_is_dropped_without_pictures(catalog: Catalog) -> None:
    assert catalog.table["id"].tolist() == ["1", "2"]
    assert catalog.picture_paths() == [None, None]
    assert catalog.read_report.missing_pictures.count == 0
    assert not catalog.read_report.dropped


def test_ids_with_a_slash_are_kept_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "goods.csv").write_text("id,name,kind\na/1,Oak bed,Bed\n")
    assert read_catalog(tmp_path, COLUMNS).table["id"].tolist() == ["a/1"]


def test_check_names_no_lack_of_pictures(catalog: Catalog) -> None:
    assert unused_by_models(catalog, np.arange(2), np.zeros(2, bool)) == {}


def test_describe_gives_null_without_pictures(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["1", "2"], "name": ["Oak bed", "Pine desk"], "kind": ["Bed", "Desk"]})
    assert describe_table(table, tmp_path, "goods.csv").settings["catalog.picture"] is None
