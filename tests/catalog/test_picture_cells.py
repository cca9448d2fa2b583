"""Cells that name several pictures: lists, separators, several patterns, what is missing and what is cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusionclf.catalog import Catalog, check_catalog, make_split, read_catalog
from fusionclf.catalog.groups import product_groups
from fusionclf.catalog.picture_cells import MOST_PICTURES, PicturePatterns, separator_in
from fusionclf.config import CatalogConfig, SplitConfig, build_settings
from fusionclf.errors import CatalogError

COLUMNS: dict[str, Any] = {
    "file": "t.csv", "picture": "p/{more}", "title": "title", "label": "kind",
    "categories": (), "metadata": (), "year": None,
}  # fmt: skip


def settings(**changes: object) -> CatalogConfig:
    return build_settings(CatalogConfig, {**COLUMNS, **changes})


def catalog_of(folder: Path, cells: list[str], files: str, **changes: object) -> Catalog:
    """Products with these cells in the column `more`, beside one-coloured pictures."""
    (folder / "p").mkdir(parents=True)
    for number, name in enumerate(files.split()):
        Image.new("RGB", (6, 8), (number * 25 % 256, 9, 40)).save(folder / "p" / name)
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    rows = [f"{n},A {n},B,{cell}" for n, cell in enumerate(quoted)]
    (folder / "t.csv").write_text("\n".join(["id,title,kind,more", *rows]) + "\n", encoding="utf-8")
    return read_catalog(folder, settings(**changes))


@pytest.mark.parametrize(
    ("cell", "separator", "paths"),
    [
        ("a.jpg", None, ["p/a.jpg"]),
        ("a.jpg|b.jpg", None, ["p/a.jpg|b.jpg"]),
        ("a.jpg| b.jpg ||a.jpg", "|", ["p/a.jpg", "p/b.jpg"]),
        ('["a.jpg", "b,c.jpg", null, ""]', None, ["p/a.jpg", "p/b,c.jpg"]),
        ('["a|b.jpg"]', "|", ["p/a|b.jpg"]),
        ("[a].jpg", None, ["p/[a].jpg"]),
        ("[1, 2]", None, ["p/[1, 2]"]),
        ("[]", None, []),
        ("|", "|", []),
        ("", "|", []),
    ],
)
def test_a_cell_gives_the_paths_of_its_items(cell: str, separator: str | None, paths: list[str]) -> None:
    assert PicturePatterns(settings(picture_separator=separator)).paths({"more": cell}) == paths


def test_each_pattern_applies_to_each_item() -> None:
    columns = settings(picture=["a/{one}.jpg", "{dir}/{more}"], picture_separator=";")
    assert columns.picture == "a/{one}.jpg,{dir}/{more}"
    row = {"one": "1", "dir": "d", "more": "2;3"}
    assert PicturePatterns(columns).paths(row) == ["a/1.jpg", "d/2", "d/3"]
    assert PicturePatterns(columns).paths({**row, "one": ""}) == ["d/2", "d/3"]


def test_an_id_is_never_a_list() -> None:
    columns = settings(picture="{id}.jpg", picture_separator="|")
    assert PicturePatterns(columns).paths({"id": "a|b"}) == ["a|b.jpg"]


def test_pictures_that_exist_are_read_in_their_order(tmp_path: Path) -> None:
    catalog = catalog_of(
        tmp_path, ["a.jpg|b.jpg", "c.jpg", "x.jpg|B.JPG|b.jpg", "x.jpg|y.jpg"], "a.jpg b.jpg c.jpg B.jpg",
        picture_separator="|", missing_picture="keep",
    )  # fmt: skip
    assert catalog.table["picture"].tolist()[:3] == ["p/a.jpg", "p/c.jpg", "p/B.jpg"]
    assert catalog.further_pictures == {0: ("p/b.jpg",), 2: ("p/b.jpg",)}
    assert [[path.name for path in own] for own in catalog.all_picture_paths(np.array([3, 2]))] == [
        [], ["B.jpg", "b.jpg"],
    ]  # fmt: skip
    assert catalog.picture_owners.tolist() == [0, 0, 1, 2, 2, 3]
    report = catalog.read_report
    assert (report.missing_pictures.count, report.missing_further.count) == (1, 1)
    assert report.missing_further.examples == ["'p/x.jpg' (there is 'p/c.jpg')"]
    assert report.corrected_paths.count == 1


def test_pictures_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(MOST_PICTURES + 2)]
    catalog = catalog_of(tmp_path, ["|".join(names), "0.jpg"], " ".join(names), picture_separator="|")
    assert len(catalog.further_pictures[0]) == MOST_PICTURES - 1
    assert catalog.read_report.cut_pictures.count == 1
    assert catalog.read_report.cut_pictures.examples == ["'p/8.jpg'"]


def test_the_hash_counts_further_pictures_alone(tmp_path: Path) -> None:
    one, two, swapped = (
        catalog_of(tmp_path / cell, [cell, "c.jpg"], "a.jpg b.jpg c.jpg", picture_separator="|").sha256
        for cell in ("a.jpg", "a.jpg|b.jpg", "b.jpg|a.jpg")
    )
    plain = catalog_of(tmp_path / "plain", ["a.jpg", "c.jpg"], "a.jpg c.jpg").sha256
    assert one == plain and len({one, two, swapped}) == 3


@pytest.mark.parametrize(
    ("cell", "sign"), [("a.jpg;b.jpg", ";"), ("a.jpg | b.png", "|"), ("a.jpg,b.jpg", ",")]
)
def test_an_unset_separator_is_named(tmp_path: Path, cell: str, sign: str) -> None:
    assert separator_in(cell) == sign
    with pytest.raises(CatalogError) as caught:
        catalog_of(tmp_path, [cell, cell], "a.jpg b.jpg b.png")
    assert f"2 cell(s) with several paths: set 'catalog.picture_separator={sign}'" in str(caught.value)


def test_check_counts_pictures_and_products_with_several(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, ["a.jpg|b.jpg", "c.jpg", "d.jpg|a.jpg"], "a.jpg b.jpg c.jpg d.jpg",
                         picture_separator="|")  # fmt: skip
    (tmp_path / "p/b.jpg").write_bytes(b"no picture")
    (tmp_path / "p/c.jpg").write_bytes(b"no picture")
    facts = check_catalog(catalog, CatalogError("no split"), unreadable="drop").pictures
    assert facts is not None
    assert (facts.decoded, facts.several, facts.identical) == (3, 2, 2)
    assert list(facts.unreadable) == ["0 picture 2", "1"] and facts.without_readable == ["1"]


def test_products_that_share_any_picture_are_one_group(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, ["a.jpg|b.jpg", "c.jpg", "d.jpg|b.jpg", "e.jpg|c.jpg"],
                         "a.jpg b.jpg c.jpg d.jpg e.jpg", picture_separator="|")  # fmt: skip
    first, second, third, fourth = product_groups(catalog, ["picture"])
    assert first == third != second == fourth
    split = make_split(catalog, SplitConfig(rule="random", group_by=("picture",), test_fraction=0.5))
    found = check_catalog(catalog, split).pictures
    assert found is not None and found.test_pictures_in_train == 0
