"""The code of docs/how-to/import-predictions.md runs as written."""

import json
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, read, run_page

GUIDE = read(DOCS / "how-to" / "import-predictions.md")


@pytest.mark.slow
def test_imported_files_of_the_page_are_compared(tmp_path: Path) -> None:
    work = run_page(tmp_path, GUIDE)
    report = json.loads((work / "report" / "report.json").read_text(encoding="utf-8"))
    scores = {run["name"]: run["scores"]["joint"] for run in report["runs"]}
    assert set(scores) == {"llm", "autogluon"}
    assert 70 < scores["llm"]["top1"] < 85 and scores["llm"]["ece"] is None
    assert scores["autogluon"]["ece"] is not None and scores["autogluon"]["top5"] is not None
