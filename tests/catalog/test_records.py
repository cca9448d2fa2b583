"""From files to one clean table."""

import random
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from fusionclf.catalog import read_catalog
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError
from tests.catalog.conftest import COLUMNS, MakeCatalog, WriteCatalog

KEEP = CatalogConfig(missing_picture="keep")


def test_the_table_and_its_columns(write_catalog: WriteCatalog) -> None:
    catalog = read_catalog(
        write_catalog([{"id": "20"}, {"id": "3", "articleType": " Jeans ", "year": "2011.0"}])
    )
    table = catalog.table
    assert len(catalog) == 2
    assert table.columns.tolist() == [
        "id", "title", "label", "year", "masterCategory", "subCategory",
        "gender", "baseColour", "season", "usage", "picture",
    ]  # fmt: skip
    assert table["id"].tolist() == ["20", "3"]  # text order
    assert table["label"].tolist() == ["Shirts", "Jeans"]
    assert table["year"].tolist() == [2012, 2011]
    assert table["year"].dtype == "Int64"
    assert table["picture"].tolist() == ["images/20.jpg", "images/3.jpg"]
    assert catalog.classes == ("Jeans", "Shirts")
    assert catalog.picture_paths() == [catalog.root / "images/20.jpg", catalog.root / "images/3.jpg"]
    assert catalog.read_report.rows_read == 2
    assert catalog.read_report.dropped == {}


