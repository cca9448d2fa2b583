"""The code of docs/how-to/python.md and docs/notebook.ipynb runs as written, with small encoders."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusionclf.estimator import classifier
from tests.docs.pages import DOCS, code_blocks, read
from tests.small import NETWORK

PAGE = code_blocks(read(DOCS / "how-to" / "python.md"), "python")
NOTEBOOK = json.loads(read(DOCS / "notebook.ipynb"))
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
SMALL = {
    "scheme": "single_stage",
    "pictures": {"height": 32, "width": 32},
    "model": {"image": NETWORK, "text": {"buckets": 4096}, "fuser": "late", "vocabulary": "closed"},
    "train": {"epochs": 1},
}
SMALL_TEXT = {"model": {"text": {"buckets": 4096, "dim": 16}}, "train": {"epochs": 1}}


@pytest.fixture(autouse=True)
def _small_encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder, and a default of the classifier that takes a second."""
    for variant, settings in (("fusion", SMALL), ("text", SMALL_TEXT)):
        file = tmp_path / f"{variant}.yaml"
        file.write_text(yaml.safe_dump(settings))
        monkeypatch.setitem(classifier.CONFIGS, variant, (str(file), str(file)))
    monkeypatch.chdir(tmp_path)


def run(blocks: list[str]) -> dict[str, Any]:
    """The names that blocks of code leave, run one after the other."""
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "page", "exec"), names)
    return names


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(PAGE)
    assert "unknown setting 'train.epoch': did you mean 'epochs'" in capsys.readouterr().out
    assert names["probabilities"].shape == (len(names["X"]) - 150, len(names["classifier"].classes_))
    assert names["again"].predict(names["X"]).tolist() == names["classifier"].predict(names["X"]).tolist()
    assert Path("report/report.html").is_file() and Path("runs/final/metrics.json").is_file()


@pytest.mark.slow
def test_the_notebook_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(CELLS)
    assert len(names["answers"]) == len(names["X_test"])
    assert re.search(r"fusion 0\.\d+", capsys.readouterr().out)


def test_the_notebook_holds_no_outputs() -> None:
    assert CELLS and all(not cell.get("outputs") for cell in NOTEBOOK["cells"])
