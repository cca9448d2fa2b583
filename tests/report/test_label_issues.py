"""`fusionclf label-issues`: probable label errors as a page, a table and data."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from fusionclf.cli import app
from fusionclf.errors import RunError
from fusionclf.report import list_label_issues
from fusionclf.workflows.baseline import run_baseline
from tests.small import write_catalog

WORDS = {
    "Shirts": "cotton shirt",
    "Shoes": "<script>alert(1)</script> running shoe",
    "<b>Belts</b>": "leather belt",
}
PATHS = {
    "Shirts": ("Apparel", "Topwear"),
    "Shoes": ("Footwear", "Shoes"),
    "<b>Belts</b>": ("Apparel", "=Belts"),
}
WRONG = "<script>alert(1)</script> running shoe 4"


def rows() -> list[str]:
    """80 products a class and more shoes; of the test years' shoes four are labelled as belts, three of them copies."""
    found = []
    for label, words in WORDS.items():
        found += [(label, f"{words} {n % 20}", 2010 + n % 2) for n in range(80)]
    # Shoes with titles that do not name them: models are not always sure of shoes.
    found += [("Shoes", "thing", 2011)] * 8
    found += [("<b>Belts</b>", WRONG, 2011)] * 3 + [("<b>Belts</b>", "=running shoe 4", 2011)]
    return [
        f"{n},Men,{PATHS[label][0]},{PATHS[label][1]},{label},Blue,Fall,{year},Casual,{title}"
        for n, (label, title, year) in enumerate(found)
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("audit")
    lines = rows()
    data = write_catalog(folder / "catalog", lines, pictures=False)
    for number in range(len(lines)):
        # The last of the three copies has another picture.
        shade = 9 if number == len(lines) - 2 else 8
        Image.new("RGB", (6, 8), (shade * 20, 0, 0)).save(data / "images" / f"{number}.jpg")
    for name in ("linear", "nb"):
        run_baseline(name, data, folder / name, overrides=("split.top_k=3",))
    return [folder / "linear", folder / "nb"]


def test_mislabelled_products_come_first(runs: list[Path], tmp_path: Path) -> None:
    value = list_label_issues(runs, tmp_path / "out")
    first = value["entries"][:3]
    assert {entry["suggestion"] for entry in first} == {"Shoes"}
    assert {entry["label"] for entry in first} == {"<b>Belts</b>"}
    assert sorted(number for entry in first for number in entry["ids"]) == ["248", "249", "250", "251"]
    assert sorted(entry["copies"] for entry in first) == [1, 1, 2]  # one title and picture, one entry
    assert first[0]["label_path"] == ["Apparel", "=Belts", "<b>Belts</b>"]
    assert first[0]["suggestion_path"] == ["Footwear", "Shoes", "Shoes"]
    assert first[0]["distance"] == 6
    assert all(entry["scored"] == 2 for entry in first)
    assert value["disputed"] == 4
    # 132 test products, and the validation products that linear predicted as held-out rows.
    assert value["products"] > 132
    assert json.loads((tmp_path / "out" / "label-issues.json").read_text()) == value


def test_page_escapes_text_and_needs_no_network(runs: list[Path], tmp_path: Path) -> None:
    list_label_issues(runs, tmp_path / "out")
    page = (tmp_path / "out" / "label-issues.html").read_text()
    assert "&lt;script&gt;alert(1)" in page and "&lt;b&gt;Belts" in page
    assert "<script>alert" not in page and "<b>Belts" not in page
    assert page.count("<script") == 1
    assert page.count("<img ") == page.count('<img src="data:image/jpeg;base64,') == 3
    assert 'src="http' not in page and "<link" not in page and "default-src 'none'" in page
    assert str(runs[0].parent) not in page


def test_the_table_computes_nothing(runs: list[Path], tmp_path: Path) -> None:
    list_label_issues(runs, tmp_path / "out")
    with (tmp_path / "out" / "label-issues.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert len(found) == 3
    titles = {row["title"] for row in found}
    assert titles == {WRONG, "'=running shoe 4"}
    assert found[0]["label_path"] == "Apparel > =Belts > <b>Belts</b>"
    assert not any(cell.startswith(("=", "+", "@")) for row in found for cell in row.values())


def test_top_cuts_the_list(runs: list[Path], tmp_path: Path) -> None:
    value = list_label_issues(runs, tmp_path / "out", top=1)
    assert len(value["entries"]) == 1 and value["disputed"] == 4


def test_the_command_names_what_it_wrote(runs: list[Path], tmp_path: Path) -> None:
    words = [
        "label-issues",
        "--run",
        str(runs[0]),
        "--run",
        str(runs[1]),
        "--out",
        str(tmp_path / "out"),
        "--top",
        "2",
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "4 of" in result.output and (tmp_path / "out" / "label-issues.html").is_file()


def test_old_command_name_works_with_a_warning(runs: list[Path], tmp_path: Path) -> None:
    words = ["audit", "--run", str(runs[0]), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0 and "use label-issues" in result.stderr
    assert (tmp_path / "out" / "label-issues.html").is_file()
    assert "audit " not in CliRunner().invoke(app, ["--help"]).stdout


def test_another_or_a_missing_catalog_is_refused(runs: list[Path], tmp_path: Path) -> None:
    data = runs[0].parent / "catalog"
    other = shutil.copytree(data, tmp_path / "other")
    styles = other / "styles.csv"
    styles.write_text(styles.read_text().replace("leather belt 3", "leather belt 33"))
    with pytest.raises(RunError, match="is another catalog than linear's"):
        list_label_issues(runs, tmp_path / "out", data=other)
    copies = [shutil.copytree(run, tmp_path / run.name) for run in runs]
    for copy in copies:
        config = copy / "config.yaml"
        config.write_text(config.read_text().replace(str(data), str(tmp_path / "gone")))
    with pytest.raises(RunError, match="was not found where the runs read it; give its folder by --data"):
        list_label_issues(copies, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert list_label_issues(copies, tmp_path / "out", data=data)["disputed"] == 4


def test_runs_of_two_splits_cover_more_products(runs: list[Path], tmp_path: Path) -> None:
    data = runs[0].parent / "catalog"
    run_baseline("nb", data, tmp_path / "swapped", overrides=("split.top_k=3", "split.swap=true"))
    one = list_label_issues([runs[1]], tmp_path / "one")["products"]
    both = list_label_issues([runs[1], tmp_path / "swapped"], tmp_path / "both")["products"]
    assert (one, both) == (132, 252)
