"""Corrections → a copy of the table in which only the corrected cells differ."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from fusionclf.catalog.corrections import Applied, ApplyRequest, Corrections, apply_corrections
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError

COLUMNS = CatalogConfig(
    id="sku", title="name", label="kind", categories=("section",), metadata=(), year=None, picture=None,
)  # fmt: skip
TABLE = """sku;section;kind;name
1;Cloth;Dresses;"Red; long"
2;Cloth;Dresses;Blüe
3;Home;Bowls;"two
lines"
4;Home;Vases;tall
5;Home;;?
6;Home;Bowls
7;Home;Bowls;a;b
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.csv").write_bytes(TABLE.replace("\n", "\r\n").encode("cp1252"))
    return tmp_path / "shop.csv"


def apply(data: Path, labels: dict[str, str], **options: bool) -> Applied:
    request = replace(ApplyRequest(data, COLUMNS), **options)
    return apply_corrections(Corrections(Path("answers.csv"), labels), request)


def refused(data: Path, labels: dict[str, str]) -> str:
    with pytest.raises(CatalogError) as caught:
        apply(data, labels)
    return str(caught.value)


def test_only_corrected_lines_of_a_csv_differ(shop: Path) -> None:
    before = shop.read_bytes()
    found = apply(shop, {"2": "Bowls", "3": "Vases", "4": "Vases", "5": "Bowls"})
    assert (found.out.name, found.changed, found.confirmed) == ("shop.corrected.csv", 3, 1)
    expected = TABLE.replace("2;Cloth;Dresses", "2;Home;Bowls").replace("3;Home;Bowls", "3;Home;Vases")
    expected = expected.replace("5;Home;;", "5;Home;Bowls;").replace("\n", "\r\n")
    assert found.out.read_bytes().decode("cp1252") == expected
    assert shop.read_bytes() == before


def test_log_has_each_changed_cell(shop: Path) -> None:
    found = apply(shop, {"2": "Bowls", "3": "Vases"})
    log = pd.read_csv(found.log, dtype=str).to_numpy().tolist()
    assert log == [
        ["2", "kind", "Dresses", "Bowls"],
        ["2", "section", "Cloth", "Home"],
        ["3", "kind", "Bowls", "Vases"],
    ]


def test_second_correction_gets_a_name_of_its_own(shop: Path) -> None:
    first = apply(shop, {"1": "Bowls"}).out
    second = apply(first, {"4": "Bowls"}).out
    assert second.name == "shop.corrected2.csv" and "1;Home;Bowls" in second.read_text("cp1252")
    with pytest.raises(CatalogError, match="exists already"):
        apply_corrections(Corrections(Path("a.csv"), {"1": "Vases"}), ApplyRequest(shop, COLUMNS, first))


def test_unknown_products_and_classes_are_refused(shop: Path) -> None:
    message = refused(shop, {"99": "Bowls", "1": "Vases"})
    assert "1 products are not in shop.csv ('99')" in message and "--ignore-unknown" in message
    message = refused(shop, {"1": "Vase"})
    assert "1 classes are not in shop.csv ('Vase (did you mean Vases?)')" in message
    assert "no label differs" in refused(shop, {"1": "Dresses"})
    assert [path.name for path in shop.parent.iterdir()] == ["shop.csv"]


def test_unknown_products_and_classes_are_accepted_by_options(shop: Path) -> None:
    found = apply(shop, {"99": "Bowls", "1": "Kites"}, ignore_unknown=True, new_classes=True)
    assert found.unknown == ("99",) and found.new_classes == {"Kites": 1}
    assert "1;Cloth;Kites;" in found.out.read_text("cp1252")


def test_json_lines_keep_their_other_values(tmp_path: Path) -> None:
    rows = [
        {"sku": 1, "section": "A", "kind": "X", "name": "n", "price": 2.50, "tags": ["a"]},
        {"sku": 2, "section": "B", "kind": "Y", "name": "é"},
    ]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"
    (tmp_path / "shop.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    found = apply(tmp_path / "shop.jsonl.gz", {"1": "Y"})
    assert found.out.name == "shop.corrected.jsonl.gz"
    lines = gzip.decompress(found.out.read_bytes()).decode().splitlines()
    assert (
        json.loads(lines[0]) == rows[0] | {"section": "B", "kind": "Y"} and lines[1] == text.splitlines()[1]
    )


def test_parquet_keeps_its_other_columns(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"sku": [1, 2], "section": ["A", "B"], "kind": ["X", "Y"], "name": ["n", "m"], "price": [2.5, None]}
    )
    table.to_parquet(tmp_path / "shop.parquet", index=False)
    found = pd.read_parquet(apply(tmp_path / "shop.parquet", {"1": "Y"}).out)
    pd.testing.assert_frame_equal(found, table.assign(section=["B", "B"], kind=["Y", "Y"]))


def test_parquet_keeps_its_pictures(tmp_path: Path) -> None:
    table = {
        "sku": ["1", "2"],
        "kind": ["A", "B"],
        "section": ["S", "S"],
        "name": ["a", "b"],
        "image": [b"\xff", b"\xfe"],
    }
    pd.DataFrame(table).to_parquet(tmp_path / "shop.parquet")
    found = apply(tmp_path / "shop.parquet", {"1": "B"})
    copy = pd.read_parquet(found.out)
    assert copy["kind"].tolist() == ["B", "B"] and copy["image"].tolist() == [b"\xff", b"\xfe"]


def test_label_that_the_encoding_lacks_is_refused(shop: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be written in"):
        apply(shop, {"1": "Κύπελλα"}, new_classes=True)
    assert len(list(shop.parent.iterdir())) == 1


def test_a_product_without_its_picture_can_be_confirmed(tmp_path: Path) -> None:
    lines = ["id,path,name,image", "1,Men > Shoes > Boots,a,1.jpg", "2,Men > Shoes > Sneakers,b,2.jpg",
             "3,Men > Hats > Caps,c,3.jpg"]  # fmt: skip
    (tmp_path / "shop.csv").write_text("\n".join(lines))
    columns = CatalogConfig(
        id="id", title="name", label="path", label_separator=">", label_level=2, categories=(), metadata=(),
        year=None, picture="{image}",
    )  # fmt: skip
    request = ApplyRequest(tmp_path / "shop.csv", columns)
    found = apply_corrections(Corrections(Path("a.csv"), {"1": "Shoes", "3": "Shoes"}), request)
    assert (found.changed, found.confirmed) == (1, 1)
    assert found.out.read_text().splitlines()[1] == lines[1]


def test_labels_that_are_paths_get_the_whole_path(tmp_path: Path) -> None:
    rows = [
        f"{n},{path},title" for n, path in enumerate(["A > B > X", "A > B > X", "A > C > Y", "A > C > Y"])
    ]
    (tmp_path / "shop.csv").write_text("\n".join(["id,path,name", *rows]))
    columns = CatalogConfig(
        id="id",
        title="name",
        label="path",
        label_separator=" > ",
        categories=(),
        metadata=(),
        year=None,
        picture=None,
    )
    request = ApplyRequest(tmp_path / "shop.csv", columns)
    found = apply_corrections(Corrections(Path("a.csv"), {"0": "Y"}), request)
    assert found.out.read_text().splitlines()[1] == "0,A > C > Y,title"
