"""Columns that are not wanted take no memory, whatever the format."""

import json
import tracemalloc
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from fusionclf.catalog.tables import open_table

ROWS = 4000
LONG = "words of a long description " * 80  # 9 MB in all


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    table = pd.DataFrame({"id": range(ROWS), "description": [f"{n} {LONG}" for n in range(ROWS)]})
    table.to_csv(folder / "t.csv", index=False)
    table.to_parquet(folder / "t.parquet", row_group_size=500)
    rows = (json.dumps(row) + "\n" for row in table.to_dict("records"))
    (folder / "t.jsonl").write_text("".join(rows), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_unwanted_columns_take_no_memory(folder: Path, name: str) -> None:
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        (rows,) = open_table(folder / name).chunks(["id"], 10_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows.table["id"].tolist() == [str(n) for n in range(ROWS)]
    assert peak < 6 * 2**20
    assert pa.total_allocated_bytes() - before < 2**20
