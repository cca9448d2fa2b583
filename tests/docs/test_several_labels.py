"""The commands of docs/how-to/several-labels.md, in order."""

import json
from pathlib import Path

import pytest

from fusionclf.config.yaml_text import parse_yaml
from tests.docs.pages import DOCS, code_blocks, read, run_blocks

GUIDE = read(DOCS / "how-to" / "several-labels.md")


@pytest.mark.slow
def test_tags_lead_to_predictions_as_written(tmp_path: Path) -> None:
    code = code_blocks(GUIDE, "python")[0]
    done = run_blocks(tmp_path, [*code_blocks(GUIDE, "bash"), f"python - <<'END'\n{code}END"])
    assert done.returncode == 0, done.stderr[-3000:]
    work = tmp_path / "work"
    settings = parse_yaml((work / "shop/catalog.yaml").read_text(encoding="utf-8"))["catalog"]
    shown = parse_yaml(code_blocks(GUIDE, "yaml")[0])["catalog"]
    assert {name: settings[name] for name in shown} == shown
    assert done.stderr.count("several labels: micro F1") == 2
    rows = [json.loads(line) for line in (work / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 20 and all(len(row["labels"]) == len(row["probabilities"]) for row in rows)
    example = json.loads(code_blocks(GUIDE, "json")[0])
    assert set(example) <= set(rows[0])
    assert "'Women'" in done.stdout and "'Red'" in done.stdout
    assert (work / "report/report.html").is_file()
