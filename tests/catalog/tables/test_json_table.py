"""JSON lines: keys become columns, faulty lines are dropped and counted."""

from pathlib import Path

import pytest

from fusionclf.catalog.tables import joined_rows, open_table
from fusionclf.catalog.tables import json_table as module
from fusionclf.errors import CatalogError


def write(folder: Path, *lines: str) -> Path:
    (folder / "t.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder / "t.jsonl"


def test_faulty_lines_are_dropped_with_their_place(tmp_path: Path) -> None:
    lines = [
        '{"id": 1}',
        "",
        "{",
        "[1]",
        '{"id": "\\ud800"}',
        '{"id": "a\\u0000"}',
        '{"id": "' + "x" * 2**20 + '"}',
    ]
    rows = joined_rows(open_table(write(tmp_path, *lines, '{"id": 2}')).chunks(["id"], 2))
    assert rows.table["id"].tolist() == ["1", "2"] and rows.lines.tolist() == [1, 8]
    assert rows.dropped == {
        "not JSON": ["line 3"], "holds a list, not an object": ["line 4"], "id is not valid text": ["line 5", "line 6"],
        "a line of more than 1,048,576 characters": ["line 7"],
    }  # fmt: skip
    assert [rows.place(n) for n in (0, 1)] == ["line 1", "line 8"]


def test_a_key_of_a_late_line_is_a_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_LINES", 2)
    file = write(tmp_path, '{"id": 1}', '{"id": 2}', '{"id": 3, "title": "Three"}')
    assert open_table(file).columns == ["id"]
    assert open_table(file, wanted=["title"]).columns == ["id", "title"]
    assert joined_rows(open_table(file).chunks()).table["title"].tolist() == ["", "", "Three"]
    with pytest.raises(
        CatalogError, match=r"no column 'titel'; did you mean 'title'\? columns found: id, title"
    ):
        list(open_table(file).chunks(["titel"]))


def test_a_file_without_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"line 1: not JSON; give a JSON object on each line"):
        open_table(write(tmp_path, "[", '{"id": 1}, {"id": 2}', "]"))
    with pytest.raises(CatalogError, match=r"line 1: holds a list, not an object"):
        open_table(write(tmp_path, '[{"id": 1}]'))


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    (rows,) = open_table(write(tmp_path)).chunks(["id", "title"])
    assert list(rows.table.columns) == ["id", "title"] and rows.rows_read == 0
