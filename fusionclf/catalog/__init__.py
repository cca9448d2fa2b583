"""Files on disk → one clean table, and the split that all variants share."""

from fusionclf.catalog.check import CatalogCheck, check_catalog
from fusionclf.catalog.decoding import FORMATS, MEGAPIXELS, decoded_picture, open_picture, picture_size
from fusionclf.catalog.download import download_catalog
from fusionclf.catalog.pictures import picture_hash
from fusionclf.catalog.records import Catalog, read_catalog
from fusionclf.catalog.split_record import Split
from fusionclf.catalog.splits import make_split
from fusionclf.catalog.synonyms import read_synonyms
from fusionclf.catalog.synthetic import LABEL_ERRORS, generate_sample

__all__ = [
    "FORMATS",
    "LABEL_ERRORS",
    "MEGAPIXELS",
    "Catalog",
    "CatalogCheck",
    "Split",
    "check_catalog",
    "decoded_picture",
    "download_catalog",
    "generate_sample",
    "make_split",
    "open_picture",
    "picture_hash",
    "picture_size",
    "read_catalog",
    "read_synonyms",
]
