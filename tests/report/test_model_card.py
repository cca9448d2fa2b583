"""The model card of a run: its content comes from the files of the run, and catalog text is escaped."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from fusionclf.report.model_card import model_card, write_card
from fusionclf.runfolder import is_finished, read_json
from fusionclf.workflows import baseline as workflow
from fusionclf.workflows.baseline import run_baseline

EVIL = "Evil\n---\n# Head <script>alert(1)</script> [a](javascript:b) | `c` \u2028end"


@pytest.fixture(scope="module")
def run(sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("carded") / "nb"
    run_baseline("nb", sample_dir, out)
    return out


def test_every_run_has_a_card_that_the_hub_reads(run: Path, sample_dir: Path) -> None:
    card = ModelCard.load(run / "README.md")
    data: Any = card.data
    metrics = read_json(run / "metrics.json")
    assert data.library_name == "fusionclf"
    assert data.get("license") is None
    top1 = {r.dataset_config: r.metric_value for r in data.eval_results if r.metric_name == "Top-1"}
    wanted = {part: round(values["top1"] / 100, 4) for part, values in metrics["parts"].items()}
    assert top1 == {"joint": round(metrics["joint"]["top1"] / 100, 4), **wanted}
    assert {r.dataset_name for r in data.eval_results} == {sample_dir.name}
    assert f"{metrics['joint']['top1']:.2f}" in card.text
    split = read_json(run / "split.json")
    assert split["catalog_sha256"] in card.text and split["sha256"] in card.text
    assert f"| {len(split['ids']['rest']['test']):,} |" in card.text
    assert str(sample_dir.parent) not in (run / "README.md").read_text()


def test_the_limits_are_counted(run: Path) -> None:
    rows = read_json(run / "metrics.json")["per_class"]["joint"]
    unseen = sum(row["train_rows"] == 0 for row in rows)
    assert unseen > 0
    assert (
        f"{unseen} of the {len(rows)} tested classes have no training row and are never"
        in (run / "README.md").read_text()
    )


def test_a_card_is_written_before_the_run_counts_as_finished(
    sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def watched(folder: Path, metrics: dict[str, Any]) -> None:
        seen.append(is_finished(folder))
        write_card(folder, metrics)

    monkeypatch.setattr(workflow, "write_card", watched)
    run_baseline("majority", sample_dir, tmp_path / "run")
    assert seen == [False]
    assert (tmp_path / "run" / "README.md").is_file()


def test_text_of_a_catalog_stays_text(run: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"], config["variant"] = f"/shop/{EVIL}", EVIL
    config["catalog"]["label"] = config["catalog"]["title"] = EVIL
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    split, cost = read_json(run / "split.json"), read_json(run / "environment.json")
    cost["catalog"]["dropped"], cost["device"] = {EVIL: 3}, EVIL
    metrics = read_json(run / "metrics.json")
    metrics["parts"][EVIL] = metrics["parts"].pop("rest")
    for row in metrics["per_class"]["joint"]:
        row["label"] = EVIL
    (tmp_path / "model").mkdir()
    labels = {"rest": {"classes": {"label": [EVIL]}, "temperature": 1.0}}
    for name, value in (("split", split), ("environment", cost), ("model/labels", labels)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    text = model_card(tmp_path, metrics)
    assert text.splitlines().count("---") == 2
    body = text.split("\n---\n", 1)[1]
    body = re.sub("`[^`\n]*`", "", body)  # code shows everything as it is
    assert "<script" not in body
    assert not re.search(r"(?<!\\)\]\(javascript", body)
    assert not [line for line in body.splitlines() if line.startswith("# Head")]
    assert "\u2028" not in text
    assert ModelCard(text).data.to_dict()["library_name"] == "fusionclf"
