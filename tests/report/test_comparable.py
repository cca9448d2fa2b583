"""Runs before and after corrections: both are scored by the labels of one catalog."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from fusionclf.cli import app
from fusionclf.console import SILENT
from fusionclf.errors import RunError
from fusionclf.report import compare, list_label_issues
from fusionclf.report.comparable import comparable_runs
from fusionclf.workflows.baseline import run_baseline

HEADER = "id,masterCategory,subCategory,articleType,productDisplayName"
NAMES = {"Shirts": "Wear", "Jeans": "Wear", "Belts": "Wear", "Lipstick": "Care"}
WORDS = (
    "split.rule=random",
    "split.test_fraction=0.4",
    "split.top_k=3",
    "catalog.metadata=",
    "catalog.year=null",
    "catalog.picture=null",
)
WRONG = {f"{n:03}": "Belts" for n in range(0, 80, 4)}  # Shirts that the first catalog calls Belts


def write(folder: Path, labels: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    names = [*NAMES]
    rows = []
    for n in range(160):
        name = labels.get(f"{n:03}", names[n % 4])
        rows.append(f"{n:03},{NAMES.get(name, 'Toys')},Sub {name},{name},{names[n % 4]} of kind {n // 8}")
    (folder / "products.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return folder


def train(data: Path, out: Path, *words: str, at: str, name: str = "majority") -> Path:
    run_baseline(name, data, out, overrides=(*WORDS[2:], *(words or WORDS[:2])), console=SILENT)
    file = out / "environment.json"
    value = json.loads(file.read_text())
    file.write_text(json.dumps({**value, "finished_at": f"2026-01-01T00:00:{at}+00:00"}))
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on wrong labels, on corrected ones, on ones with a new class, and of another split."""
    root = tmp_path_factory.mktemp("shops")
    kites = {f"{n:03}": "Kites" for n in range(1, 81, 8)}
    for name, labels in (("shop", WRONG), ("corrected", {}), ("renewed", kites)):
        write(root / name, labels)
    train(root / "shop", root / "first", at="01", name="linear")
    kept = f"split.same_as={root}/first"
    train(root / "corrected", root / "second", kept, at="02")
    train(root / "renewed", root / "new", kept, at="03")
    train(
        root / "corrected",
        root / "other",
        "split.rule=random",
        "split.seed=9",
        "split.test_fraction=0.4",
        at="04",
    )
    return root


def scored_by(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "predictions" / "joint.parquet")


def _top1(run: Path, value: dict[str, Any] | None) -> float:
    """Of a run over all classes: in a report, or in its own metrics."""
    if value is None:
        return json.loads((run / "metrics.json").read_text())["joint"]["top1"]
    return next(each for each in value["runs"] if each["name"] == run.name)["scores"]["joint"]["top1"]


