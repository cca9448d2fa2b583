"""A table in any usual format → its columns, what was recognised, and its rows as texts, chunk by chunk."""

from fusionclf.catalog.tables.opening import open_table
from fusionclf.catalog.tables.rows import CHUNK_ROWS, Rows, joined_rows
from fusionclf.catalog.tables.table import Table
from fusionclf.catalog.tables.texts import is_utf8

__all__ = ["CHUNK_ROWS", "Rows", "Table", "is_utf8", "joined_rows", "open_table"]
