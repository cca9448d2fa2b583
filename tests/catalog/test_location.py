"""Which table a folder or a path means."""

from pathlib import Path

import pytest

from fusionclf.catalog.location import locate_catalog
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_a_table_is_its_folder_and_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "styles.csv", "b.parquet")
    folder, columns = locate_catalog(tmp_path / "b.parquet", CatalogConfig(title="name"))
    assert (folder, columns.file, columns.title) == (tmp_path, "b.parquet", "name")


def test_a_folders_only_table_is_found_beside_other_files(tmp_path: Path) -> None:
    touch(tmp_path, "readme.txt", ".hidden.csv", "catalog.yaml", "products.NDJSON.gz")
    (tmp_path / "old.csv").mkdir()
    assert locate_catalog(tmp_path, CatalogConfig())[1].file == "products.NDJSON.gz"
    touch(tmp_path, "styles.csv")
    assert locate_catalog(tmp_path, CatalogConfig())[1].file == "styles.csv"


def test_a_named_table_is_not_replaced_by_another(tmp_path: Path) -> None:
    touch(tmp_path, "products.csv")
    with pytest.raises(CatalogError, match=r"shop\.csv: no such file; .*; there is products\.csv"):
        locate_catalog(tmp_path, CatalogConfig(file="shop.csv"))


def test_several_tables_are_refused_by_name(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{n}.csv" for n in range(7)))
    with pytest.raises(
        CatalogError, match=r"holds 7 tables \(0.csv, .*, 4.csv, …\); give one: --data .*0\.csv"
    ):
        locate_catalog(tmp_path, CatalogConfig())


def test_a_folder_without_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=r"styles\.csv: no such file; give the catalog's folder or its table"
    ):
        locate_catalog(tmp_path, CatalogConfig())
