"""Products of a file: the same texts from every format, and the pictures that their paths mean."""

import gzip
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, PredictionError
from fusionclf.prediction.io.product_rows import Chunk
from fusionclf.prediction.io.readers import ProductTable

COLUMNS = CatalogConfig(id="sku", title="name", picture="{file}")


def read(file: Path, **settings: Any) -> Chunk:
    (chunk,) = ProductTable(file, COLUMNS, **settings).chunks(1000)
    return chunk


def write_all(folder: Path, table: pd.DataFrame) -> list[Path]:
    """A table as CSV, JSON lines and Parquet, as pandas writes it."""
    files = [folder / f"t.{kind}" for kind in ("csv", "jsonl", "parquet")]
    table.to_csv(files[0], index=False)
    table.to_json(files[1], orient="records", lines=True)
    table.to_parquet(files[2])
    return files


@pytest.mark.parametrize("ids", [[1000, 1001], [2**62 + 1, -3], ["007", "1000.0"]])
def test_an_id_is_the_same_text_from_every_format(tmp_path: Path, ids: list[Any]) -> None:
    table = pd.DataFrame({"sku": ids, "name": "Red Shirt"})
    for file in write_all(tmp_path, table):
        assert read(file, reads_pictures=False).ids == [str(value) for value in ids], file.suffix


