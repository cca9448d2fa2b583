"""Variants of one style, named by a column, stay on one side of a split."""

import numpy as np
import pytest

from fusionclf.catalog import Catalog, make_split, read_catalog
from fusionclf.catalog.groups import product_groups, variant_groups
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.errors import CatalogError
from tests.catalog.conftest import MakeCatalog, WriteCatalog
from tests.catalog.split_helpers import subset_of

PLAIN = CatalogConfig(missing_picture="keep", metadata=())


def styles(write_catalog: WriteCatalog) -> Catalog:
    """Ten styles of four products each, and two products without a style; the style is in `usage`."""
    rows = [
        {"usage": f" style {n // 4}" if n % 2 else f"style {n // 4}", "productDisplayName": f"thing {n}"}
        for n in range(40)
    ]
    rows += [{"usage": "", "productDisplayName": f"lone {n}"} for n in range(2)]
    folder = write_catalog(rows, pictures=False)
    return read_catalog(folder, PLAIN, split_columns=("usage",))


def test_products_of_one_cell_are_one_group(write_catalog: WriteCatalog) -> None:
    groups = product_groups(styles(write_catalog), ("usage",))
    assert sorted(np.bincount(groups).tolist()) == [1, 1, *[4] * 10]


@pytest.mark.parametrize("seed", range(4))
def test_no_subset_divides_a_style(write_catalog: WriteCatalog, seed: int) -> None:
    catalog = styles(write_catalog)
    split = make_split(catalog, SplitConfig(rule="random", group_by=("usage",), test_fraction=0.3, seed=seed))
    subset = subset_of(split)
    found = {name: {subset[str(n + 1)] for n in range(40) if n // 4 == name} for name in range(10)}
    assert all(len(sides) == 1 for sides in found.values())
    assert set(subset.values()) == {"train", "validation", "test"}


def test_titles_and_styles_link_products_together(write_catalog: WriteCatalog) -> None:
    catalog = styles(write_catalog)
    table = catalog.table.assign(title=[f"title {n}" for n in range(42)])
    table.loc[table["id"].isin(["1", "40"]), "title"] = "shared"  # styles 0 and 9
    catalog = Catalog(catalog.root, catalog.columns, table, catalog.fields, catalog.read_report, "c")
    groups = variant_groups(catalog, SplitConfig(group_by=("usage",)))
    assert groups is not None
    of = dict(zip(catalog.table["id"], groups.tolist(), strict=True))
    assert of["1"] == of["40"] == of["2"] == of["37"]
    assert variant_groups(catalog, SplitConfig(group_by=("title",))) is None


def test_a_missing_group_column_names_the_near_one(write_catalog: WriteCatalog) -> None:
    folder = write_catalog([{}], pictures=False)
    with pytest.raises(CatalogError, match=r"no column 'usaeg'; did you mean 'usage'"):
        read_catalog(folder, PLAIN, split_columns=SplitConfig(group_by=("usaeg",)).columns_read)


def test_a_group_column_that_was_not_read_is_named(make_catalog: MakeCatalog) -> None:
    with pytest.raises(CatalogError, match=r"split\.group_by='parent': not among the columns"):
        product_groups(make_catalog([{}]), ("parent",))


def test_years_group_products_and_missing_ones_do_not(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([{"year": year} for year in (2011, 2012, 2011, "", "")])
    assert len(np.unique(product_groups(catalog, ("year",)))) == 4


def test_the_columns_that_a_split_reads_are_listed_once() -> None:
    spec = SplitConfig(rule="column", column="fold", group_by=("title", "fold", "parent", "near_picture"))
    assert spec.columns_read == ("fold", "parent") and spec.group_columns == ("fold", "parent")
    assert SplitConfig(column="fold").columns_read == ()
