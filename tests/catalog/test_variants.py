"""Variants on both sides of a split are counted, and the column that keeps them together is found."""

from dataclasses import replace

import pytest

from fusionclf.catalog import Catalog, make_split
from fusionclf.catalog.variants import find_leaks, variant_key
from fusionclf.config import SplitConfig
from tests.catalog.conftest import MakeCatalog

COLOURS = ("Black", "Blue", "Red", "Rot")


def shop(make_catalog: MakeCatalog) -> Catalog:
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
    return make_catalog(rows)


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
    catalog = shop(make_catalog)
    leaks = find_leaks(catalog, make_split(catalog, SplitConfig(rule="random")), search_columns=True)
    assert leaks.matters and leaks.rows > leaks.test_rows / 2 and leaks.column == "usage"
    assert len(leaks.examples) == 3 and "split.group_by=usage" in str(leaks)


def test_a_split_by_style_does_not_leak(make_catalog: MakeCatalog) -> None:
    catalog = shop(make_catalog)
    leaks = find_leaks(catalog, make_split(catalog, SplitConfig(rule="random", group_by=("usage",))))
    assert leaks.rows == leaks.equal == 0 and not leaks.matters


def test_a_catalog_without_titles_leaks_no_variants(make_catalog: MakeCatalog) -> None:
    catalog = shop(make_catalog)
    without = replace(catalog, table=catalog.table.assign(title=""))
    assert find_leaks(without, make_split(without, SplitConfig(rule="random"))).rows == 0
