"""`fusionclf data check`: what it prints and whether it says yes."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console as RichConsole

from fusionclf.catalog import CatalogCheck, check_catalog, make_split, read_catalog
from fusionclf.config import CatalogConfig
from fusionclf.console import Console
from fusionclf.errors import CatalogError, SettingsError
from fusionclf.workflows.data import data_check, render_check

QUIET = Console(quiet=True)
HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"


def printed(found: CatalogCheck, width: int = 100) -> str:
    stream = io.StringIO()
    render_check(found, RichConsole(file=stream, width=width))
    return stream.getvalue()


def test_the_sample_is_usable_and_its_figures_are_shown(
    sample_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data_check(sample_dir, None, (), as_json=False, console=QUIET)
    text = capsys.readouterr().out
    for line in (
        "rows read",
        "600",
        "dropped: missing picture",
        "unquoted commas",
        "1 (Suits)",
        "Perfume Mist 16",
    ):
        assert line in text
    assert text.rstrip().endswith("\nusable")


def test_json_is_all_that_goes_to_standard_output(
    sample_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data_check(sample_dir, None, ("split.top_k=5",), as_json=True, console=QUIET)
    value = json.loads(capsys.readouterr().out)
    assert value["usable"] is True
    assert [part["part"] for part in value["parts"]] == ["top5", "rest"]


def test_settings_change_the_verdict(sample_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not data_check(sample_dir, None, ("catalog.year=null",), as_json=False, console=QUIET)
    text = capsys.readouterr().out
    assert "problem: split.rule=year_parity: part 'top20' has no train row (no product has a year)" in text
    assert text.rstrip().endswith("not usable as it is")
    with pytest.raises(SettingsError, match=r"unknown setting 'split\.topk': did you mean 'top_k'"):
        data_check(sample_dir, None, ("split.topk=5",), as_json=False, console=QUIET)
    with pytest.raises(CatalogError, match="no such folder"):
        data_check(sample_dir / "none", None, (), as_json=False, console=QUIET)


def write(folder: Path, rows: list[str], header: str = "id,title,kind,file") -> tuple[str, ...]:
    """A table of products; the settings to read it."""
    (folder / "images").mkdir(parents=True)
    (folder / "t.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return ("catalog.file=t.csv", "catalog.title=title", "catalog.label=kind", "catalog.picture={file}",
            "catalog.categories=", "catalog.metadata=", "catalog.year=null", "split.rule=random")  # fmt: skip


def test_a_catalog_without_pictures_shows_its_rows_and_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write(tmp_path / "shop", [f"{n},A {n},B,images/{n}.png" for n in range(12)])
    (tmp_path / "shop/images/1.jpg").touch()
    assert not data_check(tmp_path / "shop", None, settings, as_json=False, console=QUIET)
    text = capsys.readouterr().out
    for line in (
        "rows read",
        "dropped: missing picture",
        "12 (0, 1, 10, 11, 2, …)",
        "products without a picture",
    ):
        assert line in text
    assert "'images/1.png' (there is 'images/1.jpg')" in text
    assert "no usable row is left" in text and text.rstrip().endswith("not usable as it is")
    assert not data_check(tmp_path / "shop", None, settings, as_json=True, console=QUIET)
    value = json.loads(capsys.readouterr().out)
    assert value["usable"] is False and value["products"] == 0 and value["missing_pictures"]["count"] == 12
    assert "no usable row is left" in value["problems"][0]


def test_what_looks_like_a_slip_in_the_cells_is_shown(
    sample_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["Shirts", "shirts", "Shirts", "A > B", "Tops", "nan", "Tops", "A > B"] * 3
    rows = [f"{n},{'None' if n == 3 else 'T'},{label},images\\{n}.JPG" for n, label in enumerate(labels)]
    settings = write(tmp_path / "shop", rows)
    for n in range(len(labels)):
        Image.new("RGB", (6, 8), (n, n, n)).save(tmp_path / f"shop/images/{n}.jpg")
    assert data_check(tmp_path / "shop", None, settings, as_json=False, console=QUIET)
    text = capsys.readouterr().out
    for line in (
        "words for a missing value in kind    3 (line 7: 'nan', line 15: 'nan', line 23: 'nan')",
        "words for a missing value in title   1 (line 5: 'None')",
        "spelled differently in kind          1 (Shirts = shirts); catalog.join_spellings=true joins them",
        "classes that hold a path             1 (A > B); catalog.label_separator reads them as paths",
        "pictures found by a corrected path   21 ('images\\\\0.JPG' → 'images/0.jpg', ",
    ):
        assert " ".join(line.split()) in " ".join(text.split())
    joined = (*settings, "catalog.join_spellings=true")
    assert data_check(tmp_path / "shop", None, joined, as_json=False, console=QUIET)
    text = " ".join(capsys.readouterr().out.split())
    assert "joined spellings in kind 3 rows" in text and "spelled differently" not in text
    assert data_check(sample_dir, None, (), as_json=False, console=QUIET)
    text = capsys.readouterr().out
    for slip in ("words for", "spelled", "joined", "corrected", "hold a path"):
        assert slip not in text


def test_the_splits_column_is_read_though_it_is_no_metadata(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{n},A {n},{'BC'[n % 2]},,{'test' if n < 6 else 'train'}" for n in range(20)]
    settings = write(tmp_path / "shop", rows, "id,title,kind,file,fold")
    words = (*settings, "catalog.missing_picture=keep", "split.rule=column")
    assert data_check(tmp_path / "shop", None, (*words, "split.column=fold"), as_json=True, console=QUIET)
    assert json.loads(capsys.readouterr().out)["parts"][0]["test"] == 6
    with pytest.raises(CatalogError, match="no column 'Fold'; did you mean 'fold'"):
        data_check(tmp_path / "shop", None, (*words, "split.column=Fold"), as_json=True, console=QUIET)


def test_catalog_text_is_shown_as_it_is_and_steers_nothing(tmp_path: Path) -> None:
    rows = [
        f"{n},Men,A,B,{'[red]Caps[/red]' if n % 4 == 0 else 'Hats'},C,D,{2010 + n % 2},U,T{n}"
        for n in range(12)
    ]
    rows.append("99,Men,A,B,Esc\x1b[31m,C,D,2011,U,T")
    (tmp_path / "styles.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    catalog = read_catalog(tmp_path, CatalogConfig(missing_picture="keep"))
    text = printed(check_catalog(catalog, make_split(catalog)))
    assert "[red]Caps[/red]" in text
    assert "Esc?[31m" in text
    assert "\x1b" not in text
    assert "missing (kept)" in text
