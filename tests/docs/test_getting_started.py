"""The commands of docs/getting-started.md, run in order as a reader would."""

import csv
import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, code_blocks, read, run_blocks

GUIDE = read(DOCS / "getting-started.md")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_getting_started_leads_from_csv_to_predictions(tmp_path: Path) -> None:
    done = run_blocks(tmp_path, code_blocks(GUIDE, "bash"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "warning: 1 row has no answer" in done.stderr
    work = tmp_path / "work"
    assert {p.name for p in (work / "report").iterdir()} == {"report.html", "report.md", "report.json"}
    assert "data:image/jpeg" in (work / "report" / "report.html").read_text()
    answers, given = rows(work / "answers.csv"), rows(work / "new.csv")
    assert [row["id"] for row in answers] == [row["sku"] for row in given[:-1]]
    assert {row["decision"] for row in answers} <= {"accept", "abstain"}
    assert all(row["path"].count(" > ") == 1 for row in answers)
    (fault,) = rows(work / "answers.errors.csv")
    assert given[-1]["sku"] in fault.values()
    mistakes = done.stdout.splitlines()[-5:]
    assert done.stdout.count("label_1") == 2 and all(line.strip().startswith("A-") for line in mistakes)
    sizes = dict(re.findall(r"^(top20|rest): .* of (\d+) test products", done.stderr, re.MULTILINE))
    assert f"on {sum(map(int, sizes.values()))} test products" in " ".join(GUIDE.split())
