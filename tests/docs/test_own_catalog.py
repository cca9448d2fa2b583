"""The commands of docs/how-to/own-catalog.md, from a raw feed to predictions."""

import csv
from pathlib import Path

import pytest

from fusionclf.config.yaml_text import parse_yaml
from tests.docs.pages import DOCS, code_blocks, read, run_blocks

GUIDE = read(DOCS / "how-to" / "own-catalog.md")
MAKE, COMMANDS = code_blocks(GUIDE, "bash")[:2]


def test_the_guide_has_at_most_eight_plain_commands() -> None:
    lines = COMMANDS.splitlines()
    assert len(lines) <= 8 and all(line.startswith("fusionclf ") for line in lines)
    assert "[@]" not in GUIDE


@pytest.mark.slow
def test_a_raw_feed_leads_to_predictions_as_written(tmp_path: Path) -> None:
    done = run_blocks(tmp_path, [MAKE, COMMANDS])
    assert done.returncode == 0, done.stderr[-3000:]
    work = tmp_path / "work"
    (shown,) = code_blocks(GUIDE, "yaml")
    assert parse_yaml((work / "shop/catalog.yaml").read_text(encoding="utf-8")) == parse_yaml(shown)
    assert "unsure" not in done.stdout and "semicolons, cp1252" in done.stderr
    assert (work / "report/report.html").is_file()
    with (work / "answers.csv").open(encoding="utf-8", newline="") as stream:
        answers = list(csv.DictReader(stream))
    with (work / "new.csv").open(encoding="cp1252", newline="") as stream:
        given = [row["Artikelnr"] for row in csv.DictReader(stream, delimiter=";")]
    assert [row["id"] for row in answers] == given and len(given) == 20
    assert all(row["picture_status"] == row["title_status"] == "used" for row in answers)