def test_the_text_na_is_a_value_and_an_empty_cell_is_missing(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([{"baseColour": "NA", "season": "", "usage": "Nan", "productDisplayName": ""}])
    row = catalog.table.iloc[0]
    assert (row["baseColour"], row["season"], row["usage"], row["title"]) == ("NA", "", "Nan", "")
    assert not catalog.table.drop(columns=["year", "picture"]).isna().any(axis=None)


@pytest.mark.parametrize(
    ("cell", "year", "bad"),
    [("2012", 2012, False), ("2012.0", 2012, False), (" 2013", 2013, False), ("", None, False),
     ("  ", None, False), ("2012.5", None, True), ("new", None, True), ("NA", None, True),
     ("inf", None, True), ("1e300", None, True), ("0", None, True), ("-2012", None, True)],
)  # fmt: skip
def test_years(make_catalog: MakeCatalog, cell: str, year: int | None, bad: bool) -> None:
    catalog = make_catalog([{"year": cell}, {}])
    found = [None if value is pd.NA else int(value) for value in catalog.table["year"]]
    assert found == [year, 2012]
    assert catalog.read_report.bad_years == (["1"] if bad else [])


def test_a_catalog_without_years(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([{}], year=None)
    assert catalog.table["year"].isna().tolist() == [True]
    assert catalog.table["year"].dtype == "Int64"


def test_unquoted_commas_are_repaired_and_reported(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([{"id": "b", "productDisplayName": "Soft, Blue"}, {"id": "a"}])
    assert catalog.table["title"].tolist() == ["A Shirt", "Soft, Blue"]
    assert catalog.read_report.repaired == ["b"]


def test_rows_without_picture_or_label_are_dropped(write_catalog: WriteCatalog) -> None:
    folder = write_catalog([{}, {"articleType": "Suits"}, {"articleType": " "}, {}])
    (folder / "images/2.jpg").unlink()
    catalog = read_catalog(folder)
    assert catalog.table["id"].tolist() == ["1", "4"]
    assert catalog.table.index.tolist() == [0, 1]
    assert catalog.read_report.dropped == {"no label": ["3"], "missing picture": ["2"]}
    assert catalog.read_report.lost_classes == ["Suits"]
    assert catalog.read_report.rows_read == 4


def test_rows_without_picture_stay_with_keep(write_catalog: WriteCatalog) -> None:
    folder = write_catalog([{}, {}])
    (folder / "images/1.jpg").unlink()
    (folder / "images/1.jpg").mkdir()  # a folder is no picture
    catalog = read_catalog(folder, KEEP)
    assert catalog.picture_paths() == [None, folder / "images/2.jpg"]
    assert catalog.table["picture"].isna().tolist() == [True, False]
    assert catalog.read_report.dropped == {}


def test_rows_with_too_few_fields_are_counted(write_catalog: WriteCatalog) -> None:
    folder = write_catalog([{}])
    with (folder / "styles.csv").open("a") as file:
        file.write("7,Men,Apparel\n")
    reading = read_catalog(folder).read_report
    assert reading.rows_read == 2
    assert reading.dropped == {"too few fields": ["line 3: 7,Men,Apparel"]}


def test_other_columns(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/a.png").touch()
    (tmp_path / "list.csv").write_text(
        "sku,name,kind,file,size\nx,Blue Tee,Tee,shop/a.png,M\ny,Red Tee,Tee,shop/b.png,L\n"
    )
    columns = CatalogConfig(
        file="list.csv", id="sku", picture="{file}", title="name", label="kind",
        categories=(), metadata=("size",), year=None,
    )  # fmt: skip
    catalog = read_catalog(tmp_path, columns)
    assert catalog.table["picture"].tolist() == ["shop/a.png"]
    assert catalog.table.columns.tolist() == ["id", "title", "label", "year", "size", "picture"]
    assert catalog.read_report.dropped == {"missing picture": ["y"]}


def test_pictures_are_found_below_the_root_not_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.jpg").touch()
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/t.csv").write_text("id,title,kind\n1,A,B\n")
    columns = CatalogConfig(
        file="meta/t.csv", title="title", label="kind", categories=(), metadata=(), year=None
    )
    assert len(read_catalog(tmp_path, columns)) == 1


def test_metadata_column_with_a_reserved_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,name,kind,title\n1,Blue Tee,Tee,Mister\n")
    columns = {"file": "t.csv", "title": "name", "label": "kind", "categories": (), "year": None}
    with pytest.raises(CatalogError, match="'title' has a name that fusionclf uses itself; rename it"):
        read_catalog(tmp_path, CatalogConfig(**columns, metadata=("title",), missing_picture="keep"))
    same = read_catalog(tmp_path, CatalogConfig(**columns, metadata=("id",), missing_picture="keep"))
    assert same.table["id"].tolist() == ["1"]


def test_hash_depends_on_rows_but_not_on_their_order(write_catalog: WriteCatalog) -> None:
    rows = [
        {"id": str(n), "productDisplayName": f"T {n % 5}", "year": "" if n == 3 else "2011"}
        for n in range(30)
    ]
    first = read_catalog(write_catalog(rows, pictures=False, name="a"), KEEP)
    random.Random(1).shuffle(rows)
    second = read_catalog(write_catalog(rows, pictures=False, name="b"), KEEP)
    assert first.sha256 == second.sha256
    pd.testing.assert_frame_equal(first.table, second.table)


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "year"])
def test_hash_depends_on_every_column(make_catalog: MakeCatalog, column: str) -> None:
    other = make_catalog([{}, {column: "other"}], name="b")
    assert other.sha256 != make_catalog([{}, {}], name="a").sha256


def test_hash_depends_on_years_and_cell_borders(make_catalog: MakeCatalog) -> None:
    changes = [
        {},
        {"year": "2013"},
        {"year": ""},
        {"gender": "ab", "season": "c"},
        {"gender": "a", "season": "bc"},
    ]
    assert len({make_catalog([row], name=str(n)).sha256 for n, row in enumerate(changes)}) == len(changes)


@pytest.mark.parametrize(
    "path", ["../a.jpg", "/etc/passwd", "x/../../a.jpg", "\\a.jpg", "x\\..\\a.jpg", ".."]
)
def test_picture_path_outside_the_catalog_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "t.csv").write_text(f"id,title,kind,file\n1,A,B,a..b.jpg\n2,A,B,{path}\n")
    columns = CatalogConfig(
        file="t.csv", picture="{file}", title="title", label="kind", categories=(), metadata=(), year=None
    )
    with pytest.raises(CatalogError) as caught:
        read_catalog(tmp_path, columns)
    assert "1 picture path(s) lead out of the catalog (line 3: " in str(caught.value)
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize("file", ["/etc/passwd", "../t.csv", "a/../../t.csv"])
def test_a_table_outside_the_folder_is_refused(tmp_path: Path, file: str) -> None:
    with pytest.raises(CatalogError, match=r"catalog\.file=.* leads out of the catalog's folder"):
        read_catalog(tmp_path, CatalogConfig(file=file))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("images/{id", "expected '}'"), ("images/{}.jpg", "only {column} is allowed"),
     ("{id!r}", "only {column}"), ("{id:>9}", "only {column}"), ("one.jpg", "names no column"),
     ("{sku}.jpg", "no column 'sku'"), ("{id.__class__}", "no column 'id.__class__'")],
)  # fmt: skip
def test_bad_picture_patterns(make_catalog: MakeCatalog, pattern: str, message: str) -> None:
    with pytest.raises(CatalogError) as caught:
        make_catalog([{}], picture=pattern)
    assert message in str(caught.value)


