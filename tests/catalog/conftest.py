"""Tiny catalogs, written cell by cell."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fusionclf.catalog import Catalog, read_catalog
from fusionclf.config import CatalogConfig

COLUMNS = (
    "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName".split(
        ","
    )
)
DEFAULTS = {
    "gender": "Men",
    "masterCategory": "Apparel",
    "subCategory": "Topwear",
    "articleType": "Shirts",
    "baseColour": "Blue",
    "season": "Summer",
    "year": "2012",
    "usage": "Casual",
    "productDisplayName": "A Shirt",
}
Rows = Iterable[dict[str, Any]]
WriteCatalog = Callable[..., Path]
MakeCatalog = Callable[..., Catalog]


@pytest.fixture
def write_catalog(tmp_path: Path) -> WriteCatalog:
    """Write rows, each given by the cells that differ from the defaults, with a one-coloured picture each."""

    def write(rows: Rows, *, pictures: bool = True, name: str = "catalog") -> Path:
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        lines = [",".join(COLUMNS)]
        for number, row in enumerate(rows):
            cells = {"id": str(number + 1), **DEFAULTS, **row}
            lines.append(",".join(str(cells[column]) for column in COLUMNS))
            if pictures:
                colour = (number * 40 % 256, number * 7 % 256, 90)
                Image.new("RGB", (6, 8), colour).save(folder / "images" / f"{cells['id']}.jpg")
        (folder / "styles.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    return write


@pytest.fixture
def make_catalog(write_catalog: WriteCatalog) -> MakeCatalog:
    """Write rows without pictures and read them."""

    def make(rows: Rows, *, name: str = "catalog", **settings: Any) -> Catalog:
        folder = write_catalog(rows, pictures=False, name=name)
        return read_catalog(folder, CatalogConfig(missing_picture="keep", **settings))

    return make
