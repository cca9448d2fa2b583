"""Product ids: unique, short and printable, and safe where they name files."""

import pytest

from fusionclf.catalog import read_catalog
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError
from tests.catalog.conftest import MakeCatalog, WriteCatalog

KEEP = CatalogConfig(missing_picture="keep")
UNSAFE = ["../x", "/etc/x", "a/b", "a\\b", ".", "..", "", "x" * 201, "a\x1b[2J", "a\x7f"]


@pytest.mark.parametrize("product", UNSAFE)
def test_an_unsafe_id_is_refused_with_file_line_and_value(write_catalog: WriteCatalog, product: str) -> None:
    folder = write_catalog([{}, {"id": product}], pictures=False)
    with pytest.raises(CatalogError) as caught:
        read_catalog(folder, KEEP)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'styles.csv'}: 1 id(s) cannot name a picture file (line 3: ")
    assert repr(product)[:100] in message
    assert message.endswith("fix these rows, or name another column in catalog.picture")
    assert "\n" not in message and "\x1b" not in message


@pytest.mark.parametrize("product", ["nan", "<NA>", " null "])
def test_an_id_that_is_missing_is_refused(write_catalog: WriteCatalog, product: str) -> None:
    folder = write_catalog([{}, {"id": product}], pictures=False)
    with pytest.raises(CatalogError, match=rf"1 id\(s\) cannot name a picture file \(line 3: {product!r}\)"):
        read_catalog(folder, KEEP)


BY_FILE = CatalogConfig(picture="{season}", missing_picture="keep")


@pytest.mark.parametrize("product", ["AB/1000", "a\\b", ".", ".."])
def test_id_may_hold_a_slash_unless_it_names_a_file(write_catalog: WriteCatalog, product: str) -> None:
    folder = write_catalog([{"id": product}], pictures=False)
    assert read_catalog(folder, BY_FILE).table["id"].tolist() == [product]


@pytest.mark.parametrize("product", ["", "nan", "x" * 201, "a\x1b[2J"])
def test_id_is_always_short_printable_text(write_catalog: WriteCatalog, product: str) -> None:
    folder = write_catalog([{}, {"id": product}], pictures=False)
    with pytest.raises(CatalogError, match=r"1 id\(s\) cannot be used \(line 3: ") as caught:
        read_catalog(folder, BY_FILE)
    assert str(caught.value).isprintable() and "file name" not in str(caught.value)


def test_messages_with_cells_are_short(write_catalog: WriteCatalog) -> None:
    for rows in ([{"id": f"{n}/" + "x" * 250} for n in range(9)], [{"id": "y" * 200}] * 9):
        folder = write_catalog(rows, pictures=False, name=f"c{rows[0]['id'][0]}")
        with pytest.raises(CatalogError) as caught:
            read_catalog(folder, KEEP)
        assert len(str(caught.value).replace(str(folder), "")) < 330


@pytest.mark.parametrize("product", ["a b", "ä.1", "-x", "...", "1.jpg", "x" * 200])
def test_unusual_but_safe_ids(make_catalog: MakeCatalog, product: str) -> None:
    assert make_catalog([{"id": product}]).table["id"].tolist() == [product]


def test_duplicate_ids_are_refused(write_catalog: WriteCatalog) -> None:
    folder = write_catalog([{"id": i} for i in ("5", "6", "5", "7", "6", "5", "6", "6")], pictures=False)
    with pytest.raises(
        CatalogError, match=r"5 row\(s\) have the id .*\(line 4: '5', line 6: '6', line 7: '5', …\)"
    ):
        read_catalog(folder, KEEP)
