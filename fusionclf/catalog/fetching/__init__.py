"""Download the pictures of a catalog whose cells hold URLs."""

from fusionclf.catalog.fetching.download import FetchLimits
from fusionclf.catalog.fetching.fetch import FetchReport, fetch_pictures

__all__ = ["FetchLimits", "FetchReport", "fetch_pictures"]
