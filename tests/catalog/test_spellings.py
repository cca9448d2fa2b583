"""Classes and categories that differ in case, blanks or Unicode form alone."""

import unicodedata

from fusionclf.catalog import check_catalog
from fusionclf.catalog.spellings import distinguishable
from fusionclf.errors import CatalogError
from tests.catalog.conftest import MakeCatalog

NO_SPLIT = CatalogError("no split")
CAFE = unicodedata.normalize("NFC", "Café Sets"), unicodedata.normalize("NFD", "Café Sets")
LABELS = ["Shirts", "shirts", "Shirts", "SHIRTS ", "Track Pants", "Track  Pants", "Tops", *CAFE]
ROWS = [{"articleType": label} for label in LABELS]


def test_spellings_of_one_class_are_named(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([*ROWS, {"articleType": "Tops", "subCategory": "topwear"}])
    assert len(catalog.classes) == 8  # nothing is joined unless set
    audit = check_catalog(catalog, NO_SPLIT, decode=False)
    cafe = " = ".join(ascii(name)[1:-1] for name in sorted(CAFE))
    assert audit.spellings == {
        "articleType": [cafe, "Shirts = SHIRTS = shirts", "Track  Pants = Track Pants"],
        "subCategory": ["Topwear = topwear"],
    }


def test_a_clean_catalog_has_no_spellings_to_name(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([{"articleType": name} for name in ("Shirts", "Shirt", "T-shirts", "Tshirts")])
    assert check_catalog(catalog, NO_SPLIT, decode=False).spellings == {}


def test_joined_spellings_take_the_most_frequent_one(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(
        [*ROWS, {"articleType": "Tops", "subCategory": "topwear"}], join_spellings=True, name="joined"
    )
    assert catalog.classes == (min(CAFE), "Shirts", "Tops", "Track  Pants")  # a tie goes by name
    assert set(catalog.table["subCategory"]) == {"Topwear"}
    assert catalog.read_report.joined == {"articleType": 4, "subCategory": 1}
    assert check_catalog(catalog, NO_SPLIT, decode=False).spellings == {}


def test_joined_spellings_do_not_depend_on_row_order(make_catalog: MakeCatalog) -> None:
    rows = [{"id": str(n), **row} for n, row in enumerate(ROWS)]
    first = make_catalog(rows, join_spellings=True, name="a")
    assert make_catalog(rows[::-1], join_spellings=True, name="b").sha256 == first.sha256


def test_category_cells_are_stripped_as_labels_are(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([{"subCategory": "Topwear "}, {"subCategory": " Topwear"}])
    assert set(catalog.table["subCategory"]) == {"Topwear"}


def test_labels_that_hold_a_path_are_named(make_catalog: MakeCatalog) -> None:
    names = ["Apparel > Shirts", "Bags|Totes", "Tops"]
    catalog = make_catalog([{"articleType": name} for name in names])
    assert check_catalog(catalog, NO_SPLIT, decode=False).labels_with_path == names[:2]


def test_names_that_look_the_same_are_shown_as_escapes() -> None:
    assert distinguishable(["Caf\u00e9", "Cafe\u0301"]) == ["Caf\\xe9", "Cafe\\u0301"]
    assert distinguishable(["Shirts", "shirts"]) == ["Shirts", "shirts"]
