"""Catalog text that looks like markup stays text in every file of the report."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fusionclf.report import compare
from fusionclf.workflows.baseline import run_baseline
from tests.small import write_catalog

LABELS = ["<script>alert(1)</script>", "a|b `c` **d**", '"><img src=x onerror=alert(1)>']
ID = """'"><b onclick=alert(2)>"""
TITLE = "</option></script><script>alert(3)</script>"


def cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


# The words of a title depend little on its label, so that the baselines err and products are shown.
ROWS = [
    f"{cell(ID + str(n))},Men,Apparel,Topwear,{cell(LABELS[n % 3])},Blue,Fall,{2011 + n // 3 % 2},Casual,"
    + cell(f"{TITLE} thing {n % 5}")
    for n in range(24)
]


def hostile_runs(folder: Path) -> list[Path]:
    """Two baselines on a catalog whose ids, titles and classes are markup."""
    data = write_catalog(folder / "catalog", ROWS, pictures=False)
    for number in range(len(ROWS)):
        Image.new("RGB", (6, 8), (number * 10, 0, 0)).save(data / "images" / f"{ID}{number}.jpg")
    for name in ("nb", "majority"):
        run_baseline(name, data, folder / name, overrides=("split.top_k=3",))
    return [folder / "nb", folder / "majority"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    compare(hostile_runs(folder), folder / "report")
    return folder / "report"


def test_html_shows_labels_ids_and_titles_as_text(report: Path) -> None:
    html = (report / "report.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&lt;/option&gt;&lt;/script&gt;&lt;script&gt;alert(3)" in html
    assert "&#39;&#34;&gt;&lt;b onclick=alert(2)&gt;" in html
    assert "<script>alert" not in html and "<img src=x" not in html and "<b onclick" not in html
    assert html.count("<script") == 1
    assert html.count("<img ") == html.count('<img src="data:image/jpeg;base64,') > 0


def test_html_needs_no_network(report: Path) -> None:
    html = (report / "report.html").read_text()
    assert 'src="http' not in html and "<link" not in html and "@import" not in html


def test_markdown_cells_are_not_broken(report: Path) -> None:
    lines = (report / "report.md").read_text().splitlines()
    row = next(line for line in lines if "onerror" in line)
    assert "<img" not in row
    pipes = next(line for line in lines if line.startswith("| a"))
    assert r"a\|b" in pipes and "**d**" not in pipes


def test_json_is_unrounded_and_names_no_folder(report: Path) -> None:
    text = (report / "report.json").read_text()
    value = json.loads(text)
    assert value["parts"] == ["top3", "joint"]
    assert str(report.parent) not in text
    assert str(report.parent) not in (report / "report.md").read_text() + (report / "report.html").read_text()
