"""The report in headless Chromium: as a reader has it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fusionclf.report import compare
from fusionclf.workflows.baseline import run_baseline
from tests.browser import OpenPage
from tests.report.test_hostile_text import ID, LABELS, TITLE, hostile_runs

pytestmark = pytest.mark.slow

EPOCHS = [
    {"stage": "top20", "epoch": n, "train_loss": 2 / n, "val_loss": 3 / n, "val_top1": 9.0 * n}
    for n in (1, 2, 3)
]


@pytest.fixture(scope="module")
def report(sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three baselines on the sample catalog, one of them with a log as if it had been trained."""
    folder = tmp_path_factory.mktemp("browser")
    for name in ("nb", "linear", "majority"):
        run_baseline(name, sample_dir, folder / name)
    (folder / "nb" / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in EPOCHS))
    compare([folder / name for name in ("nb", "linear", "majority")], folder / "report")
    return folder / "report" / "report.html"


class Reader(OpenPage):
    """The report, open."""

    def __init__(self, browser: Any, file: Path, **settings: Any) -> None:
        super().__init__(browser, file.as_uri(), **settings)

    def column(self, table: str, place: int) -> list[str]:
        """The first line of each visible cell of a column."""
        cells = self.page.locator(f"{table} tbody tr:not([hidden]) td:nth-child({place})")
        return [text.strip().split("\n")[0] for text in cells.all_inner_texts()]


