"""A small catalog of wordy titles: three types in the first part, three in the rest, one of them unseen."""

from pathlib import Path

import pandas as pd
import pytest

from fusionclf.catalog import Catalog, Split, make_split
from fusionclf.catalog.records import ReadReport
from fusionclf.config import CatalogConfig, SplitConfig

TYPES = {"Shirts": 14, "Shoes": 12, "Watches": 10, "Belts": 8, "Scarves": 6, "Lipstick": 4}
WORDS = ("red", "blue", "classic", "summer", "women", "men", "steel", "soft")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    rows = []
    for name, count in TYPES.items():
        for number in range(count):
            # Lipstick has odd years alone, so it is in no train row.
            year = 2011 if name == "Lipstick" else 2010 + number % 2
            title = f"{WORDS[number % 8]} {name.lower()} {WORDS[(3 * number + 1) % 8]}"
            rows.append((f"{len(rows):03}", title, name, year))
    table = pd.DataFrame(rows, columns=["id", "title", "label", "year"]).astype({"year": "Int64"})
    table.loc[table["id"] == "001", "title"] = ""  # a test row without a title
    table["picture"] = "p.jpg"
    lines = ["id,articleType,year,season,productDisplayName"]
    lines += [f"{i},{label},{year},Fall,{title}" for i, title, label, year in rows]
    lines[1 + 3] = lines[1 + 3].replace("Fall", "NA")  # a test row
    lines[1 + 5] = lines[1 + 5].replace("Fall", "")  # a test row
    (tmp_path / "styles.csv").write_text("\n".join(lines) + "\n")
    columns = CatalogConfig(categories=(), metadata=("season",))
    return Catalog(
        tmp_path, columns, table, table.filter(["title"]), ReadReport(len(table), repaired=["007"]), "c" * 64
    )


@pytest.fixture
def split(catalog: Catalog) -> Split:
    return make_split(catalog, SplitConfig(top_k=3))
