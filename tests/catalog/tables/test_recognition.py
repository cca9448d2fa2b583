"""What a table is recognised as: format, delimiter, encoding, compression; and what is refused as unclear."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from fusionclf.catalog.corrections.table_copy import write_copy
from fusionclf.catalog.tables import joined_rows, open_table
from fusionclf.errors import CatalogError

NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
ROWS = [("id", "titel", "preis"), ("1", "Größe L, grün", "12,50"), ("2", "Käse; mild", "3"), ("3", "a|b", "")]


def csv_text(sign: str) -> str:
    return "".join(
        sign.join(f'"{cell}"' if any(each in cell for each in NAMES) else cell for cell in row) + "\n"
        for row in ROWS
    )


def write(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def cells(file: Path, **settings: str) -> list[tuple[str, ...]]:
    rows = joined_rows(open_table(file, **settings).chunks())
    return [tuple(rows.table.columns), *rows.table.itertuples(index=False, name=None)]


@pytest.mark.parametrize("sign", NAMES)
@pytest.mark.parametrize(
    ("codec", "shown", "setting"),
    [("utf-8", "UTF-8", "utf-8"), ("utf-8-sig", "UTF-8 with byte order mark", "utf-8"),
     ("utf-16", "UTF-16", "utf-16"), ("utf-16-le", "UTF-16-LE", "utf-16-le"), ("utf-16-be", "UTF-16-BE", "utf-16-be"),
     ("cp1252", "cp1252", "cp1252"), ("latin-1", "cp1252", "cp1252")],
)  # fmt: skip
def test_every_delimiter_in_every_encoding(
    tmp_path: Path, sign: str, codec: str, shown: str, setting: str
) -> None:
    content = csv_text(sign).encode(codec)
    table = open_table(write(tmp_path, content))
    assert table.recognised == f"CSV, {NAMES[sign]}, {shown}"
    assert table.encoding == setting and table.columns == list(ROWS[0])
    packed = write(tmp_path, gzip.compress(content), "t.bin")  # by content, not by suffix
    assert open_table(packed).recognised == f"CSV, {NAMES[sign]}, {shown}, gzip"
    assert cells(tmp_path / "t.csv") == cells(packed) == ROWS
    given = {"delimiter": str(table.delimiter), "encoding": str(table.encoding)}
    assert cells(tmp_path / "t.csv", **given) == ROWS


def test_wanted_columns_decide_between_delimiters(tmp_path: Path) -> None:
    file = write(tmp_path, b"id;name;price, EUR\n1;Shirt;12,50\n2;Shoe;3,99\n")
    with pytest.raises(CatalogError) as caught:
        open_table(file)
    assert str(caught.value) == (
        f"{file}: its cells may be separated by commas (2 columns) or semicolons (3 columns); set "
        "catalog.delimiter=comma or catalog.delimiter=semicolon"
    )
    assert open_table(file, wanted=["id", "missing"]).columns == ["id", "name", "price, EUR"]
    assert open_table(file, delimiter="comma").columns == ["id;name;price", " EUR"]


def test_rows_of_the_headers_width_decide(tmp_path: Path) -> None:
    file = write(tmp_path, b"id,price (EUR|USD)\n1,2\n2,3\n")
    assert open_table(file).columns == ["id", "price (EUR|USD)"]
    one = open_table(write(tmp_path, b"title\na, b\nc; d\n"))
    assert (one.columns, one.recognised) == (["title"], "CSV, one column, UTF-8")


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("sign", NAMES)
def test_a_first_line_may_set_the_delimiter(tmp_path: Path, sign: str, codec: str) -> None:
    file = write(tmp_path, f"sep={sign}\r\n{csv_text(sign)}".encode(codec))
    table = open_table(file, wanted=["id", "other"])
    assert table.recognised.startswith(f"CSV, {NAMES[sign]}, ") and cells(file) == ROWS
    assert next(table.chunks()).lines.tolist() == [3, 4, 5]
    write_copy(table, {4: {"titel": "Brot"}}, tmp_path / "copy.csv")
    copied = [*ROWS[:2], ("2", "Brot", "3"), ROWS[3]]
    assert (
        cells(tmp_path / "copy.csv") == cells(tmp_path / "copy.csv", delimiter=str(table.delimiter)) == copied
    )


def test_unnamed_columns_are_left_out_unless_wanted(tmp_path: Path) -> None:
    file = write(tmp_path, b"id,title,, \n1,One,,x\n")
    assert cells(file) == [("id", "title"), ("1", "One")]
    assert open_table(file).columns == ["id", "title", "", " "]
    (rows,) = open_table(file).chunks([" "])
    assert rows.table[" "].tolist() == ["x"]


def test_a_wrong_delimiter_is_named_with_the_right_one(tmp_path: Path) -> None:
    file = write(tmp_path, b"id;title\n1;One, Two\n")
    with pytest.raises(CatalogError, match=r"separated by semicolons; set catalog\.delimiter=semicolon"):
        list(open_table(file, delimiter="comma").chunks(["id"]))


def test_surplus_fields_are_joined_by_the_files_delimiter(tmp_path: Path) -> None:
    table = open_table(write(tmp_path, b"id;title\n1;a;b\n2;c\n"))
    rows = joined_rows(table.chunks(last="title"))
    assert rows.table["title"].tolist() == ["a;b", "c"] and rows.repaired == [0]


@pytest.mark.parametrize("codec", ["cp1250", "cp1251", "shift-jis", "cp850", "mac-roman", "koi8-r"])
def test_other_encodings_are_refused_with_the_setting(tmp_path: Path, codec: str) -> None:
    texts = {
        "cp1250": "Żółta sukienka z długim rękawem", "cp1251": "Платье женское красное", "koi8-r": "Платье женское",
        "shift-jis": "レディースワンピース 赤", "cp850": "Grüne Männerjacke für Übergröße", "mac-roman": "Crème brûlée",
    }  # fmt: skip
    content = f"id;title\n1;{texts[codec]}\n2;Red Shirt\n"
    file = write(tmp_path, content.encode(codec))
    with pytest.raises(
        CatalogError, match=r"not UTF-8 \(line 2 .*unclear.*set catalog\.encoding, such as cat"
    ):
        open_table(file)
    assert cells(file, encoding=codec)[1] == ("1", texts[codec])


@pytest.mark.parametrize("text", ["Café", "Levi\u2019s® 501™", "Größe", "Jalapeño", "Shoes £20", "5 €"])
def test_one_cell_of_cp1252_is_enough(tmp_path: Path, text: str) -> None:
    assert cells(write(tmp_path, f"id,title\n1,{text}\n".encode("cp1252")))[1] == ("1", text)


def test_a_faulty_line_of_utf8_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "id,title\n1,Größe\n2,".encode() + b"caf\xe9\n")
    table = open_table(file)
    assert table.encoding == "utf-8"
    with pytest.raises(
        CatalogError, match=r"line 3 \(byte 0xe9\) is not UTF-8, other lines are; fix it, or set"
    ):
        list(table.chunks())
    (rows,) = table.chunks(lenient=True)
    assert rows.dropped == {"bytes that are not UTF-8": ["line 3"]}
    with pytest.raises(CatalogError, match=r"not a UTF-16 file"):
        open_table(file, encoding="utf-16")


@pytest.mark.parametrize("name", ["utf9", "hex", "undefined", "a\0b", "x" * 500])
def test_an_unknown_encoding_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogError, match=r"no such encoding; give auto, utf-8, utf-16, cp1252 or another"):
        open_table(write(tmp_path, b"id\n1\n"), encoding=name)


def test_other_formats_are_named(tmp_path: Path) -> None:
    for content, what in ((b"PK\x03\x04...", "a workbook"), (b"BZh91AY", "compressed by bzip2")):
        with pytest.raises(
            CatalogError, match=rf"is .*{what}.*; save the table as CSV, Parquet or JSON lines"
        ):
            open_table(write(tmp_path, content, "t.xlsx"))
    for content in (b"PAR1 and no more", b""):
        with pytest.raises(CatalogError, match="cannot be read as Parquet"):
            open_table(write(tmp_path, content, "t.parquet"))
    with pytest.raises(CatalogError, match="no such file; did you mean"):
        open_table(tmp_path / "t.xls")


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"id,title\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(50_000)))
    with pytest.raises(CatalogError, match=r"cannot be read .*damaged or cut short: replace it"):
        open_table(write(tmp_path, whole[: len(whole) // 2], "t.csv.gz"))


def test_json_lines_by_suffix_or_by_content(tmp_path: Path) -> None:
    content = b'{"id": 1, "title": "One"}\n{"id": 2, "tags": ["a", "b"]}\n'
    for name in ("t.jsonl", "t.ndjson", "t.json", "t.csv"):
        table = open_table(write(tmp_path, content, name))
        assert (table.recognised, table.columns) == ("JSON lines, UTF-8", ["id", "title", "tags"])
    packed = open_table(write(tmp_path, gzip.compress(content), "t.jsonl.gz"))
    assert packed.recognised == "JSON lines, UTF-8, gzip"
    assert cells(tmp_path / "t.jsonl.gz")[1:] == [("1", "One", ""), ("2", "", '["a", "b"]')]


def test_parquet_is_recognised_by_content(tmp_path: Path) -> None:
    pd.DataFrame({"id": [1], "tags": [["a", "b"]], "size": [{"w": 3}]}).to_parquet(tmp_path / "t.bin")
    table = open_table(tmp_path / "t.bin")
    assert (table.recognised, table.encoding, table.delimiter) == ("Parquet", None, None)
    assert cells(tmp_path / "t.bin")[1] == ("1", '["a", "b"]', '{"w": 3}')
