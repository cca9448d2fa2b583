"""Category paths of classes: from train rows, and from the whole catalog for classes that have none."""

from fusionclf.catalog import category_paths, make_split
from fusionclf.config import SplitConfig
from tests.catalog.conftest import MakeCatalog


def test_the_most_frequent_path_of_train_rows(make_catalog: MakeCatalog) -> None:
    train, test = {"year": "2012"}, {"year": "2013"}
    rows = [
        *[{"articleType": "Belts", "subCategory": "Belts", **train}] * 3,
        {"articleType": "Belts", "subCategory": "Accessories", **train},
        *[{"articleType": "Belts", "subCategory": "Accessories", **test}] * 4,
        {"articleType": "Lipstick", "masterCategory": "Care", "subCategory": "Lips", **test},
        {"articleType": "Shirts", **test},
        *[{"articleType": "Shirts", **train}] * 2,
    ]
    catalog = make_catalog([{"id": str(n), **row} for n, row in enumerate(rows)])
    assert category_paths(catalog, make_split(catalog, SplitConfig(top_k=1))) == {
        "Belts": ("Apparel", "Belts"),
        "Lipstick": ("Care", "Lips"),
        "Shirts": ("Apparel", "Topwear"),
    }