def test_whole_numbers_have_no_fraction(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(
        '{"sku": 1000.0, "name": 1.5}\n{"sku": 12345678901234567890, "name": true}\n'
    )
    assert read(tmp_path / "t.jsonl", reads_pictures=False).ids == ["1000", "12345678901234567890"]
    assert read(tmp_path / "t.jsonl", reads_pictures=False).fields["title"].tolist() == ["1.5", "true"]
    columns = {
        "float64": pa.array([1000.0, 1.5]), "float32": pa.array([1000.0, 1.5], pa.float32()),
        "decimal": pa.array([Decimal("1000.00"), Decimal("1.50")]), "uint64": pa.array([1000, 2**64 - 1], pa.uint64()),
        "bool": pa.array([True, False]), "dictionary": pa.array(["1000", "1.5"]).dictionary_encode(),
    }  # fmt: skip
    found = {}
    for name, ids in columns.items():
        pq.write_table(pa.table({"sku": ids, "name": ["a", "b"]}), tmp_path / f"{name}.parquet")
        found[name] = read(tmp_path / f"{name}.parquet", reads_pictures=False).ids
    assert found == {
        "float64": ["1000", "1.5"], "float32": ["1000", "1.5"], "decimal": ["1000", "1.50"],
        "uint64": ["1000", "18446744073709551615"], "bool": ["true", "false"], "dictionary": ["1000", "1.5"],
    }  # fmt: skip


def test_missing_values_are_missing_from_every_format(tmp_path: Path) -> None:
    values = ["Red Shirt", None, "nan", "<NA>", "N/A", " null ", "NA"]
    table = pd.DataFrame({"sku": [f"s{n}" for n in range(7)], "name": values, "file": values})
    files = write_all(tmp_path, table)
    (tmp_path / "n.jsonl").write_text(
        '{"sku": "s1", "name": NaN, "file": NaN}\n{"sku": NaN, "name": "a", "file": null}\n'
    )
    for file in files:
        chunk = read(file)
        assert chunk.fields["title"].tolist() == ["Red Shirt", "", "", "", "", "", "NA"], file.suffix
        assert [path is None for path in chunk.pictures] == [False, True, True, True, True, True, False]
    chunk = read(tmp_path / "n.jsonl")
    assert (chunk.ids, chunk.fields["title"].tolist(), chunk.pictures) == (["s1"], [""], [None])
    assert [(fault.place, fault.reason) for fault in chunk.faults] == [("line 2", "no sku")]


@pytest.mark.parametrize(
    "cell",
    [
        "images//1.jpg",
        " images/1.jpg",
        "images/1.jpg ",
        "images\\1.jpg",
        "images/1.JPG",
        "{root}/images/1.jpg",
    ],
)
def test_a_picture_path_that_means_one_file_is_opened(tmp_path: Path, cell: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.jpg").touch()
    (tmp_path / "images/2.jpg").touch()
    cells = [cell.replace("{root}", str(tmp_path))]
    for file in write_all(tmp_path, pd.DataFrame({"sku": [1], "name": ["a"], "file": cells})):
        chunk = read(file)
        assert [os.path.normpath(str(path)) for path in chunk.pictures] == [str(tmp_path / "images/1.jpg")]
        assert chunk.missing.count == 0


def test_missing_pictures_are_counted_and_shown_once(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/0.jpg").touch()
    cells = ["images/0.jpg", "", *(f"images/{n}.png" for n in range(8))]
    pd.DataFrame({"sku": range(10), "name": "a", "file": cells}).to_csv(tmp_path / "t.csv", index=False)
    chunks = list(ProductTable(tmp_path / "t.csv", COLUMNS).chunks(4))
    assert [(chunk.missing.count, chunk.missing.empty, len(chunk.missing.examples)) for chunk in chunks] == [
        (3, 1, 2), (4, 0, 1), (2, 0, 0),
    ]  # fmt: skip
    assert chunks[0].missing.examples[0] == "'images/0.png' (there is 'images/0.jpg')"
    own = list(ProductTable(tmp_path / "t.csv", COLUMNS).chunks(4, lambda number: number == 1))
    assert [chunk.missing.count for chunk in own] == [0, 4, 0]


def test_a_path_outside_the_folder_is_a_fault(tmp_path: Path) -> None:
    pd.DataFrame({"sku": [1, 2], "name": "a", "file": ["../x.jpg", "/x" * 300]}).to_csv(tmp_path / "t.csv")
    reasons = [fault.reason for fault in read(tmp_path / "t.csv").faults]
    assert len(reasons) == 2 and all("leads out of" in reason and len(reason) < 300 for reason in reasons)


def test_a_missing_column_is_named_in_every_format(tmp_path: Path) -> None:
    for file in write_all(tmp_path, pd.DataFrame({"SKU": [1], "name": ["a"]})):
        with pytest.raises(Exception, match="no column 'sku'; did you mean 'SKU'"):
            read(file, reads_pictures=False)


def test_a_column_that_holds_no_texts_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"sku": [b"\xff", b"2"], "name": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(CatalogError, match=r"column 'sku' holds binary; give a column of texts or numbers"):
        read(tmp_path / "t.parquet", reads_pictures=False)


@pytest.mark.parametrize(
    ("there", "missing"), [({"name": ["a", "b"]}, "picture"), ({"file": ["1.jpg", ""]}, "title")]
)
def test_an_input_without_column_is_missing_with_a_note(
    tmp_path: Path, there: dict[str, list[str]], missing: str
) -> None:
    (tmp_path / "1.jpg").touch()
    for file in write_all(tmp_path, pd.DataFrame({"sku": [1, 2], **there})):
        table = ProductTable(file, COLUMNS)
        (chunk,) = table.chunks(10)
        assert chunk.fields["title"].tolist() == there.get("name", ["", ""]), file.suffix
        assert [path is None for path in chunk.pictures] == [missing == "picture", True]
        (note,) = table.notes
        assert f"no product has a {missing}; catalog.{missing} names another" in note


def test_the_note_on_a_missing_column_names_the_near_one(tmp_path: Path) -> None:
    pd.DataFrame({"sku": [1], "Name": ["a"], "file": [""]}).to_csv(tmp_path / "t.csv", index=False)
    (note,) = ProductTable(tmp_path / "t.csv", COLUMNS).notes
    assert "no column 'name' (did you mean 'Name'?): no product has a title" in note


def test_a_file_without_any_input_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"sku": [1], "price": [2]}).to_csv(tmp_path / "t.csv", index=False)
    message = r"no column 'name' and no column 'file', .* columns found: sku, price .*catalog.title or catalog.picture"
    with pytest.raises(PredictionError, match=message):
        ProductTable(tmp_path / "t.csv", COLUMNS)
    with pytest.raises(PredictionError, match="no column 'file', and the run reads nothing else"):
        ProductTable(tmp_path / "t.csv", COLUMNS, reads_titles=False)


def test_a_title_of_null_needs_no_column(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    pd.DataFrame({"sku": [1], "file": ["1.jpg"]}).to_csv(tmp_path / "t.csv", index=False)
    table = ProductTable(tmp_path / "t.csv", COLUMNS.model_copy(update={"title": None}))
    (chunk,) = table.chunks(10)
    assert (chunk.fields["title"].tolist(), len(chunk.pictures), table.notes) == ([""], 1, [])


def test_any_delimiter_encoding_and_gzip_is_read(tmp_path: Path) -> None:
    content = "sku;name\n1;Größe, groß\n2;Café\n"
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        (tmp_path / "t.csv.gz").write_bytes(gzip.compress(content.encode(encoding)))
        chunk = read(tmp_path / "t.csv.gz", reads_pictures=False)
        assert (chunk.ids, chunk.fields["title"].tolist()) == (["1", "2"], ["Größe, groß", "Café"]), encoding
