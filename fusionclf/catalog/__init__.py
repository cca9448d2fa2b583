"""Files on disk → one clean table, and the split that all variants share."""

from fusionclf.catalog.check import CatalogCheck, check_catalog
from fusionclf.catalog.decoding import (
    FORMATS,
    MEGAPIXELS,
    decoded_picture,
    is_picture,
    open_picture,
    picture_size,
)
from fusionclf.catalog.download import download_catalog
from fusionclf.catalog.pictures import near_hash, picture_hash
from fusionclf.catalog.records import Catalog, ReadReport, read_catalog
from fusionclf.catalog.splits import Split, make_split
from fusionclf.catalog.synonyms import read_synonyms
from fusionclf.catalog.synthetic import generate_sample

__all__ = [
    "FORMATS",
    "MEGAPIXELS",
    "Catalog",
    "CatalogCheck",
    "ReadReport",
    "Split",
    "check_catalog",
    "decoded_picture",
    "download_catalog",
    "generate_sample",
    "is_picture",
    "make_split",
    "near_hash",
    "open_picture",
    "picture_hash",
    "picture_size",
    "read_catalog",
    "read_synonyms",
]
