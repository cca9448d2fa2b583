"""The first sentences of a report, and the definitions of its words."""

import re
from pathlib import Path
from typing import Any

import pytest

from fusionclf.report import compare
from fusionclf.report.build import TITLES
from fusionclf.report.definitions import DEFINITIONS, definition_id
from fusionclf.report.introduction import introduction

PARTS = [
    {"part": "top20", "classes": 20, "train": 1000, "validation": 200, "test": 300},
    {"part": "rest", "classes": 80, "train": 100, "validation": 20, "test": 50},
    {"part": "joint", "classes": 100, "train": 1100, "validation": 220, "test": 350},
]


def verdict(**changes: Any) -> dict[str, Any]:
    lead = {"best": "b", "top1": 81.5, "next": "a", "difference": 2.0, "next_holds": True}
    return lead | changes


def test_it_says_what_on_what_and_who_leads() -> None:
    found = introduction(3, PARTS, {"top20": verdict(best="x"), "joint": verdict()})
    assert len(found) == 3
    assert found[0].startswith("This report compares 3 models that predict the class of a catalog product")
    assert "1,320 products of 100 classes" in found[1] and "350 other products" in found[1]
    assert found[2] == (
        "On all classes together, b is right for 81.50 % of these products, 2.00 points ahead of a, more than "
        "chance explains."
    )


def test_without_a_model_of_all_classes_it_names_the_parts() -> None:
    found = introduction(2, PARTS[:2], {"top20": verdict(), "rest": verdict(best="c", next_holds=False)})
    first, second = found[2].split("; ")
    assert first.startswith("On the 20 classes of top20, b is right for 81.50 %") and first.endswith(
        "explains"
    )
    assert second.startswith("on the other 80 classes, c is right") and second.endswith(
        "a, which chance may explain."
    )


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"next": None, "difference": None}, "b is right for 81.50 % of these products."),
        ({"difference": 0.0, "next_holds": False}, "of these products, as often as a."),
        ({"difference": -1.0, "next_holds": False}, "but a is ahead on the products that both predicted."),
    ],
)
def test_a_run_alone_a_tie_and_a_smaller_rival(changes: dict[str, Any], end: str) -> None:
    assert introduction(2, PARTS, {"joint": verdict(**changes)})[2].endswith(end)


def test_one_run_is_a_model() -> None:
    first, second, _ = introduction(1, PARTS, {"joint": verdict(next=None, difference=None)})
    assert "shows one model that predicts" in first and second.startswith("It learned from")


def test_every_metric_has_a_definition_of_its_own() -> None:
    assert set(TITLES.values()) <= set(DEFINITIONS)
    ids = {definition_id(word) for word in DEFINITIONS}
    assert len(ids) == len(DEFINITIONS) and all(re.fullmatch(r"def-[\w-]+", each) for each in ids)


def test_the_page_has_each_definition_that_it_refers_to(two_runs: list[Path], tmp_path: Path) -> None:
    value = compare(two_runs, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    used = set(re.findall(r'aria-describedby="([^"]+)"', page))
    assert {definition_id(word) for word in ("top-1", "ECE", "p (Holm)", "lead", "ceiling")} <= used
    assert used <= set(re.findall(r'<dd id="([^"]+)"', page))
    assert all(sentence in page for sentence in value["introduction"])


def test_a_run_with_the_name_of_a_metric_is_no_metric(make_run: Any, tmp_path: Path) -> None:
    compare([make_run("n"), make_run("precision", wrong=3)], tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert '<th scope="col" data-run="n"><button type="button">n</button></th>' in page
