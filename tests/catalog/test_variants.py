"""Variants on both sides of a split are counted, and the column that keeps them together is found."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from fusionclf.catalog import Catalog, make_split
from fusionclf.catalog import variants as module
from fusionclf.catalog.tables import Rows
from fusionclf.catalog.tables.csv_table import CsvTable
from fusionclf.catalog.variants import VariantLeaks, find_leaks, variant_key
from fusionclf.config import SplitConfig
from tests.catalog.conftest import MakeCatalog

COLOURS = ("Black", "Blue", "Red", "Rot")


def shop(make_catalog: MakeCatalog, **settings: Any) -> Catalog:
    words = [
        first + second
        for first in ("Oslo", "Bergen", "Malmo", "Turku")
        for second in ("a", "b", "c", "d", "e")
    ]
    rows = [
        {"productDisplayName": f"{word} Chair-{colour}-{n}", "usage": f"S{word}", "articleType": "AB"[n % 2]}
        for n, word in enumerate(words)
        for colour in COLOURS
    ]
    return make_catalog(rows, **settings)


def searched(catalog: Catalog) -> VariantLeaks:
    return find_leaks(catalog, make_split(catalog, SplitConfig(rule="random")), search_columns=True)


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("Chaz Hoodie-XS-Black", "chaz hoodie"), ("Stuhl Oslo, hellgrau 42 cm", "stuhl oslo hellgrau"),
        ("Stuhl Oslo weiß", "stuhl oslo"), ("main levée : peau claire", "main levée peau"), ("Chair 42", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_key_keeps_what_names_the_product(title: str, key: str) -> None:
    assert variant_key(title) == key


def test_leaks_are_counted_with_examples_and_remedy(make_catalog: MakeCatalog) -> None:
    leaks = searched(shop(make_catalog))
    assert leaks.matters and leaks.rows > leaks.test_rows / 2 and leaks.column == "usage"
    assert len(leaks.examples) == 3 and "split.group_by=usage" in str(leaks)
    assert leaks.searched and leaks.skipped == {}


def test_other_columns_are_read_once_and_a_few_at_a_time(
    make_catalog: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = shop(make_catalog, metadata=("gender",), attributes=("season",))
    read: list[list[str]] = []
    chunks = CsvTable.chunks

    def counted(self: CsvTable, wanted: Sequence[str], *size: int, **more: Any) -> Iterator[Rows]:
        read.extend([] if size else [[*wanted]])  # with a size, the first rows alone are read
        return chunks(self, wanted, *size, **more)

    monkeypatch.setattr(CsvTable, "chunks", counted)
    monkeypatch.setattr(module, "READ_TOGETHER", 2)
    assert searched(catalog).column == "usage"
    assert read == [["id", "baseColour", "year"], ["id", "usage"]]


def test_an_attribute_may_be_the_column(make_catalog: MakeCatalog) -> None:
    assert searched(shop(make_catalog, metadata=(), attributes=("usage",))).column == "usage"


def test_skipped_columns_are_named_with_the_reason(make_catalog: MakeCatalog) -> None:
    catalog = shop(make_catalog, metadata=())
    file = catalog.root / catalog.columns.file
    header, *lines = file.read_text().splitlines()
    lines = [f"x,x,{n // 4} {'a long story ' * 20},{line}" for n, line in enumerate(lines)]
    file.write_text("\n".join([f"twin,twin,story,{header.replace('usage', '')}", *lines]) + "\n")
    leaks = searched(catalog)
    twice = f"{file}: column 'twin' occurs twice; rename one"
    assert leaks.column is None and leaks.skipped == {"twin": twice, "story": "long texts"}
    assert str(leaks).endswith(f"if there is one; not searched: twin ({twice}), story (long texts)")


def test_columns_of_pictures_are_skipped(make_catalog: MakeCatalog) -> None:
    catalog = shop(make_catalog, metadata=())
    table = pd.read_csv(catalog.root / catalog.columns.file, dtype="str")
    table.assign(picture=b"\xff\xd8").to_parquet(catalog.root / "t.parquet")
    columns = catalog.columns.model_copy(update={"file": "t.parquet"})
    leaks = searched(replace(catalog, columns=columns))
    assert leaks.column == "usage" and leaks.skipped == {"picture": "binary data"}


def test_a_split_by_style_does_not_leak(make_catalog: MakeCatalog) -> None:
    catalog = shop(make_catalog)
    leaks = find_leaks(catalog, make_split(catalog, SplitConfig(rule="random", group_by=("usage",))))
    assert leaks.rows == leaks.equal == 0 and not leaks.matters


def test_a_catalog_without_titles_leaks_no_variants(make_catalog: MakeCatalog) -> None:
    catalog = shop(make_catalog)
    without = replace(catalog, table=catalog.table.assign(title=""))
    assert find_leaks(without, make_split(without, SplitConfig(rule="random"))).rows == 0
