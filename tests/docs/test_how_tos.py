"""The code of how-to pages runs as it is written, in this process."""

import shlex
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from fusionclf.cli import app
from tests.docs.pages import DOCS, code_blocks, read


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_commands(page: str, codes: dict[str, int] | None = None) -> None:
    """Run all commands of a page's bash blocks; `codes` maps a part of a command to another exit code than 0."""
    text = "".join(code_blocks(read(DOCS / "how-to" / page), "bash")).replace("\\\n", " ")
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        expected = next((code for part, code in (codes or {}).items() if part in line), 0)
        result = CliRunner().invoke(app, words[1:])
        assert words[0] == "fusionclf" and result.exit_code == expected, f"{line}\n{result.output}"


def run_python(page: str) -> dict[str, Any]:
    """Run all Python blocks of a page; the names that they leave."""
    names: dict[str, Any] = {}
    exec("\n".join(code_blocks(read(DOCS / "how-to" / page), "python")), names)
    return names


@pytest.mark.slow
def test_embeddings_page_finds_duplicates_and_feeds_cleanlab(work: Path) -> None:
    run_commands("embeddings.md")
    duplicates = pd.read_csv(work / "duplicates.csv", dtype=str)
    assert min(map(int, duplicates["size"])) > 1
    assert len(pd.read_csv(work / "nearest.csv")) > len(duplicates)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of cleanlab's dependencies
        names = run_python("embeddings.md")
    summary = names["lab"].get_issue_summary().set_index("issue_type")
    assert summary.loc["near_duplicate", "num_issues"] > 0 and "label" in summary.index


@pytest.mark.slow
def test_drift_page_finds_no_drift_in_products_of_the_same_kind(work: Path) -> None:
    run_commands("drift.md")
    assert "No drift" in (work / "drift" / "drift.html").read_text(encoding="utf-8")


def test_pictures_page_checks_the_sample(work: Path, sample_dir: Path) -> None:
    (work / "data").mkdir()
    (work / "data/sample").symlink_to(sample_dir)
    line = "fusionclf data check data/sample --page pictures.html"
    assert line in read(DOCS / "how-to" / "pictures.md")
    assert CliRunner().invoke(app, line.split()[1:]).exit_code == 0
    assert "No picture is blank" in (work / "pictures.html").read_text(encoding="utf-8")
