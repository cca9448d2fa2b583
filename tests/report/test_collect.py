"""Which run folders are read, and which are refused by name."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fusionclf.config import SplitConfig
from fusionclf.errors import RunError
from fusionclf.report import compare
from fusionclf.report.collect import read_runs
from fusionclf.report.label_issues import out_of_sample


def test_runs_are_read_with_all_parts_and_log(two_runs: list[Path]) -> None:
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
    for run in two_runs:
        (run / "metrics.json").unlink()
    with pytest.raises(RunError, match=r"poor, .*good: not finished \(no metrics\.json\).* or omit it"):
        read_runs(two_runs)


def test_a_folder_without_a_run_is_named(two_runs: list[Path], tmp_path: Path) -> None:
    (two_runs[0] / "metrics.json").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"empty: no run folder \(no config\.yaml\)"):
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
    assert len(read_runs([*two_runs, other], one_catalog=False)) == 3  # its test products are the same


def test_refused_comparison_writes_nothing(two_runs: list[Path], tmp_path: Path) -> None:
    (two_runs[0] / "metrics.json").unlink()
    with pytest.raises(RunError):
        compare(two_runs, tmp_path / "report")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("metrics.json", "{", r"metrics\.json: cannot be read as JSON"),
        ("metrics.json", "[]", r"metrics\.json: .*found a list"),
        ("metrics.json", '{"variant": "nb", "parts": {}}', r"metrics\.json: joint: is missing"),
        ("split.json", "{}", r"split\.json: spec: is missing"),
        ("config.yaml", "- 1", r"config\.yaml: holds list"),
        ("environment.json", "nonsense", r"environment\.json: cannot be read"),
        ("log.jsonl", "{}", r"log\.jsonl: stage: is missing"),
        ("predictions/top2.parquet", "PAR1", r"top2\.parquet: cannot be used"),
    ],
)
def test_a_damaged_file_is_named(two_runs: list[Path], file: str, text: str, message: str) -> None:
    (two_runs[0] / file).write_text(text)
    with pytest.raises(RunError, match=message):
        read_runs(two_runs)


NOT_METRICS: list[tuple[str, Any]] = [
    ("parts.top2", []),
    ("parts.top2.top1", "87.5"),
    ("parts.top2.top1", True),
    ("parts.top2.n", 2.5),
    ("joint", None),
    ("intervals.top2.top1", [1.0]),
    ("slices.top2.head classes", 3),
    ("per_class.top2.0.train_rows", None),
    ("hierarchy.top2.histogram", {"x": 1}),
    ("decisions.top2", {}),
    ("variant", ["nb"]),
]
NOT_ENVIRONMENT: list[tuple[str, Any]] = [
    ("versions", ["torch"]),
    ("train_seconds", "3"),
    ("parameters", {}),
    ("command", None),
    ("catalog.dropped", [1]),
]
NOT_SPLIT: list[tuple[str, Any]] = [
    ("spec", []),
    ("spec.top_k", "two"),
    ("classes.top2", "Shirts"),
    ("ids.top2.test", {"a": 1}),
    ("ids.top2.test.0", 5),
    ("ids.top2.test.0", "999"),
    ("sha256", 7),
]
ODD_VALUES = [
    *(("metrics.json", *change) for change in NOT_METRICS),
    *(("environment.json", *change) for change in NOT_ENVIRONMENT),
    *(("split.json", *change) for change in NOT_SPLIT),
]


@pytest.mark.parametrize(("file", "field", "value"), ODD_VALUES)
def test_a_value_of_another_type_is_refused_by_field(
    two_runs: list[Path], file: str, field: str, value: Any
) -> None:
    tree = json.loads((two_runs[1] / file).read_text())
    *way, last = field.split(".")
    place = tree
    for key in way:
        place = place[int(key) if isinstance(place, list) else key]
    place[int(last) if isinstance(place, list) else last] = value
    (two_runs[1] / file).write_text(json.dumps(tree))
    with pytest.raises(RunError) as refused:
        compare(two_runs, two_runs[0].parent / "report")
    message = str(refused.value)
    assert message.startswith(str(two_runs[1] / file)) and message.endswith("train again with --overwrite")
    assert ("sha256" if value == "999" else field.rpartition(".")[0]) in message
    assert "\n" not in message and len(message) <= 400


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(two_runs: list[Path], number: str) -> None:
    file = two_runs[0] / "metrics.json"
    metrics = json.loads(file.read_text())
    metrics["parts"]["rest"]["top5"] = "HERE"
    file.write_text(json.dumps(metrics).replace('"HERE"', number))
    with pytest.raises(RunError, match=r"metrics\.json: parts\.rest\.top5: .*finite"):
        read_runs(two_runs)


@pytest.mark.parametrize(
    "name", ["metrics.json", "split.json", "environment.json", "log.jsonl", "config.yaml"]
)
def test_a_deeply_nested_file_is_refused(two_runs: list[Path], name: str) -> None:
    (two_runs[1] / name).write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(RunError, match=name):
        read_runs(two_runs)


def test_a_part_that_is_a_path_is_refused(two_runs: list[Path]) -> None:
    for name in ("metrics.json", "split.json"):
        text = (two_runs[0] / name).read_text()
        (two_runs[0] / name).write_text(text.replace('"top2"', '"../top2"'))
    with pytest.raises(RunError, match=r"metrics\.json: parts\.\.\./top2"):
        read_runs(two_runs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]", "anchors and aliases"),
        (
            "variant: nb\ndata: x\nseed: 0\ncatalog: {}\nsplit: {}\nmore: &m {again: *m}",
            "anchors and aliases",
        ),
        ("variant: nb\nseed: 2026-99-99", "'data' is missing"),
        ("variant: nb\ndata: x\nseed: 2026-99-99\ncatalog: {}\nsplit: {}", "seed"),
        ("variant: [nb]", "variant"),
        ("variant: nb\ndata: x\nseed: 0\ncatalog: []\nsplit: {}", "catalog"),
    ],
)
def test_odd_settings_of_a_run_are_refused(two_runs: list[Path], text: str, message: str) -> None:
    (two_runs[0] / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=rf"config\.yaml: .*{message}"):
        read_runs(two_runs)


def test_predictions_of_other_products_are_refused(two_runs: list[Path]) -> None:
    file = two_runs[0] / "predictions" / "rest.parquet"
    frame = pd.read_parquet(file)
    frame["id"] = [f"x{n}" for n in range(len(frame))]
    frame.to_parquet(file)
    with pytest.raises(RunError, match=r"rest\.parquet: product 'x0' is not in split\.json"):
        read_runs(two_runs)


def test_predictions_of_other_classes_are_refused(two_runs: list[Path]) -> None:
    file = two_runs[0] / "predictions" / "rest.parquet"
    frame = pd.read_parquet(file)
    frame.loc[0, "label_1"] = "Kites"
    frame.to_parquet(file)
    with pytest.raises(RunError, match=r"'label_1' holds 'Kites', which is not a class"):
        read_runs(two_runs)


def test_predictions_of_another_run_are_refused(two_runs: list[Path]) -> None:
    poor, good = (run / "predictions" / "top2.parquet" for run in two_runs)
    good.write_bytes(poor.read_bytes())
    with pytest.raises(RunError, match=r"top2\.parquet: its predictions do not match metrics\.json"):
        read_runs(two_runs)


def test_held_out_predictions_of_no_part_are_refused(two_runs: list[Path]) -> None:
    run = read_runs(two_runs)[1]
    (two_runs[1] / "held_out" / "top2.parquet").rename(two_runs[1] / "held_out" / "odd.parquet")
    with pytest.raises(RunError, match=r"odd\.parquet: is not a part"):
        out_of_sample(run, two_runs[1])


def test_predictions_that_do_not_fit_the_metrics_are_named(two_runs: list[Path]) -> None:
    file = two_runs[0] / "predictions" / "rest.parquet"
    pd.read_parquet(file).iloc[1:].to_parquet(file)
    with pytest.raises(RunError, match=r"rest\.parquet: 7 products"):
        read_runs(two_runs)


def test_folders_of_one_name_get_unique_names(make_run) -> None:
    runs = read_runs([make_run("one/nb"), make_run("two/nb"), make_run("else")])
    assert [run.name for run in runs] == ["one/nb", "two/nb", "else"]