@pytest.fixture
def reader(browser: Any, report: Path) -> Iterator[Reader]:
    reader = Reader(browser, report, viewport={"width": 1280, "height": 900})
    yield reader
    assert reader.faults == []
    reader.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_page_loads_without_errors_or_requests(browser: Any, report: Path, scheme: str, width: int) -> None:
    reader = Reader(browser, report, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert reader.faults == []
    assert [url for url in reader.requests if not url.startswith("data:")] == [report.as_uri()]
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    dark = reader.page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    reader.page.close()


def test_long_names_do_not_widen_the_page(browser: Any, report: Path, tmp_path: Path) -> None:
    runs = report.parents[1]
    shutil.copytree(runs / "linear", tmp_path / ("W" * 100))
    shutil.copytree(runs / "nb", tmp_path / "a-name-of-many-words-with-every-setting-in-it-seed1-final2")
    compare([*tmp_path.iterdir(), runs / "majority"], tmp_path / "report")
    for width in (360, 1280):
        reader = Reader(
            browser, tmp_path / "report" / "report.html", viewport={"width": width, "height": 800}
        )
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
        reader.page.close()


def test_it_opens_with_the_headline(reader: Reader) -> None:
    assert reader.page.locator("h1").inner_text() == "linear is best on top20, rest and joint"
    first = reader.page.locator(".words li").first
    assert first.inner_text().startswith("On top20, linear is best: ")
    assert first.bounding_box()["y"] < 900


def test_a_table_sorts_by_any_column_both_ways(reader: Reader) -> None:
    table = "table.scores >> nth=0 >> "
    reader.page.locator(f"{table} button", has_text="top-1").click()
    assert reader.column(table, 1)[0] == "closed-set ceiling"
    reader.page.locator(f"{table} button", has_text="top-5").click()
    down = [float(text) for text in reader.column(table, 4) if text]
    assert down == sorted(down, reverse=True) and len(set(down)) > 1
    assert reader.column(table, 1)[-1] == "closed-set ceiling"  # no figure: last, whatever the order
    reader.page.locator(f"{table} button", has_text="top-5").click()
    assert [float(text) for text in reader.column(table, 4) if text] == down[::-1]
    assert reader.column(table, 1)[-1] == "closed-set ceiling"
    reader.page.locator(f"{table} button", has_text="run").click()
    names = reader.column(table, 1)
    assert names == sorted(names)
    assert reader.page.locator(f"{table} th[aria-sort]").count() == 1


def test_durations_and_thousands_sort_as_numbers(reader: Reader) -> None:
    table = "table.scores >> nth=0 >> "
    reader.page.locator(f"{table} button", has_text="products/s").click()
    found = [int(text.replace(",", "")) for text in reader.column(table, 12) if text]
    assert found == sorted(found, reverse=True) and len(found) == 3


def test_the_search_filters_classes_and_confusions(reader: Reader) -> None:
    before = len(reader.column("table.searchable >> nth=0 >> ", 1))
    reader.page.fill("#search", "SHOES")
    for table in ("table.searchable >> nth=0 >> ", "#confused ~ .scroll >> nth=0 >> table"):
        shown = reader.page.locator(f"{table} tbody tr:not([hidden])").all_inner_texts()
        assert shown and all("shoes" in text.lower() for text in shown)
    assert 0 < len(reader.column("table.searchable >> nth=0 >> ", 1)) < before
    assert reader.page.locator("#found").inner_text().endswith(" rows")
    reader.page.fill("#search", "")
    assert len(reader.column("table.searchable >> nth=0 >> ", 1)) == before


def test_products_are_shown_with_their_pictures(reader: Reader) -> None:
    part = '[data-lists="lists-1"]'
    assert reader.page.locator(f"{part}:visible h4").all_inner_texts()[0].startswith("linear right, nb wrong")
    reader.page.select_option("#lists-1", index=reader.page.locator("#lists-1 option").count() - 1)
    (title,) = reader.page.locator(f"{part}:visible h4").all_inner_texts()
    assert title.startswith("Most confident errors of majority")
    pictures = reader.page.locator(f"{part}:visible img")
    assert pictures.count() >= 10
    pictures.first.evaluate("picture => picture.decode()")
    assert pictures.first.evaluate("picture => picture.naturalWidth") > 10
    assert pictures.first.bounding_box()["height"] > 40


def test_charts_have_values_and_a_text_alternative(reader: Reader) -> None:
    charts = reader.page.locator("figure svg[role=img]")
    assert charts.count() > 15
    assert all(len(chart.get_attribute("aria-label")) > 10 for chart in charts.all())
    assert (
        "nb, epoch 3: validation top-1 27"
        in reader.page.locator("#curves + h3 + .pair title").all_text_contents()
    )


def test_without_scripts_every_list_is_there(browser: Any, report: Path) -> None:
    reader = Reader(browser, report, java_script_enabled=False)
    lists = reader.page.locator(".list")
    assert lists.count() > 5 and all(each.is_visible() for each in lists.all())
    assert not reader.page.locator("select.lists").first.is_visible()
    reader.page.close()


def test_it_prints_whole_tables_on_white(browser: Any, report: Path) -> None:
    reader = Reader(browser, report, color_scheme="dark")
    reader.page.emulate_media(media="print", color_scheme="dark")
    assert not reader.page.locator("nav").is_visible()
    assert reader.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tall = reader.page.locator(".tall").first
    assert tall.evaluate("box => box.scrollHeight <= box.clientHeight + 1")
    assert reader.page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    reader.page.close()


def test_hostile_text_is_text(browser: Any, tmp_path: Path) -> None:
    compare(hostile_runs(tmp_path), tmp_path / "report")
    reader = Reader(browser, tmp_path / "report" / "report.html")
    body = reader.page.locator("body").inner_text()
    assert all(text in body for text in (*LABELS, ID, TITLE))
    assert reader.page.locator("script").count() == 1
    assert reader.page.locator("b[onclick], img[onerror]").count() == 0
    reader.page.select_option("#lists-1", index=1)
    assert reader.page.locator("article img:visible").count() > 0
    assert reader.faults == []
    reader.page.close()


def test_injected_markup_cannot_run(browser: Any, report: Path, tmp_path: Path) -> None:
    """The page's policy lets its own script run, by hash, and nothing else."""
    evil = '<img src=x onerror="document.title = 1"><script>document.title = 2</script></main>'
    file = tmp_path / "evil.html"
    file.write_text(report.read_text().replace("</main>", evil))
    reader = Reader(browser, file)
    assert "fusionclf" in reader.page.title()
    assert any("Content Security Policy" in fault for fault in reader.faults)
    reader.page.close()
