"""Picture paths that are nearly right: opened where they mean one file, shown where they do not."""

import unicodedata
from pathlib import Path

import pytest

from fusionclf.catalog import Catalog, check_catalog, make_split, read_catalog
from fusionclf.catalog.picture_paths import PictureFinder
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.errors import CatalogError

COLUMNS = CatalogConfig(
    file="t.csv", picture="{file}", title="title", label="kind", categories=(), metadata=(), year=None
)
CAFE = "images/café-1.jpg"


def catalog_of(folder: Path, cells: list[str], files: list[str], **settings: object) -> Catalog:
    """Products with these cells in the picture column, beside these (empty) files."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    rows = [f'{n},A {n},B,"{cell}"' for n, cell in enumerate(cells)]
    (folder / "t.csv").write_text("\n".join(["id,title,kind,file", *rows]) + "\n", encoding="utf-8")
    return read_catalog(folder, COLUMNS.model_copy(update=settings))


@pytest.mark.parametrize(
    ("cell", "file"),
    [
        ("images//1.jpg", "images/1.jpg"),
        (" images/1.jpg", "images/1.jpg"),
        ("images/1.jpg ", "images/1.jpg"),
        ("images/ 1.jpg", "images/1.jpg"),
        ("images\\1.jpg", "images/1.jpg"),
        ("images/1.JPG", "images/1.jpg"),
        ("images/1.jpg", "images/1.Jpg"),
        ("{root}/images/1.jpg", "images/1.jpg"),
        (" {root}//images\\1.JPG", "images/1.jpg"),
        (unicodedata.normalize("NFD", CAFE), unicodedata.normalize("NFC", CAFE)),
        (unicodedata.normalize("NFC", CAFE), unicodedata.normalize("NFD", CAFE)),
        (unicodedata.normalize("NFC", "é/1.jpg"), unicodedata.normalize("NFD", "é/1.jpg")),
    ],
)
def test_a_path_that_means_one_file_is_opened(tmp_path: Path, cell: str, file: str) -> None:
    cell = cell.replace("{root}", str(tmp_path))
    catalog = catalog_of(tmp_path, [cell], [file, "images/2.jpg"])
    assert catalog.table["picture"].tolist() == [file]
    assert catalog.read_report.dropped == {}
    assert catalog.read_report.corrected_paths.count == 1
    assert file in catalog.read_report.corrected_paths.examples[0]
    assert PictureFinder(tmp_path).find(cell) == file


def test_a_right_path_is_not_called_corrected(tmp_path: Path) -> None:
    reading = catalog_of(tmp_path, ["images/1.jpg"], ["images/1.jpg"]).read_report
    assert reading.corrected_paths.count == reading.missing_pictures.count == 0


def test_files_that_differ_in_case_stay_two_files(tmp_path: Path) -> None:
    files = ["images/a.jpg", "images/a.JPG"]
    catalog = catalog_of(tmp_path, [*files, "images/a.Jpg", "images/A.jpg"], files)
    assert catalog.table["picture"].tolist() == files
    assert catalog.read_report.dropped == {"missing picture": ["2", "3"]}


def test_paths_without_a_file_are_shown_with_the_nearest(tmp_path: Path) -> None:
    url = "https://cdn.example.org/images/2.jpg"
    cells = ["images/1000.png", url, "1001.jpg", "nowhere/x", "", "nan", "images/2.jpg"]
    files = [f"images/{name}.jpg" for name in (1000, 1001, 2)]
    missing = catalog_of(tmp_path, cells, files).read_report.missing_pictures
    assert (missing.count, missing.urls, missing.empty) == (6, 1, 2)
    assert missing.examples == [
        "'images/1000.png' (there is 'images/1000.jpg')",
        "'https://cdn.example.org/images/2.jpg' (there is 'images/2.jpg')",
        "'1001.jpg' (there is 'images/1001.jpg')",
    ]


def test_another_number_is_no_near_file(tmp_path: Path) -> None:
    cells = ["images/1001.jpg", "images/pic-1000.jpg", "images/pic_1000.png"]
    reading = catalog_of(tmp_path, [*cells, "images/pic_1000.jpg"], ["images/pic_1000.jpg"]).read_report
    near = "(there is 'images/pic_1000.jpg')"
    assert reading.missing_pictures.examples == [
        "'images/1001.jpg'",
        *(f"{cell!r} {near}" for cell in cells[1:]),
    ]


def test_kept_products_without_picture_are_shown_too(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, ["images/1.png", "images/1.jpg"], ["images/1.jpg"], missing_picture="keep")
    assert catalog.picture_paths() == [None, tmp_path / "images/1.jpg"]
    audit = check_catalog(catalog, CatalogError("no split"), decode=False)
    assert audit.missing_pictures.examples == ["'images/1.png' (there is 'images/1.jpg')"]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("images/1000.PNG", "looked for 'images/1000.PNG' (there is 'images/1000.jpg')"),
        ("https://cdn.example.org/1.jpg", "2 URL(s): download"),
        ("", "2 empty cell(s)"),
        ("None", "2 empty cell(s)"),
        ("x" * 5000, "looked for 'xxx"),
        ("a\x1b[2J\u202e.jpg", "looked for 'a\\x1b[2J\\u202e.jpg'"),
    ],
)
def test_a_catalog_without_pictures_says_what_was_looked_for(tmp_path: Path, cell: str, words: str) -> None:
    with pytest.raises(CatalogError, match=r"no usable row is left \(2 missing picture\)") as caught:
        catalog_of(tmp_path, [cell, cell], ["images/1000.jpg"])
    assert words in str(caught.value)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300 and str(caught.value).isprintable()


def test_an_absolute_path_outside_names_the_file_inside(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"lead out .*'/shop/images/1.jpg'.*there is 'images/1.jpg'"):
        catalog_of(tmp_path, ["/shop/images/1.jpg"], ["images/1.jpg"])


@pytest.mark.parametrize(
    "cell", ["{root}/../x/1.jpg", "{root}x/1.jpg", "../x/1.jpg", "..\\x\\1.jpg", " ../x"]
)
def test_nothing_outside_the_folder_is_found(tmp_path: Path, cell: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/1.jpg").touch()
    (tmp_path / "root").mkdir()
    assert PictureFinder(tmp_path / "root").find(cell.replace("{root}", str(tmp_path / "root"))) is None


def test_a_folder_is_scanned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    scans: list[str] = []
    original = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scans.append(str(path)) or original(path))
    cells = [f"images//{n}.jpg" for n in range(50)] + [f"images/{n}.png" for n in range(50)]
    catalog = catalog_of(tmp_path, cells, [f"images/{n}.jpg" for n in range(50)])
    assert len(catalog) == 50
    assert len(scans) == len(set(scans)) <= 2


def test_the_split_of_a_catalog_with_corrected_paths(tmp_path: Path) -> None:
    cells = [f"images\\{n}.jpg" for n in range(10)]
    catalog = catalog_of(tmp_path, cells, [f"images/{n}.jpg" for n in range(10)])
    split = make_split(catalog, SplitConfig(rule="random"))
    assert check_catalog(catalog, split, decode=False).corrected_paths.count == 10
