"""What is written about a product, as models read it."""

import time
from pathlib import Path

import pytest

from fusionclf.catalog import read_catalog
from fusionclf.catalog.attributes import bin_edges, number
from fusionclf.catalog.fields import Fields, field_names, field_table, main_texts, plain_text
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError
from tests.fields import write_shop

SHOP = CatalogConfig(
    file="shop.csv", id="sku", title="name", label="type", picture="pictures/{sku}.png", categories=(),
    metadata=(), year=None, text=("story",), attributes=("maker", "price"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("<p>Warm &amp; light.</p><br/>New", "Warm & light. New"),
        ("<style>p {color: red}</style>Chair<script>x()</script>", "Chair"),
        ("<!-- hidden -->a < b and c > d", "a < b and c > d"),
        ("<!-- <script> -->shown</script><STYLE a=1>p</style >", "shown"),
        ("a --> <!-- b </script> <script> c", "a --> <!-- b c"),
        ("3 < 4, <3 you", "3 < 4, <3 you"),
        ("tabs\tand\nlines  &nbsp; here", "tabs and lines here"),
        ("<" * 10_000, "<" * 10_000),
    ],
)
def test_markup_is_removed_and_text_stays(cell: str, expected: str) -> None:
    assert plain_text(cell) == expected


@pytest.mark.parametrize("opening", ["<!--", "<style ", "<script>", "<!--<style "])
def test_markup_that_never_ends_takes_linear_time(opening: str) -> None:
    started = time.perf_counter()
    plain_text("--></style></script>" + opening * (2**20 // len(opening)))
    assert time.perf_counter() - started < 5  # quadratic: hours


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1,5", 1.5), ("1,500", 1500), ("1.500", 1.5), ("1.500,00 €", 1500), ("$1,234,567.89", 1234567.89),
        ("1.234.567", 1234567), ("12 000 kr", 12000), ("-3", -3), ("1'299.00 CHF", 1299),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(cell: str, expected: float) -> None:
    assert number(cell) == expected


def test_few_distinct_numbers_are_categories() -> None:
    assert len(bin_edges(["1", "2", "3"] * 50)) == 0
    assert len(bin_edges([str(n) for n in range(100)])) == 7
    assert len(bin_edges([str(n) for n in range(90)] + ["red"] * 10)) == 0


def test_fields_are_aligned_with_the_table(tmp_path: Path) -> None:
    catalog = read_catalog(write_shop(tmp_path / "shop"), SHOP)
    assert list(catalog.fields) == ["title", "story", "maker", "price"]
    assert catalog.fields["title"].tolist() == catalog.table["title"].tolist()
    stories = [name for name in catalog.fields["story"] if name]
    assert stories and not any("<" in text for text in stories)
    plain = read_catalog(tmp_path / "shop", SHOP.model_copy(update={"text": (), "attributes": ()}))
    assert plain.sha256 == catalog.sha256  # what models read does not change the products


def test_a_column_has_one_role() -> None:
    for wrong in ({"text": ("story", "maker")}, {"text": ("name",)}, {"attributes": ("maker", "maker")}):
        with pytest.raises(CatalogError, match="give each column to one of title, text and attributes"):
            field_names(SHOP.model_copy(update=wrong))


def test_a_further_text_stands_for_a_missing_title() -> None:
    table = field_table(["Lamp", "", " "], {"story": ["s1", "s2", ""]})
    assert main_texts(table, ("story",)) == ["Lamp", "s2", ""]
    assert Fields(("story",)).clean("story", ["<b>x</b>", None, "nan"]) == ["x", "", ""]
