"""Labels that are category paths: steps, levels, and classes that are named by their path."""

import csv
from pathlib import Path

import pytest

from fusionclf.catalog import Catalog, check_catalog, read_catalog
from fusionclf.catalog.label_paths import path_steps
from fusionclf.config import CatalogConfig, build_settings
from fusionclf.errors import CatalogError, SettingsError
from fusionclf.evaluation import CategoryGraph

SETTINGS = {"metadata": (), "year": None, "missing_picture": "keep", "label": "path", "title": "name"}
NO_SPLIT = CatalogError("no split")
PATHS = ("Men > Shoes", "Women > Shoes", "Men > Shirts > Polos", "Men > Shirts")


def catalog(folder: Path, *labels: str, **settings: object) -> Catalog:
    with (folder / "styles.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [
                ("id", "name", "path", "level_1"),
                *((n, f"title {n}", label, "x") for n, label in enumerate(labels)),
            ]
        )
    values = SETTINGS | {"label_separator": ">"} | settings
    return read_catalog(folder, CatalogConfig.model_validate(values))


def test_steps_above_the_label_become_categories(tmp_path: Path) -> None:
    found = catalog(tmp_path, *PATHS)
    assert found.columns.categories == ("level_1", "level_2")
    rows = found.table[["level_1", "level_2", "label"]].to_numpy().tolist()
    assert rows == [
        ["Men", "", "Men > Shoes"], ["Women", "", "Women > Shoes"], ["Men", "Shirts", "Polos"], ["Men", "", "Shirts"],
    ]  # fmt: skip
    graph = CategoryGraph.from_catalog(found, found.table.index.to_numpy())
    assert graph.levels == ("level_1", "level_2", "path")
    assert graph.best_path("Polos") == ("Men", "Shirts", "Polos")


def test_a_label_below_several_paths_is_named_by_its_path(tmp_path: Path) -> None:
    found = catalog(tmp_path, *PATHS)
    assert found.classes == ("Men > Shoes", "Polos", "Shirts", "Women > Shoes")
    check = check_catalog(found, NO_SPLIT, decode=False)
    assert check.named_by_path == ["Men > Shoes", "Women > Shoes"]
    assert check.labels_with_path == []


def test_a_chosen_level_is_the_class(tmp_path: Path) -> None:
    found = catalog(tmp_path, *PATHS, "Men", label_level=2)
    assert found.classes == ("Men > Shoes", "Shirts", "Women > Shoes")
    assert found.columns.categories == ("level_1",)
    assert found.read_report.dropped == {"no step 2 in the label's path": ["4"]}


def test_a_json_list_that_holds_a_path_is_read(tmp_path: Path) -> None:
    cells = ['["Home >> Curtains >> Blue one"]', '["Home >> Rugs >> Red one"]', '["Home >> Clocks"]']
    found = catalog(tmp_path, *cells, label_separator=">>", label_level=2)
    assert found.classes == ("Clocks", "Curtains", "Rugs")
    assert set(found.table["level_1"]) == {"Home"}


def test_google_merchant_product_types_are_read(tmp_path: Path) -> None:
    found = catalog(tmp_path, "Home > Women > Dresses > Maxi", "Home > Women > Dresses", "Home > Men > Coats")
    rows = found.table[["level_1", "level_2", "level_3", "label"]].to_numpy().tolist()
    assert rows == [
        ["Home", "Women", "Dresses", "Maxi"], ["Home", "Women", "", "Dresses"], ["Home", "Men", "", "Coats"],
    ]  # fmt: skip


def test_rows_without_the_chosen_level_are_counted(tmp_path: Path) -> None:
    found = catalog(tmp_path, "Home > Women > Dresses", "Home > Sale", "Home > Men > Coats", label_level=3)
    assert found.classes == ("Coats", "Dresses")
    assert found.read_report.dropped == {"no step 3 in the label's path": ["1"]}


def test_given_categories_win(tmp_path: Path) -> None:
    found = catalog(tmp_path, *PATHS, categories=("level_1",))
    assert found.columns.categories == ("level_1",)
    assert set(found.table["level_1"]) == {"x"}
    assert "Men > Shoes" in found.classes


def test_labels_of_a_column_of_their_own_stay_what_they_are(tmp_path: Path) -> None:
    found = catalog(tmp_path, "Shoes", "Shoes", "A > B", label_separator=None, categories=("level_1",))
    assert found.classes == ("A > B", "Shoes")


def test_joined_spellings_count_as_one_path(tmp_path: Path) -> None:
    found = catalog(tmp_path, "Men > Shoes", "men > shoes", "Men > Shoes", "Men > Hats", join_spellings=True)
    assert found.classes == ("Hats", "Shoes")


@pytest.mark.parametrize(
    ("cell", "separator", "steps"),
    [
        ("A > B", ">", ["A", "B"]), ("A >> B >> C", ">", ["A", "B", "C"]), ("A >> B", ">>", ["A", "B"]),
        ("A/B/C", "/", ["A", "B", "C"]), ("/A/B/", "/", ["A", "B"]), ('["A >> B >> C"]', ">>", ["A", "B", "C"]),
        ('["A", "B"]', ">", ["A", "B"]), ("[A > B", ">", ["[A", "B"]), ("[1, 2]", ">", ["[1, 2]"]), ("", ">", [""]),
        ("A > > B", ">", ["A", "", "B"]), ("A | B", "|", ["A", "B"]), ("[" * 99999, ">", ["[" * 99999]),
    ],
)  # fmt: skip
def test_steps_of_a_cell(cell: str, separator: str, steps: list[str]) -> None:
    assert path_steps(cell, separator) == (steps, False)


def test_faulty_paths_are_dropped_and_counted(tmp_path: Path) -> None:
    deep = " > ".join("abcdefghijklmnopqrs")
    found = catalog(tmp_path, "A > B", "A > > B", deep, "", '["A > C", "D > E"]')
    assert found.classes == ("B", "C")
    assert found.read_report.dropped == {
        "an empty step in the label's path": ["1"],
        "more than 16 steps in the label's path": ["2"],
        "no label": ["3"],
    }
    assert found.read_report.several_label_paths.count == 1


def test_a_separator_that_no_label_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"label_separator='/': no label of the column 'path' holds it"):
        catalog(tmp_path, "A > B", label_separator="/")


def test_a_column_named_like_a_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=r"column 'level_1' has a name that the steps of catalog\.label get"
    ):
        catalog(tmp_path, *PATHS, metadata=("level_1",))


def test_a_level_without_a_separator_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"label_level=2 needs catalog\.label_separator"):
        build_settings(CatalogConfig, {"label_level": "2"})


def test_a_path_has_no_default_categories() -> None:
    path = build_settings(CatalogConfig, {"label_separator": ">"})
    assert path.categories == ()
    assert CatalogConfig.model_validate(path.model_dump(mode="json")) == path
    assert CatalogConfig().categories == ("masterCategory", "subCategory")
