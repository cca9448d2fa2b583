"""Answers from CSV files and from Label Studio."""

import json
from pathlib import Path
from typing import Any

import pytest

from fusionclf.catalog.corrections import read_corrections
from fusionclf.errors import CatalogError


def annotation(*labels: str, cancelled: bool = False) -> dict[str, Any]:
    result = {"from_name": "label", "to_name": "title", "type": "choices", "value": {"choices": list(labels)}}
    return {"id": 1, "was_cancelled": cancelled, "result": [result] if labels else [], "lead_time": 4.2}


def task(products: list[str], *annotations: dict[str, Any]) -> dict[str, Any]:
    """A task of Label Studio's JSON export."""
    data = {"products": products, "title": "Red Dress", "picture": "data:image/jpeg;base64,AA"}
    return {"id": 5, "data": data, "annotations": list(annotations), "predictions": []}


def written(folder: Path, value: object) -> Path:
    file = folder / "export.json"
    file.write_text(json.dumps(value), encoding="utf-8")
    return file


def test_empty_cells_of_a_table_are_no_answers(tmp_path: Path) -> None:
    file = tmp_path / "corrections.csv"
    file.write_text("id,title,correction\n1,a,Dresses\n2,b,\n'=3,c, Ties \n")
    found = read_corrections(file)
    assert found.labels == {"1": "Dresses", "=3": "Ties"} and found.open == 1


def test_spreadsheets_semicolons_are_read(tmp_path: Path) -> None:
    file = tmp_path / "corrections.csv"
    file.write_bytes("id;correction\r\n1;Schüsseln\r\n".encode("cp1252"))
    assert read_corrections(file).labels == {"1": "Schüsseln"}


def test_label_studio_json_gives_copies_one_answer(tmp_path: Path) -> None:
    tasks = [
        task(["1", "2"], annotation("Dresses")),
        task(["3"], annotation("Ties", cancelled=True)),
        task(["4"]),
        task(["5"], annotation("Ties"), annotation("Ties"), annotation()),
    ]
    found = read_corrections(written(tmp_path, tasks))
    assert found.labels == {"1": "Dresses", "2": "Dresses", "5": "Ties"} and found.open == 2


def test_label_studio_json_min_is_read(tmp_path: Path) -> None:
    tasks = [
        {"id": 7, "products": ["1"], "label": "Dresses", "annotator": 1},
        {"id": 8, "products": ["2"], "label": {"choices": ["Ties"]}},
        {"id": 9, "products": ["3"]},
    ]
    found = read_corrections(written(tmp_path, tasks))
    assert found.labels == {"1": "Dresses", "2": "Ties"} and found.open == 1


def test_two_answers_for_a_product_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, [task(["1"], annotation("Dresses"), annotation("Ties"))])
    with pytest.raises(CatalogError, match=r"1 products have two answers \('1': 'Dresses', 'Ties'\)"):
        read_corrections(file)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.json", "[1", "not JSON"),
        ("a.json", '[{"data": {"image": "x"}}]', "task 1 has no list 'products'"),
        ("a.csv", "id,label\n1,Dresses\n", "no column 'correction'"),
        ("b.csv", None, "no such file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str | None, fault: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(CatalogError, match=fault):
        read_corrections(tmp_path / name)
