"""The guide's commands, run in order as a reader would."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")


def run_blocks(folder: Path) -> subprocess.CompletedProcess[str]:
    """All bash blocks as one script, by the Python and the fusionclf that run this test."""
    tools = folder / "tools"
    tools.mkdir()
    for name, words in (("python", ""), ("fusionclf", "-m fusionclf ")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (tools / name).chmod(0o755)
    blocks = re.findall(r"^```bash\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    script = "\n".join(["set -euo pipefail", *blocks])
    environment = os.environ | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FUSIONCLF_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    work = folder / "work"
    work.mkdir()
    return subprocess.run(
        ["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True, timeout=300
    )


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_the_guide_leads_from_a_csv_to_a_report_and_answers(tmp_path: Path) -> None:
    done = run_blocks(tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "warning: 1 row has no answer" in done.stderr
    work = tmp_path / "work"
    assert {p.name for p in (work / "report").iterdir()} == {"report.html", "report.md", "report.json"}
    assert "data:image/jpeg" in (work / "report" / "report.html").read_text()
    answers, asked = rows(work / "answers.csv"), rows(work / "new.csv")
    assert [row["id"] for row in answers] == [row["sku"] for row in asked[:-1]]
    assert {row["decision"] for row in answers} <= {"accept", "abstain"}
    assert all(row["path"].count(" > ") == 1 for row in answers)
    (fault,) = rows(work / "answers.errors.csv")
    assert asked[-1]["sku"] in fault.values()
    mistakes = done.stdout.splitlines()[-5:]
    assert done.stdout.count("label_1") == 2 and all(line.strip().startswith("A-") for line in mistakes)
    sizes = dict(re.findall(r"^(top20|rest): .* of (\d+) test products", done.stderr, re.MULTILINE))
    assert f"on {sum(map(int, sizes.values()))} test products" in GUIDE


def test_every_page_that_the_guide_and_readme_name_is_there() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links {target}"
