"""What is guessed about made-up catalogs in the layouts of many shops."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fusionclf.catalog.describing import describe_table
from tests.catalog.describing import more_shops, other_shops, shops
from tests.catalog.describing.shops import Shop

SHOPS: list[Callable[[], Shop]] = [
    shops.shopify, shops.woocommerce, shops.amazon, shops.merchant, shops.furniture,
    more_shops.groceries, more_shops.books, more_shops.records, more_shops.french, more_shops.japanese,
    more_shops.numbered_classes, more_shops.texts_alone, more_shops.category_ids, more_shops.silent_headers,
    more_shops.two_languages, other_shops.spare_parts, other_shops.wine, other_shops.toys,
    other_shops.clothes_in_sizes, other_shops.departments_across,
]  # fmt: skip


@pytest.mark.parametrize("make", SHOPS, ids=[make.__name__ for make in SHOPS])
def test_columns_of_a_shop_are_guessed(make: Callable[[], Shop], tmp_path: Path) -> None:
    shop = make()
    found = describe_table(shop.table, shop.make(tmp_path), "table.csv")
    settings = found.settings
    assert {name: settings.get(name) for name in shop.expected} == shop.expected
    inputs = {*settings["catalog.text"], *settings["catalog.attributes"]}
    assert not inputs & set(shop.inputs_without)
    doubts = " ".join(found.doubts)
    assert all(words in doubts for words in shop.doubts), doubts
    assert bool(doubts) == bool(shop.doubts), doubts


def test_pictures_of_a_linked_folder_are_found(tmp_path: Path) -> None:
    shop = shops.furniture()
    real, data = tmp_path / "real", tmp_path / "shop"
    shop.make(real)
    data.mkdir()
    for folder in real.iterdir():
        (data / folder.name).symlink_to(folder)
    (real / "back").symlink_to(real)
    found = describe_table(shop.table, data, "table.csv").settings
    assert found["catalog.picture"] == shop.expected["catalog.picture"]
