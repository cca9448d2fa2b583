"""The script of docs/how-to/review-loop.md goes round twice and prints what the page shows."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, code_blocks, read, run_blocks

GUIDE = read(DOCS / "how-to" / "review-loop.md")


@pytest.mark.slow
def test_two_rounds_correct_labels_and_raise_accuracy(tmp_path: Path) -> None:
    (script,) = code_blocks(GUIDE, "python")
    (tmp_path / "loop.py").write_text(script, encoding="utf-8")
    done = run_blocks(tmp_path, [f'python "{tmp_path}/loop.py"'])
    assert done.returncode == 0, done.stderr[-3000:]
    (before, after) = (
        [float(number) for number in re.findall(r"[\d.]+", line)]
        for line in done.stdout.splitlines()
        if line.startswith(("before", "after"))
    )
    assert after[0] < before[0] / 2 and after[1] > before[1]
    (shown,) = code_blocks(GUIDE, "text")
    assert re.sub(r"[\d.]+", "#", done.stdout) == re.sub(r"[\d.]+", "#", shown)
