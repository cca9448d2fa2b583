"""Which run folders are read, and which are refused by name."""

import json
from pathlib import Path

import pandas as pd
import pytest

from fusionclf.config import SplitConfig
from fusionclf.errors import RunError
from fusionclf.report import compare, read_runs


def test_runs_are_read_with_parts_joint_and_log(two_runs: list[Path]) -> None:
    poor, good = read_runs(two_runs)
    assert (poor.name, poor.variant, list(poor.frames)) == ("poor", "nb", ["top2", "rest"])
    assert list(good.frames) == ["top2", "rest", "joint"]
    assert [row["val_loss"] for row in good.log] == [1.5, None]
    assert poor.log == []
    assert poor.scores("joint") is None


def test_no_run_is_refused() -> None:
    with pytest.raises(RunError, match="no run to compare"):
        read_runs([])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere: no such run folder"):
        read_runs([tmp_path / "nowhere"])


def test_the_same_folder_twice_is_refused(two_runs: list[Path]) -> None:
    with pytest.raises(RunError, match="good: is given twice"):
        read_runs([two_runs[1], two_runs[1].parent / "poor" / ".." / "good"])


def test_all_unfinished_runs_are_named(two_runs: list[Path], tmp_path: Path) -> None:
    (two_runs[0] / "metrics.json").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"poor, .*empty: not finished \(no metrics\.json\)"):
        read_runs([*two_runs, tmp_path / "empty"])


def test_runs_of_another_split_are_named(two_runs: list[Path], make_run) -> None:
    others = [make_run(f"other{k}", spec=SplitConfig(top_k=2, seed=k)) for k in (1, 3)]
    with pytest.raises(RunError, match="other1, other3: of another split than poor"):
        read_runs([*two_runs, *others])


def test_runs_of_another_catalog_are_named(two_runs: list[Path], make_run) -> None:
    other = make_run("foreign")
    split = json.loads((other / "split.json").read_text())
    (other / "split.json").write_text(json.dumps({**split, "catalog_sha256": "d" * 64}))
    with pytest.raises(RunError, match="foreign: of another catalog than poor"):
        read_runs([*two_runs, other])


def test_a_refusal_writes_nothing(two_runs: list[Path], tmp_path: Path) -> None:
    (two_runs[0] / "metrics.json").unlink()
    with pytest.raises(RunError):
        compare(two_runs, tmp_path / "report")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("metrics.json", "{", r"metrics\.json: cannot be read as JSON"),
        ("metrics.json", "[]", r"metrics\.json: holds no 'mapping'"),
        ("metrics.json", '{"variant": "nb", "parts": {}}', r"metrics\.json: holds no 'joint'"),
        ("split.json", "{}", r"split\.json: holds no 'sha256'"),
        ("config.yaml", "- 1", r"config\.yaml: holds list"),
        ("environment.json", "nonsense", r"environment\.json: cannot be read"),
        ("log.jsonl", "{}", r"log\.jsonl: cannot be read"),
        ("predictions/top2.parquet", "PAR1", r"top2\.parquet: cannot be read"),
    ],
)
def test_a_damaged_file_is_named(two_runs: list[Path], file: str, text: str, message: str) -> None:
    (two_runs[0] / file).write_text(text)
    with pytest.raises(RunError, match=message):
        read_runs(two_runs)


def test_predictions_that_do_not_fit_the_metrics_are_named(two_runs: list[Path]) -> None:
    file = two_runs[0] / "predictions" / "rest.parquet"
    pd.read_parquet(file).iloc[1:].to_parquet(file)
    with pytest.raises(RunError, match=r"rest\.parquet: 7 products"):
        read_runs(two_runs)


def test_folders_of_one_name_are_told_apart(make_run) -> None:
    runs = read_runs([make_run("one/nb"), make_run("two/nb"), make_run("else")])
    assert [run.name for run in runs] == ["one/nb", "two/nb", "else"]
