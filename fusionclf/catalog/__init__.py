"""Files on disk → one clean table, and the split that all variants share."""

from fusionclf.catalog.pictures import near_hash, open_picture, picture_hash
from fusionclf.catalog.records import Catalog, Reading, read_catalog
from fusionclf.catalog.splits import Split, make_split

__all__ = [
    "Catalog",
    "Reading",
    "Split",
    "make_split",
    "near_hash",
    "open_picture",
    "picture_hash",
    "read_catalog",
]
