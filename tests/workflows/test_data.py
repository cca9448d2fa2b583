"""`fusionclf data check`: what it prints and whether it says yes."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console as RichConsole

from fusionclf.catalog import Audit, audit_catalog, make_split, read_catalog
from fusionclf.config import CatalogConfig
from fusionclf.console import Console
from fusionclf.errors import CatalogError, SettingsError
from fusionclf.workflows.data import check_catalog, render_audit

QUIET = Console(quiet=True)
HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"


def printed(audit: Audit, width: int = 100) -> str:
    stream = io.StringIO()
    render_audit(audit, RichConsole(file=stream, width=width))
    return stream.getvalue()


def test_the_sample_is_usable_and_its_figures_are_shown(
    sample_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_catalog(sample_dir, None, (), as_json=False, console=QUIET)
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
    assert check_catalog(sample_dir, None, ("split.top_k=5",), as_json=True, console=QUIET)
    value = json.loads(capsys.readouterr().out)
    assert value["usable"] is True
    assert [part["part"] for part in value["parts"]] == ["top5", "rest"]


def test_settings_change_the_verdict(sample_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not check_catalog(sample_dir, None, ("catalog.year=null",), as_json=False, console=QUIET)
    text = capsys.readouterr().out
    assert "problem: split.rule=year_parity: part 'top20' has no train row (no product has a year)" in text
    assert text.rstrip().endswith("not usable as it is")
    with pytest.raises(SettingsError, match=r"unknown setting 'split\.topk': did you mean 'top_k'"):
        check_catalog(sample_dir, None, ("split.topk=5",), as_json=False, console=QUIET)
    with pytest.raises(CatalogError, match="no such folder"):
        check_catalog(sample_dir / "none", None, (), as_json=False, console=QUIET)


def test_catalog_text_is_shown_as_it_is_and_steers_nothing(tmp_path: Path) -> None:
    rows = [
        f"{n},Men,A,B,{'[red]Caps[/red]' if n % 4 == 0 else 'Hats'},C,D,{2010 + n % 2},U,T{n}"
        for n in range(12)
    ]
    rows.append("99,Men,A,B,Esc\x1b[31m,C,D,2011,U,T")
    (tmp_path / "styles.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    catalog = read_catalog(tmp_path, CatalogConfig(missing_picture="keep"))
    text = printed(audit_catalog(catalog, make_split(catalog)))
    assert "[red]Caps[/red]" in text
    assert "Esc?[31m" in text
    assert "\x1b" not in text
    assert "missing (kept)" in text
