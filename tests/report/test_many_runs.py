"""The report of 20 runs in headless Chromium: filter, folded columns, definitions, one printed page, accessibility."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fusionclf.report import compare
from tests.browser import OpenPage
from tests.report.conftest import _make_run

pytestmark = pytest.mark.slow
KINDS = ("image", "text", "fusion")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 copies of three made runs, of different names."""
    folder = tmp_path_factory.mktemp("many")
    make = _make_run(folder)
    epochs = [
        {"stage": "top2", "epoch": n, "train_loss": 1.0, "val_loss": 1.0, "val_top1": 50.0} for n in (1, 2)
    ]
    made = [make(kind, wrong=3 * place, joint=True, log=epochs) for place, kind in enumerate(KINDS)]
    runs = [folder / f"{KINDS[place % 3]}-of-a-long-name-seed{place}" for place in range(20)]
    for place, run in enumerate(runs):
        shutil.copytree(made[place % 3], run)
    compare(runs, folder / "report")
    compare(runs[:3], folder / "few")
    return folder / "report" / "report.html"


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    opened = OpenPage(
        browser, report.as_uri(), viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    yield opened.page
    assert opened.faults == []
    opened.page.close()


def columns(page: Any, section: str) -> list[str]:
    """Names of the runs whose columns are shown in the first table of a section."""
    table = page.locator(f"h2#{section} ~ .scroll table").first
    heads = [head.inner_text() for head in table.locator("th[data-run]:visible").all()]
    cells = table.locator("tbody tr").first.locator("td:visible").count()
    assert cells == table.locator("thead th:visible").count()
    return heads


def test_columns_are_folded_until_a_button_is_pressed(page: Any) -> None:
    every = page.locator("table.scores").first.locator("tr[data-run]").all()
    assert len(every) == 20 and all(row.is_visible() for row in every)
    for section in ("kinds", "classes", "confused"):
        assert len(columns(page, section)) == 8
    assert page.locator("#shown").inner_text() == "20 of 20 runs, columns of the first 8"
    page.locator("#unfold").press("Enter")
    assert len(columns(page, "classes")) == 20
    assert page.locator("#unfold").get_attribute("aria-pressed") == "true"
    assert page.locator("#shown").inner_text() == "20 of 20 runs"


def test_the_filter_leaves_runs_with_all_words_everywhere(page: Any) -> None:
    page.fill("#filter", "FUSION seed1")
    names = [f"fusion-of-a-long-name-seed{n}" for n in (11, 14, 17)]
    assert sorted(columns(page, "classes")) == names == sorted(columns(page, "kinds"))
    rows = page.locator("table.scores").first.locator("tr[data-run]:visible")
    assert sorted(row.get_attribute("data-run") for row in rows.all()) == names
    lines = page.locator(".lines").first.locator("[data-run]:not([hidden])")
    assert sorted(line.get_attribute("data-run") for line in lines.all()) == names
    assert page.locator("#curves ~ .pair figure.many > div").first.locator("> :visible").count() == 3
    page.fill("#filter", "")
    assert len(columns(page, "classes")) == 8


def test_the_summary_prints_on_one_page(page: Any) -> None:
    def pages() -> int:
        return len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True)))

    page.evaluate("window.print = () => {}")  # Chromium without a window prints by `pdf` alone
    page.locator("#print-summary").click()
    assert pages() == 1
    assert pages() > 5  # after a print, the next one is whole


def test_a_definition_shows_at_focus_and_under_the_pointer(page: Any) -> None:
    tip, heads = page.locator("#tip"), page.locator("table.scores").first.locator("th button")
    heads.filter(has_text="top-1").focus()
    assert tip.is_visible() and tip.inner_text().startswith(
        "Share of the test products whose most likely class"
    )
    page.keyboard.press("Tab")
    assert "five most likely" in tip.inner_text()
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    heads.filter(has_text="ECE").hover()
    box = tip.bounding_box()
    assert (
        "Expected calibration error" in tip.inner_text() and 0 <= box["x"] and box["x"] + box["width"] <= 1280
    )
    page.locator("h1").hover()
    tip.wait_for(state="hidden")


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_axe_finds_nothing_in_a_report(browser: Any, report: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    few = report.parents[1] / "few" / "report.html"
    opened = OpenPage(browser, few.as_uri(), viewport={"width": width, "height": 800}, color_scheme=scheme)
    found = axe.run(opened.page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
    opened.page.close()
