"""The comparison of runs that predict several labels per product."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from fusionclf.errors import RunError
from fusionclf.evaluation.predictions import write_predictions
from fusionclf.report import compare, list_label_issues
from fusionclf.report.definitions import definition_id
from fusionclf.report.multilabel import TITLES
from fusionclf.workflows.baseline import run_baseline
from tests.runs import Runs
from tests.tags import CATALOG


@pytest.fixture(scope="module")
def weak_run(tags_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has seen few titles and no long n-grams."""
    out = tmp_path_factory.mktemp("weak") / "weak"
    run_baseline(
        "linear", tags_dir, out, overrides=(*CATALOG, "smallest=1", "largest=1", "regularisation=0.01")
    )
    return out


def test_runs_are_listed_best_first(tags_run: Path, weak_run: Path, tmp_path: Path) -> None:
    value = compare([weak_run, tags_run], tmp_path)
    assert [run["name"] for run in value["runs"]] == ["tags-linear", "weak"]
    assert value["title"].startswith("Several labels per product: tags-linear is best (micro F1 ")
    (row,) = value["tests"]
    first, second = (run["scores"]["micro_f1"] for run in value["runs"])
    assert row["difference"] == pytest.approx(first - second) and row["interval"][0] > 0
    assert value["best"]["micro_f1"] == ["tags-linear"]
    page, markdown = ((tmp_path / name).read_text() for name in ("report.html", "report.md"))
    for text in (page, markdown):
        assert f"{first:.2f}" in text and "macro F1" in text and "party" in text
    table = [line for line in markdown.splitlines() if line.startswith("| tags-linear |")]
    assert len(table) == 1 and table[0].count("|") == 13


def test_equal_runs_of_label_sets_are_level(tags_run: Path, tmp_path: Path) -> None:
    again = shutil.copytree(tags_run, tmp_path / "again")
    value = compare([tags_run, again], None)
    first, second = (run["name"] for run in value["runs"])
    assert value["title"].startswith(f"Several labels per product: {first} is level with {second} (micro F1 ")
    assert value["introduction"][2].endswith(f", as high as that of {second}.")


def test_page_begins_with_sentences_and_ends_with_definitions(
    tags_run: Path, weak_run: Path, tmp_path: Path
) -> None:
    value = compare([weak_run, tags_run], tmp_path)
    page, markdown = ((tmp_path / name).read_text() for name in ("report.html", "report.md"))
    assert "compares 2 models" in value["introduction"][0] and value["introduction"][2].startswith(
        "tags-linear has"
    )
    assert all(sentence in page and sentence in markdown for sentence in value["introduction"])
    used = set(re.findall(r'aria-describedby="([^"]+)"', page))
    assert {definition_id(word) for word in (*TITLES.values(), "labels", "predicted")} <= used
    assert used <= set(re.findall(r'<dd id="([^"]+)"', page))
    assert compare([tags_run], None)["introduction"][2].startswith("Its micro F1 is ")


def test_catalog_is_checked_where_it_is_found(tags_run: Path) -> None:
    value = compare([tags_run], None)
    assert value["catalog_note"] == "" and value["catalog"] is not None
    assert value["split"]["labels"] == 7 and value["tests"] == []


def test_runs_of_one_label_are_not_mixed_in(tags_run: Path, runs: Runs) -> None:
    with pytest.raises(RunError, match=r"linear: one label per product, and .*tags-linear predicts several"):
        compare([runs("linear"), tags_run], None)


def test_label_issues_refuse_several_labels(tags_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"tags-linear: predicts several labels per product"):
        list_label_issues([tags_run], tmp_path)


def test_predictions_that_do_not_match_are_refused(tags_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tags_run, tmp_path / "run"))
    file = run / "predictions" / "joint.parquet"
    frame = pd.read_parquet(file)
    frame["predicted"] = [["red"]] * len(frame)
    write_predictions(file, frame)
    with pytest.raises(RunError, match=r"do not match metrics\.json"):
        compare([run], None)


def test_card_shows_metrics_of_several_labels(tags_run: Path) -> None:
    card = (tags_run / "README.md").read_text()
    assert "| micro F1 | macro F1 | mAP |" in card and "reaches its threshold" in card
