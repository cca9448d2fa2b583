"""The whole report of two tiny runs."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fusionclf.report import compare
from fusionclf.report.collect import read_runs
from fusionclf.report.report_data import PUBLISHED, published

GOLDEN = Path(__file__).parents[1] / "golden" / "report.md"


@pytest.fixture
def report(two_runs: list[Path], tmp_path: Path) -> Path:
    compare(two_runs, tmp_path / "report")
    return tmp_path / "report"


def test_markdown_is_as_before(report: Path, tmp_path: Path) -> None:
    """To renew: compare the two texts by eye, then write the new one to tests/golden/report.md."""
    text = (report / "report.md").read_text(encoding="utf-8")
    text = re.sub(r"sha256 [0-9a-f]{64}", "sha256 …", text)
    # The name of pytest's folder is in the commands.
    assert text.replace(tmp_path.name, "FOLDER") == GOLDEN.read_text(encoding="utf-8")


def test_decisions_of_an_older_run_are_shown(two_runs: list[Path], tmp_path: Path) -> None:
    file = two_runs[1] / "metrics.json"
    metrics = json.loads(file.read_text())
    row = metrics["decisions"]["top2"][0]
    del row["largest"]
    row |= {"accepted": 75.0, "precision": 96.0, "review": 25.0, "rejected": 0.0}
    file.write_text(json.dumps(metrics))
    compare(two_runs, tmp_path / "older")
    assert "| 98.0 | 75.00 | 96.00 | 25.00 | 0.00 |" in (tmp_path / "older" / "report.md").read_text()
    assert "refused; at most 79" in (tmp_path / "older" / "report.html").read_text()  # the other target


def test_json_is_the_value_and_unrounded(two_runs: list[Path], report: Path) -> None:
    value = json.loads((report / "report.json").read_text())
    assert value == compare(two_runs, report)
    scores = {run["name"]: run["scores"]["top2"] for run in value["runs"]}
    assert list(scores) == ["good", "poor"]  # best first
    assert scores["poor"]["top1"] == 75.0
    rest = {run["name"]: run["scores"]["rest"] for run in value["runs"]}
    assert rest["good"]["top1"] == 50.0  # four Belts, four Lipsticks of no training row
    assert value["tests"]["joint"] == []


def test_split_facts_are_in_the_report(two_runs: list[Path], report: Path) -> None:
    split = json.loads((report / "report.json").read_text())["split"]
    rest = next(row for row in split["parts"] if row["part"] == "rest")
    assert (rest["classes"], rest["test"], rest["unseen_rows"], rest["unseen_classes"]) == (2, 8, 4, 1)
    assert rest["ceiling"] == 50.0
    # Test titles are thing 5 … 16 of Shirts, 20 … 24 and 0 … 2 of Shoes; train titles 0 … 24 and 0 … 19.
    assert split["leaked"] == {"rows": 15, "of": 28, "share": pytest.approx(100 * 15 / 28)}
    assert "15 of 28 test products (53.57 %) share their exact title" in (report / "report.html").read_text()


def test_leaked_pictures_come_from_runs_that_read_pictures(two_runs: list[Path], report: Path) -> None:
    value = json.loads((report / "report.json").read_text())
    assert {row["part"]: row["leaked_pictures"] for row in value["split"]["parts"]} == {
        "top2": 3, "rest": 0, "joint": 3,
    }  # fmt: skip
    share = pytest.approx(100 * 3 / 28)
    assert value["split"]["leaked_pictures"] == {"rows": 3, "of": 28, "share": share, "why_unknown": ""}
    assert "3 of 28 test products (10.71 %) have a picture" in (report / "report.html").read_text()
    row = next(row for row in value["slices"]["top2"] if row["slice"] == "picture in train")
    assert (row["n"], row["top1"]) == (3, {"good": 100.0, "poor": None})


@pytest.mark.slow
def test_unknown_leaked_pictures_are_not_zero(make_run, tmp_path: Path) -> None:
    runs = [make_run("text"), make_run("few", copies=1, keep=6), make_run("one", copies=1)]
    for given, why in (
        (runs[:1], "none of these runs read pictures"),
        (runs[:2], "none of these runs read pictures"),  # of the whole test set
        ([*runs, make_run("two", copies=2)], "the pictures have changed between these runs"),
    ):
        split = compare(given, tmp_path / "report")["split"]
        assert (split["leaked_pictures"]["rows"], split["leaked_pictures"]["why_unknown"]) == (None, why)
        assert next(row for row in split["parts"] if row["part"] == "top2")["leaked_pictures"] is None
        for name in ("report.html", "report.md"):
            assert (
                f"of a train or validation product is not known: {why}."
                in (tmp_path / "report" / name).read_text()
            )
    assert compare(runs, None)["split"]["leaked_pictures"]["rows"] == 1


def test_a_run_that_scored_fewer_products_is_noted(make_run, tmp_path: Path) -> None:
    value = compare([make_run("whole"), make_run("some", keep=6)], tmp_path / "report")
    (note,) = value["notes"]
    assert note.startswith("some (nb) scored 6 of 20 products of top2 and 6 of 8 products of rest")
    assert note in (tmp_path / "report" / "report.html").read_text()
    assert "some (nb) scored 6 of 20" in (tmp_path / "report" / "report.md").read_text()


def test_html_names_a_lead_that_another_run_limits(make_run, tmp_path: Path) -> None:
    runs = [
        make_run("good", variant="a"),
        make_run("poor", wrong=9),
        make_run("part", keep=2, wrong=2, seed=1),
    ]
    value = compare(runs, tmp_path / "report")
    assert "ahead of poor, more than chance explains; " in value["introduction"][2]
    text = (tmp_path / "report" / "report.html").read_text()
    assert ">not every lead holds</span>" in text and "good against each other run" in text


def test_no_page_calls_a_run_ahead_that_is_behind(make_run, tmp_path: Path) -> None:
    value = compare([make_run("part", keep=6, variant="a"), make_run("whole", wrong=9)], tmp_path / "report")
    assert value["title"] == "whole is behind part on the products that both scored on top2 and rest"
    for name in ("report.html", "report.md"):
        text = (tmp_path / "report" / name).read_text()
        assert value["title"] in text and "whole is ahead" not in text and "points ahead of" not in text
    assert "\N{MINUS SIGN}100.00 against part" in (tmp_path / "report" / "report.html").read_text()


def test_one_run_is_enough(make_run, tmp_path: Path) -> None:
    value = compare([make_run("only")], tmp_path / "report")
    assert value["tests"] == {"top2": [], "rest": []}
    assert "Do the differences hold?" not in (tmp_path / "report" / "report.html").read_text()


def test_a_part_that_nobody_gets_right(make_run, tmp_path: Path) -> None:
    compare([make_run("a", wrong=99), make_run("b", wrong=99, seed=1)], tmp_path / "report")
    text = (tmp_path / "report" / "report.html").read_text()
    assert not re.search(r"\bnan\b", text)
    assert "a gets 0.00 % of 20 test products" in text


class Page(HTMLParser):
    """Which tags open and close, and what they refer to."""

    VOID = ("meta", "input", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tables = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tables += tag == "table"
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_whole_and_needs_nothing_else(report: Path) -> None:
    text = (report / "report.html").read_text()
    closed = re.sub(r"<(\w+)([^<>]*)/>", r"<\1\2></\1>", text)
    page = Page(closed)
    assert page.open == []
    assert page.tables >= 10
    assert page.links and all(link.startswith("#") for link in page.links)
    assert all(f'id="{link[1:]}"' in text for link in page.links)
    assert "prefers-color-scheme: dark" in text and "@media print" in text and "max-width: 40rem" in text
    assert "url(" not in text and "@import" not in text


def test_html_has_curves_of_the_trained_run_alone(report: Path) -> None:
    text = (report / "report.html").read_text()
    curves = text[text.index('id="curves"') : text.index('id="calibration"')]
    assert curves.count("<polyline") == 3  # top-1, validation loss, training loss
    assert "good" in curves and "poor" not in curves


def test_files_are_replaced_whole(two_runs: list[Path], report: Path) -> None:
    before = {file.name: file.read_bytes() for file in report.iterdir()}
    compare(two_runs[::-1], report)
    assert {file.name: file.read_bytes() for file in report.iterdir()}.keys() == before.keys()
    assert sorted(before) == ["report.html", "report.json", "report.md"]


def reference_like(two_runs: list[Path], **spec: object):
    """A run as if its split were the reference's on the real catalog."""
    run = read_runs(two_runs)[0]
    split: Any = run.split
    split["ids"] = {
        part: {"test": [str(n) for n in range(count)]} for part, count in (("top20", 15_149), ("rest", 5_505))
    }
    run.split["spec"] |= {"top_k": 20, **spec}
    return run


