"""The report and the model card on further columns that runs predict."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusionclf.errors import RunError
from fusionclf.evaluation import ColumnPredictions, column_answers
from fusionclf.evaluation.column_answers import score_columns
from fusionclf.report import compare
from fusionclf.report.model_card import model_card
from fusionclf.runfolder import read_json
from fusionclf.workflows.baseline import run_baseline

EVIL = "<b>colour</b> | *x*"


def scores(*right: bool) -> dict[str, Any]:
    """Metrics of a column with the values a and b: the products are of a, and `a` is predicted where right."""
    hits = np.array([[0.8, 0.2] if hit else [0.3, 0.7] for hit in right])
    products = pd.DataFrame({"id": [str(n) for n in range(len(right))], "title_group": range(len(right))})
    column = ColumnPredictions("c", ("a", "b"), np.zeros(len(right), int), hits, np.array([1, 2]))
    return score_columns(column_answers(products, "test", [column]))["c"]


@pytest.fixture(scope="module")
def plain(sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "plain"
    run_baseline("majority", sample_dir, out)
    return out


def with_answers(plain: Path, folder: Path, answers: dict[str, Any]) -> Path:
    """A copy of a run that also predicts further columns."""
    shutil.copytree(plain, folder)
    metrics = read_json(plain / "metrics.json") | {"answers": answers}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_runs_without_further_columns_have_no_table(plain: Path, tmp_path: Path) -> None:
    value = compare([plain], tmp_path / "report")
    assert not any(value["columns"].values())
    for name in ("report.html", "report.md"):
        assert "Further columns" not in (tmp_path / "report" / name).read_text()
    assert "Further columns" not in model_card(plain, read_json(plain / "metrics.json"))


def test_each_column_of_each_run_is_a_row(plain: Path, tmp_path: Path) -> None:
    first = with_answers(plain, tmp_path / "first", {"rest": {EVIL: scores(True, True, True, False)}})
    second = with_answers(
        plain, tmp_path / "second", {"rest": {EVIL: scores(True, False), "size": scores(True)}}
    )
    value = compare([plain, first, second], tmp_path / "report")
    rows = [(row["column"], row["run"], row["n"], row["top1"]) for row in value["columns"]["rest"]]
    assert rows == [(EVIL, "first", 4, 75.0), (EVIL, "second", 2, 50.0), ("size", "second", 1, 100.0)]
    assert not value["columns"]["top20"]
    markdown = (tmp_path / "report" / "report.md").read_text()
    assert r"| &lt;b&gt;colour&lt;/b&gt; \| \*x\* | first | 4 | 0 | 0 | 75.00<br><sub>" in markdown
    page = (tmp_path / "report" / "report.html").read_text()
    assert '<h2 id="columns">Further columns</h2>' in page and "<b>colour" not in page


def test_the_card_lists_further_columns(plain: Path) -> None:
    metrics = read_json(plain / "metrics.json") | {
        "answers": {"rest": {EVIL: scores(True, True, True, False)}}
    }
    card = model_card(plain, metrics)
    (row,) = [line for line in card.splitlines() if "colour" in line]
    assert row.startswith(r"| rest | &lt;b&gt;colour&lt;/b&gt; \| \*x\* | 4 | 75.00 [")
    assert row.endswith("| 0.00 |")  # the most frequent value, b, is that of no test product


def test_damaged_metrics_of_a_column_are_refused(plain: Path, tmp_path: Path) -> None:
    run = with_answers(plain, tmp_path / "run", {"rest": {"size": scores(True) | {"top1": "all"}}})
    with pytest.raises(RunError, match=r"answers\.rest\.size\.top1"):
        compare([run], None)
