"""A catalog of 14 products small enough to compute every metric by hand."""

from pathlib import Path

import pandas as pd
import pytest

from fusionclf.catalog import Catalog, Split, make_split
from fusionclf.catalog.records import ReadReport
from fusionclf.config import CatalogConfig, SplitConfig

# id, title, label, year: even years are train rows, odd ones test rows.
ROWS = [
    ("01", "Red Dress", "Dresses", 2010),
    ("02", "Blue gown", "Dresses", 2010),
    ("03", "Leather watch", "Watches", 2010),
    ("04", "Steel Watch", "Watches", 2012),
    ("05", "Silk tie", "Ties", 2012),
    ("06", "", "Ties", 2012),
    ("07", "Summer DRESS", "Dresses", 2011),
    ("08", "Dressing gown", "Dresses", 2011),
    ("09", "Steel Watch", "Watches", 2011),
    ("10", "Steel Watch", "Watches", 2011),
    ("11", "Silk Ties", "Ties", 2011),
    ("12", "", "Ties", 2011),
    ("13", "", "Nail (Polish)", 2011),
    ("14", "Red nail (polish) 5 ml", "Nail (Polish)", 2011),
]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    table = pd.DataFrame(ROWS, columns=["id", "title", "label", "year"]).astype({"year": "Int64"})
    return Catalog(
        tmp_path,
        CatalogConfig(categories=()),
        table.assign(picture="p.jpg"),
        table.filter(["title"]),
        ReadReport(len(ROWS)),
        "c" * 64,
    )


@pytest.fixture
def split(catalog: Catalog) -> Split:
    """One part `top2` (Dresses, Ties) and the rest (Nail (Polish), Watches); no class but Nail is unseen."""
    return make_split(catalog, SplitConfig(top_k=2))