def test_published_results_are_shown_on_the_references_split(two_runs: list[Path]) -> None:
    rows = published(reference_like(two_runs))
    assert len(rows) == len(PUBLISHED) == 5
    assert max(row["top20"]["top1"] for row in rows) == 88.35
    assert max(row["rest"]["top1"] for row in rows) == 48.97


@pytest.mark.parametrize("spec", [{"rule": "random"}, {"swap": True}, {"top_k": 10}, {"group_by": ["title"]}])
def test_published_results_are_not_shown_on_another_split(two_runs: list[Path], spec: dict) -> None:
    assert published(reference_like(two_runs, **spec)) == []


def test_published_results_are_not_shown_on_another_catalog(two_runs: list[Path]) -> None:
    run = reference_like(two_runs)
    run.split["ids"]["rest"]["test"].pop()
    assert published(run) == []


def test_rows_a_run_could_not_learn_from_are_noted(two_runs: list[Path], tmp_path: Path) -> None:
    file = two_runs[0] / "environment.json"
    unused = {
        "rows": 4,
        "train_rows": 54,
        "reason": "no title",
        "examples": ["050"],
        "lost_classes": {"Belts": 4},
    }
    file.write_text(json.dumps({**json.loads(file.read_text()), "unused_train_rows": unused}))
    (note,) = compare(two_runs, tmp_path / "report")["notes"]
    assert "4 of 54 train rows have no title (050, …); 1 class(es) left without a train row (Belts)" in note
    assert "4 of 54 train rows have no title" in (tmp_path / "report" / "report.html").read_text()