def test_missing_folders_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=r"nowhere: no such folder; give the folder that holds styles\.csv"
    ):
        read_catalog(tmp_path / "nowhere")
    with pytest.raises(CatalogError, match=r"styles\.csv: no such file"):
        read_catalog(tmp_path)


def test_a_missing_column_is_named_with_those_found(write_catalog: WriteCatalog) -> None:
    folder = write_catalog([{}])
    with pytest.raises(
        CatalogError, match=r"no column 'artcleType'; did you mean 'articleType'\? columns found: id, "
    ):
        read_catalog(folder, CatalogConfig(label="artcleType"))


def test_the_splits_column_need_not_be_metadata(write_catalog: WriteCatalog) -> None:
    folder = write_catalog([{"usage": "train"}, {"usage": "test"}], pictures=False)
    plain = CatalogConfig(missing_picture="keep", metadata=())
    without, with_it = read_catalog(folder, plain), read_catalog(folder, plain, split_columns=("usage",))
    assert with_it.table["usage"].tolist() == ["train", "test"] and "usage" not in without.table
    assert with_it.sha256 == without.sha256  # the column says how products are divided, not what they are
    kept = read_catalog(folder, KEEP, split_columns=("usage",))
    assert kept.sha256 == read_catalog(folder, KEEP).sha256 != without.sha256
    with pytest.raises(CatalogError, match=r"no column 'uasge'; did you mean 'usage'.*split\.\*"):
        read_catalog(folder, plain, split_columns=("uasge",))


def test_a_catalog_without_usable_rows_is_refused(write_catalog: WriteCatalog) -> None:
    with pytest.raises(CatalogError, match=r"no usable row is left \(it holds a header alone"):
        read_catalog(write_catalog([], name="empty"))
    with pytest.raises(CatalogError, match=r"no usable row is left \(2 missing picture"):
        read_catalog(write_catalog([{}, {}], pictures=False, name="bare"))


@pytest.mark.real
def test_the_real_catalog(real_catalog_dir: Path) -> None:
    catalog = read_catalog(real_catalog_dir)
    reading = catalog.read_report
    assert (reading.rows_read, len(reading.repaired), len(catalog)) == (44_446, 22, 44_441)
    assert reading.dropped == {"missing picture": ["12347", "39401", "39403", "39410", "39425"]}
    assert reading.lost_classes == ["Suits"]
    assert not reading.bad_years and not reading.multiline
    table = catalog.table
    assert (len(catalog.classes), table["masterCategory"].nunique(), table["subCategory"].nunique()) == (
        142,
        7,
        45,
    )
    assert table["id"][table["year"].isna()].tolist() == ["53781"]
    texts = [Counter(table[name]) for name in ("usage", "season", "baseColour")]
    assert [counts["NA"] for counts in texts] == [316, 0, 15]
    assert [counts[""] for counts in texts] == [1, 21, 0]
