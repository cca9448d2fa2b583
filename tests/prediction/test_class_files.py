"""Files of classes: lines as a person writes them, and taxonomies as Google and Shopify publish theirs."""

from pathlib import Path

import pytest

from fusionclf.errors import PredictionError
from fusionclf.prediction.class_files import ClassList, read_classes
from fusionclf.prediction.class_names import named_apart, parse_class

GOOGLE = """# Google_Product_Taxonomy_Version: 2000-01-01
1 - Pets
3 - Pets > Supplies
20 - Pets > Supplies > Bowls
7 - Kitchen
21 - Kitchen > Bowls
9 - Kitchen > 12-Piece - Sets
"""
SHOPIFY = """# Shopify Product Taxonomy - Categories: 2000-01
gid://shopify/TaxonomyCategory/ap-1 : Pets
gid://shopify/TaxonomyCategory/ap-1-2 : Pets > Bowls
gid://shopify/TaxonomyCategory/ki-1 : Kitchen > Bowls
"""


def read(folder: Path, text: str, known: dict[str, tuple[str, ...]] | None = None) -> ClassList:
    (folder / "classes.txt").write_text(text, encoding="utf-8")
    return read_classes(folder / "classes.txt", tuple(known or ()), known)


def rows(found: ClassList) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(each.id, each.name, each.place) for each in found.classes]


def test_google_lines_become_classes_with_ids(tmp_path: Path) -> None:
    found = read(tmp_path, GOOGLE)
    assert rows(found) == [
        ("1", "Pets", ()), ("3", "Supplies", ("Pets",)), ("20", "Pets > Supplies > Bowls", ("Pets", "Supplies")),
        ("7", "Kitchen", ()), ("21", "Kitchen > Bowls", ("Kitchen",)), ("9", "12-Piece - Sets", ("Kitchen",)),
    ]  # fmt: skip
    assert found.by_path == ["Pets > Supplies > Bowls", "Kitchen > Bowls"]
    assert (
        "6 classes have ids (1 is Pets, 3 is Supplies, 20 is Pets > Supplies > Bowls, …)" in found.notes()[0]
    )
    assert "2 of 6 classes share their name with another, and are named by their path" in found.notes()[1]


def test_google_lines_without_ids_become_the_same_classes(tmp_path: Path) -> None:
    plain = "\n".join(line.partition(" - ")[2] or line for line in GOOGLE.splitlines())
    assert [row[1:] for row in rows(read(tmp_path, plain))] == [
        row[1:] for row in rows(read(tmp_path, GOOGLE))
    ]


def test_shopify_lines_become_classes_with_ids(tmp_path: Path) -> None:
    prefix = "gid://shopify/TaxonomyCategory/"
    assert rows(read(tmp_path, SHOPIFY)) == [
        (f"{prefix}ap-1", "Pets", ()), (f"{prefix}ap-1-2", "Pets > Bowls", ("Pets",)),
        (f"{prefix}ki-1", "Kitchen > Bowls", ("Kitchen",)),
    ]  # fmt: skip


def test_a_path_is_read_as_its_end_below_its_categories(tmp_path: Path) -> None:
    bowls = read(tmp_path, GOOGLE).classes[2]
    assert (bowls.called, bowls.text) == ("Supplies Bowls", "Bowls, Supplies, Pets")


def test_classes_of_the_run_are_found_by_path_and_name(tmp_path: Path) -> None:
    known = {"Bowls": ("Kitchen",), "Supplies": ("Other",), "Shirts": ("Apparel",)}
    found = read(tmp_path, GOOGLE, known)
    names = [each.name for each in found.classes]
    # Below the run's own path it is the run's class; a name that occurs once is, too; the other bowls are new.
    assert names == ["Pets", "Supplies", "Pets > Supplies > Bowls", "Kitchen", "Bowls", "12-Piece - Sets"]
    assert found.known == ["Supplies", "Bowls"]
    assert found.classes[4].id == "21"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1 - A\n1 - B\n", r"line 2: the id '1' occurs twice"),
        ("1 - A\n2 - B\nC\n", r"line 3: no id, while 2 of 3 lines begin with one"),
        ("1 - A > B\n2 - A > B\n", r"line 2: 'A > B' occurs twice"),
        ("1 - A > \n", "line 1: .*an empty name"),
        ("1 - A\nB\n2 - C\nD\n", "line 2: no id, while 2 of 4 lines begin with one"),
        ("gid://shop/1 : A\ngid://shop/2 : B\nC\n", "line 3: no id"),
        ("A\nB\ngid://shop/2 : C\n", "line 1: no id, while 1 of 3 lines begin with one"),
        ("1 - A\n2 - B\ngid://shop/3 : C\n", "line 3: no id"),
        ("gid://shop/\x1b[2J : A\n", r"line 1: 'gid://shop/\\x1b\[2J': not an id"),
        (f"{'1' * 201} - A\n", "line 1: .*not an id; give at most 200"),
    ],
)
def test_a_faulty_taxonomy_is_one_line(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=problem):
        read(tmp_path, text)


def test_a_few_names_with_numbers_are_no_ids(tmp_path: Path) -> None:
    found = read(tmp_path, "360 - Camera\nKite\nYo-yo\n")
    assert found.classes[0].name == "360 - Camera"
    assert (
        "1 of 3 lines begin with a number, which is read as part of the name (360 - Camera)"
        in found.notes()[0]
    )


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionclf.prediction.class_files.MOST_BYTES", 2**20)
    with pytest.raises(PredictionError, match=r"larger than 1 MiB; give 1 to 20,000 classes"):
        read(tmp_path, "Kite\n" * 2**18)


def test_a_file_that_is_no_utf8_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes("1 - Kite".encode("utf-16"))
    with pytest.raises(PredictionError, match="not UTF-8 text"):
        read_classes(tmp_path / "classes.txt")


def test_names_below_several_paths_are_told_apart() -> None:
    wanted = ["Men > Shoes", "Women > Shoes", "Shoes", "Toys > Sledge", "Sledge", "Kite", "Kite"]
    names = [each.name for each in named_apart([parse_class(text) for text in wanted])]
    assert names == ["Men > Shoes", "Women > Shoes", "Sledge", "Kite"]