def contents(folders: Sequence[Path]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_both_runs_are_scored_by_the_corrected_labels(made: Path, tmp_path: Path) -> None:
    runs = [made / "first", made / "second"]
    before = contents(runs)
    value = compare(runs, tmp_path / "report")
    assert contents(runs) == before
    frame = scored_by(runs[0])
    truth = frame["label"].mask(frame["id"].isin(list(WRONG)), "Shirts")
    scores = {run["name"]: run["scores"]["joint"] for run in value["runs"]}
    assert scores["first"]["top1"] == pytest.approx(100 * (frame["label_1"] == truth).mean())
    assert (
        scores["second"]["top1"]
        == 100 * (scored_by(runs[1])["label"] == scored_by(runs[1])["label_1"]).mean()
    )
    assert scores["first"]["n"] == scores["second"]["n"] == value["tests"]["joint"][0]["products"] == 64
    assert (
        value["split"]["catalog_sha256"] == json.loads((runs[1] / "split.json").read_text())["catalog_sha256"]
    )


def test_the_report_begins_with_what_was_done(made: Path, tmp_path: Path) -> None:
    value = compare([made / "second", made / "first"], tmp_path / "report")
    changed = sorted(set(scored_by(made / "first")["id"]) & set(WRONG))
    line = value["remarks"][0]
    assert line.startswith(
        f"first: scored by the labels of second's catalog, since second finished last; {len(changed)} of 64 test "
        f"labels differ ('{changed[0]}': 'Belts' → 'Shirts', "
    )
    own, now = (_top1(made / "first", value) for value in (None, value))
    assert line.endswith(f"…); top-1 over all classes {now:.2f} %, by its own labels {own:.2f} %.")
    assert "Not compared: top3 and rest, whose classes or test products differ" in value["remarks"][1]
    html, markdown = ((tmp_path / "report" / f"report.{kind}").read_text() for kind in ("html", "md"))
    assert 0 < html.index("first: scored by the labels") < html.index("<main>")
    assert 0 < markdown.index("first: scored by the labels") < markdown.index("## Scores")
    assert {row["label"] for row in value["per_class"]["joint"]} == set(NAMES)
    assert value["split"]["leaked"]["of"] == 64


def test_the_command_prints_the_line(made: Path) -> None:
    words = ["compare", str(made / "first"), str(made / "second"), "--out", str(made / "report")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 and "first: scored by the labels of second's catalog" in done.stderr


def test_a_given_catalog_decides(made: Path) -> None:
    runs = [made / "first", made / "second"]
    found = comparable_runs(runs, made / "shop")
    assert found.remarks[0].startswith("second: scored by the labels of first's catalog, as --data says; ")
    assert found.catalog is not None and found.catalog.root == made / "shop"
    assert found.runs[0].top1("joint") == json.loads((runs[0] / "metrics.json").read_text())["joint"]["top1"]
    with pytest.raises(RunError, match="renewed: is another catalog than second's"):
        comparable_runs(runs, made / "renewed")


def test_decisions_keep_the_runs_own_thresholds(made: Path) -> None:
    first = comparable_runs([made / "first", made / "second"]).runs[0]
    own = json.loads((made / "first" / "metrics.json").read_text())
    keys = ("target", "accepted", "review", "rejected")
    before, after = (
        [[row[key] for key in keys] for row in metrics["decisions"]["joint"]]
        for metrics in (own, first.metrics)
    )
    assert after == before
    assert first.metrics["hierarchy"]["joint"] != own["hierarchy"]["joint"]
    assert (first.frames["joint"]["prob_label"] >= 0).tolist() == [True] * 64  # four classes: all are ranked


def test_a_class_that_a_run_does_not_know_is_named(made: Path) -> None:
    found = comparable_runs([made / "first", made / "second", made / "new"])
    kites = scored_by(made / "new")["label"].tolist().count("Kites")
    for line in found.remarks[:2]:
        assert line.endswith(f" %; {kites} test products have a class that it cannot predict: 'Kites'.")
    rows = next(run for run in found.runs if run.name == "first").metrics["per_class"]["joint"]
    assert [row["top1"] for row in rows if row["label"] == "Kites"] == [0.0]
    compare([made / "first", made / "new"], None)


def test_other_test_products_are_refused_with_the_remedy(made: Path) -> None:
    with pytest.raises(
        RunError, match=r"other: of another catalog than first, with other test .*same_as=.*first$"
    ):
        compare([made / "first", made / "other"], None)
    with pytest.raises(RunError, match=r"other: of another split than second; .*split\.same_as=.*second$"):
        compare([made / "second", made / "other"], None)


def test_label_issues_of_two_catalogs_are_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="second: of another catalog than first"):
        list_label_issues([made / "first", made / "second"], tmp_path / "issues")


def test_a_run_of_parts_alone_is_refused(made: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(made / "first", tmp_path / "parts"))
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**metrics, "joint": {"top1": None}}))
    with pytest.raises(RunError, match=r"parts: has no model over all classes.*scheme=single_stage"):
        compare([run, made / "second"], None)


def test_parts_with_the_same_classes_are_compared(made: Path, tmp_path: Path) -> None:
    words = ("split.rule=random", "split.test_fraction=0.4", "split.top_k=9")
    train(made / "shop", tmp_path / "one", *words, at="05")
    train(made / "corrected", tmp_path / "two", f"split.same_as={tmp_path}/one", "split.top_k=9", at="06")
    value = compare([tmp_path / "one", tmp_path / "two"], None)
    assert value["parts"] == ["top9", "joint"] and len(value["remarks"]) == 2


def test_a_product_that_was_not_scored_is_refused(made: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(made / "second", tmp_path / "second"))
    metrics = json.loads((run / "metrics.json").read_text())
    for part, scores in (*metrics["parts"].items(), ("joint", metrics["joint"])):
        file = run / "predictions" / f"{part}.parquet"
        frame = pd.read_parquet(file).iloc[:2]
        frame.to_parquet(file)
        scores |= {"n": len(frame), "top1": 100 * float((frame["label"] == frame["label_1"]).mean())}
    (run / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(RunError, match=r"second: did not score .* test products of first, such as"):
        compare([made / "first", run], None)


def test_other_titles_are_counted(made: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(made / "first", tmp_path / "first"))
    frame = scored_by(run)
    frame.loc[:1, "title_group"] += 1  # a number of the title
    frame.to_parquet(run / "predictions" / "joint.parquet")
    line = comparable_runs([run, made / "second"]).remarks[0]
    assert line.endswith("; 2 test products have another title there, which this run did not read.")


def test_parts_of_a_fusion_scored_by_old_labels_are_left_out(made: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(made / "first", tmp_path / "first"))
    own = {"n": 9, "answers_by": "base", "powers": [1], "losses": [0.1], "products": {"all": 9}}
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["fusion_parts"] = {"joint": own | {"parts": {"base": {"all": 50.0}}}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert compare([run], None)["fusion_parts"]["joint"][0]["top1"] == {"all": 50.0}
    assert compare([run, made / "second"], None)["fusion_parts"]["joint"] == []
