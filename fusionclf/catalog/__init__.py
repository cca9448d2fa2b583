"""Files on disk → one clean table, and the split that all variants share."""

from fusionclf.catalog.audit import Audit, audit_catalog
from fusionclf.catalog.download import download_catalog
from fusionclf.catalog.pictures import MEGAPIXELS, near_hash, open_picture, picture_hash
from fusionclf.catalog.records import Catalog, Reading, read_catalog
from fusionclf.catalog.splits import Split, make_split
from fusionclf.catalog.synonyms import read_synonyms
from fusionclf.catalog.synthetic import generate_sample

__all__ = [
    "MEGAPIXELS",
    "Audit",
    "Catalog",
    "Reading",
    "Split",
    "audit_catalog",
    "download_catalog",
    "generate_sample",
    "make_split",
    "near_hash",
    "open_picture",
    "picture_hash",
    "read_catalog",
    "read_synonyms",
]
