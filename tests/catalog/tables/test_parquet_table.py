"""Parquet files: columns of pictures are left out, rows with huge cells are dropped and counted."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusionclf.catalog.tables import Rows, Table, joined_rows, open_table
from fusionclf.catalog.tables.rows import LONGEST_CELL
from fusionclf.errors import CatalogError

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"
BYTES: dict[str, tuple[Any, Any]] = {
    "thumbnail": (JPEG, pa.binary()),
    "large": (JPEG, pa.large_binary()),
    "fixed": (JPEG, pa.binary(len(JPEG))),
    "repeated": (JPEG, pa.dictionary(pa.int32(), pa.binary())),
    "image": ({"bytes": JPEG, "path": "a.jpg"}, pa.struct({"bytes": pa.binary(), "path": pa.string()})),
    "images": ([{"bytes": JPEG}], pa.list_(pa.struct({"bytes": pa.binary()}))),
    "named": ([("front", JPEG)], pa.map_(pa.string(), pa.binary())),
}


def written(folder: Path, **columns: Any) -> Table:
    pq.write_table(pa.table(columns), folder / "t.parquet", row_group_size=2)
    return open_table(folder / "t.parquet")


def read(table: Table) -> Rows:
    return joined_rows(table.chunks())


@pytest.mark.parametrize("name", BYTES)
def test_binary_columns_are_left_out_unless_wanted(tmp_path: Path, name: str) -> None:
    value, kind = BYTES[name]
    table = written(
        tmp_path, id=[1, 2, 3], **{name: pa.array([None, value, value], kind)}, tags=[["a"], [], None]
    )
    assert table.columns == ["id", name, "tags"] and table.binary_columns() == [name]
    assert list(read(table).table.columns) == ["id", "tags"]
    with pytest.raises(
        CatalogError, match=rf"column '{name}' holds .*binary.*; give a column of texts or numbers"
    ):
        list(table.chunks([name]))


def test_texts_in_a_binary_column_are_read(tmp_path: Path) -> None:
    titles = pa.array([None, "Größe".encode(), b"Red"], pa.binary())
    table = written(tmp_path, title=titles, empty=pa.array([None] * 3, pa.binary()))
    assert table.binary_columns() == ["empty"]
    assert read(table).table["title"].tolist() == ["", "Größe", "Red"]


def test_row_with_a_huge_cell_is_dropped(tmp_path: Path) -> None:
    long = "x" * LONGEST_CELL
    table = written(tmp_path, id=[1, 2, 3, 4], title=["One", f"{long}x", long, "Four"])
    rows = read(table)
    assert rows.table["title"].tolist() == ["One", long, "Four"] and rows.lines.tolist() == [1, 3, 4]
    assert rows.dropped == {"a cell of more than 1,048,576 characters": ["row 2"]}
    assert rows.rows_read == 4
    assert joined_rows(table.chunks(["id"])).table["id"].tolist() == ["1", "2", "3", "4"]
