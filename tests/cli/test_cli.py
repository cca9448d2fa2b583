"""The command line: speed, help, and one clear line with exit code 2 for what cannot work."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from fusionclf.cli import app
from tests.small import HEADER, IMAGE, write_catalog

NAMES = (("Shirts", "Shirt"), ("Tops", "Top"))
ROWS = [
    f"{n},Men,Apparel,Topwear,{NAMES[n % 2][0]},Blue,Fall,{2011 + n // 2 % 2},Casual,{NAMES[n % 2][1]} {n}"
    for n in range(12)
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words: str | Path) -> str:
    """The one line of an error."""
    result = call(*words)
    assert result.exit_code == 2, result.output
    *before, last = [line for line in result.stderr.splitlines() if line]
    assert last.startswith("error: "), result.output
    assert all(line.startswith(("catalog: ", "picture cache: ", "pictures.")) for line in before), (
        result.output
    )
    return last


def all_commands() -> Iterator[tuple[str, ...]]:
    """The words of every command, those of groups too."""
    root: Any = get_command(app)
    for name, command in root.commands.items():
        below = getattr(command, "commands", None)
        yield from ((name, inner) for inner in below) if below else [(name,)]


def test_help_needs_no_torch_and_little_time() -> None:
    code = "import sys, fusionclf.cli; print([m for m in ('torch', 'pandas', 'sklearn') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "fusionclf", "--help"], capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 2  # 0.3 s on an idle machine


def test_version_and_help_of_every_command() -> None:
    assert call("--version").output.startswith("fusionclf 0.")
    commands = list(all_commands())
    assert ("serve",) in commands and ("data", "check") in commands and len(commands) > 8
    for words in commands:
        text = " ".join(call(*words, "--help").output.split())
        assert f"Example: fusionclf {' '.join(words)} " in text, words


def test_fusionclf_alone_shows_the_first_commands() -> None:
    text = " ".join(call().output.split())
    assert "Start with fusionclf demo --out demo" in text and "fusionclf data check DIR" in text


def test_a_check_prints_json_alone_and_the_next_command(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    result = call("data", "check", data, "--json", "split.top_k=2")
    assert result.exit_code == 0 and json.loads(result.stdout)["products"] == len(ROWS)
    assert result.stderr.splitlines()[-1] == (
        f"next: fusionclf baseline linear --data {data} --out runs/linear with the same settings"
    )


def test_a_missing_path_gets_the_near_match(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    assert f"did you mean '{data}'?" in refused("data", "check", tmp_path / "catalgo")
    assert "did you mean" not in refused("data", "check", tmp_path / "nothing" / "at" / "all")
    (data / "styles.csv").rename(data / "products.csv")
    line = refused("data", "check", data, "catalog.file=styles.csv")
    assert "set catalog.file; there is products.csv" in line


def test_an_empty_value_of_a_list_is_the_empty_list(tmp_path: Path) -> None:
    header = "id,articleType,productDisplayName,year"
    rows = [f"{n},{NAMES[n % 2][0]},thing {n},{2011 + n // 2 % 2}" for n in range(12)]
    data = write_catalog(tmp_path / "catalog", rows, header)
    words = ("catalog.categories=", "catalog.metadata=", "split.top_k=2")
    assert call("data", "check", data, *words).exit_code == 0


def test_baseline_and_compare_write_their_files(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    for name in ("nb", "majority"):
        result = call("baseline", name, "--data", data, "--out", tmp_path / name, "split.top_k=2")
        assert result.exit_code == 0, result.output
    result = call("compare", tmp_path / "nb", tmp_path / "majority", "--out", tmp_path / "report")
    assert result.exit_code == 0, result.output
    assert {p.name for p in (tmp_path / "report").iterdir()} == {"report.html", "report.md", "report.json"}
    metrics = json.loads((tmp_path / "nb" / "metrics.json").read_text())
    assert metrics["parts"]["top2"]["top1"] == 100.0


def test_compare_prints_json_alone_and_needs_an_output(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", [row.replace("Shirts", "Shirts\x9b31m") for row in ROWS])
    call("baseline", "nb", "--data", data, "--out", tmp_path / "nb", "split.top_k=2")
    result = call("compare", tmp_path / "nb", "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.isascii()  # a class name must not steer the terminal
    assert json.loads(result.stdout)["per_class"]["top2"][0]["label"] == "Shirts\x9b31m"
    both = call("compare", tmp_path / "nb", "--json", "--out", tmp_path / "report")
    assert json.loads(both.stdout) == json.loads((tmp_path / "report" / "report.json").read_text())
    assert "give --out DIR, or --json" in refused("compare", tmp_path / "nb")


def test_compare_warns_without_catalog_and_takes_a_moved_one(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    other = write_catalog(tmp_path / "other", ROWS[2:])
    call("baseline", "majority", "--data", data, "--out", tmp_path / "run", "split.top_k=2")
    moved = data.rename(tmp_path / "moved")
    words = ("compare", tmp_path / "run", "--out", tmp_path / "report")
    result = call(*words)
    assert result.exit_code == 0 and "warning: The catalog (catalog) was not found" in result.stderr
    assert "is another catalog than run's" in refused(*words, "--data", other)
    result = call(*words, "--data", moved)
    assert result.exit_code == 0 and "warning" not in result.stderr
    assert "<img src=" in (tmp_path / "report" / "report.html").read_text()


def test_train_writes_a_whole_run_folder(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    words = ("split.top_k=2", "model.text.buckets=1024", "model.text.dim=8", "train.epochs=2",
             "train.batch_size=4")  # fmt: skip
    result = call("train", "text", "--data", data, "--out", tmp_path / "run", "--cpu", *words)
    assert result.exit_code == 0, result.output
    names = {str(p.relative_to(tmp_path / "run")) for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert {
        "config.yaml", "split.json", "metrics.json", "environment.json", "log.jsonl", "predictions/top2.parquet",
        "model/top2.safetensors", "model/labels.json",
    } <= names  # fmt: skip
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
    assert "holds a run already" in refused(
        "train", "text", "--data", data, "--out", tmp_path / "run", *words
    )
    again = call("train", "text", "--data", data, "--out", tmp_path / "run", "--resume", *words)
    assert again.exit_code == 0 and "finished already" in again.stderr


def test_resume_with_other_settings_is_refused(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    call("baseline", "nb", "--data", data, "--out", tmp_path / "run", "split.top_k=2")
    (tmp_path / "run" / "metrics.json").unlink()
    line = refused("baseline", "nb", "--data", data, "--out", tmp_path / "run", "--resume", "split.top_k=3")
    assert "split.top_k: 2 there, 3 now" in line


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for flag in ([], ["--overwrite"], ["--resume"]):
        assert "holds other files" in refused(
            "baseline", "nb", "--data", data, "--out", tmp_path / "mine", *flag
        )
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "imge"], "unknown variant 'imge': did you mean 'image'"),
        (["baseline", "nbb"], "unknown baseline 'nbb': did you mean 'nb'"),
        (["baseline", "nb", "protocl=reference"], "did you mean 'protocol'"),
        (["baseline", "nb", "protocol=referenc"], "did you mean 'reference'"),
        (["train", "image", "train.epochs=none"], "setting train.epochs='none'"),
        (["train", "image", "train.epoch=1"], "did you mean 'epochs'"),
        (["train", "image", "nonsense"], "written key.path=value"),
        (["train", "image", "--config", "image-cpuu"], "did you mean 'image-cpu'"),
        (
            [
                "train",
                "multitask",
                "model.auxiliary={colour: 1}",
                "model.image.weights=none",
                "split.top_k=2",
            ],
            "'colour'",
        ),
        (
            ["train", "image", "model.image.weights=offline", "split.top_k=2"],
            "there are none for torchvision resnet50",
        ),
        (
            ["train", "fusion", "model.text.kind=transformer", "model.image.weights=none", "split.top_k=2"],
            "model.text",
        ),
    ],
)
def test_wrong_settings_name_path_value_and_near_match(
    tmp_path: Path, words: list[str], expected: str
) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    command, rest = words[:2], words[2:]
    assert expected in refused(*command, "--data", data, "--out", tmp_path / "run", *rest)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["../x,Men,A,B,Shirts,Blue,Fall,2012,Casual,t"], "'../x'"),
        ([ROWS[0], ROWS[0]], "have the id of an earlier row"),
        ([], "no usable row"),
    ],
)
def test_bad_catalogs_leave_no_run_folder(tmp_path: Path, rows: list[str], expected: str) -> None:
    data = write_catalog(tmp_path / "catalog", rows, pictures=False)
    line = refused("baseline", "nb", "--data", data, "--out", tmp_path / "run")
    assert expected in line and "styles.csv" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", ["train text", "baseline nb", "baseline majority", "study"])
def test_a_catalog_with_nothing_to_learn_is_refused(words: str, tmp_path: Path) -> None:
    rows = [row.replace("Tops", "Shirts") for row in ROWS]
    data = write_catalog(tmp_path / "catalog", rows, pictures=False)
    keep = "catalog.missing_picture=keep"
    line = refused(*words.split(), "--data", data, "--out", tmp_path / "run", keep)
    assert f"{data}: no part has two classes with train rows: set split.rule or split.top_k" in line
    assert not (tmp_path / "run").exists()
    checked = call("data", "check", data, keep)
    assert checked.exit_code == 2 and "no part has two classes with train rows" in checked.stdout


def test_a_part_of_one_class_beside_one_of_two_is_trained(tmp_path: Path) -> None:
    belts = [row.replace("Shirts", "Belts").replace(",", "0,", 1) for row in ROWS[::2]]
    data = write_catalog(tmp_path / "catalog", [*ROWS, *belts])
    result = call("baseline", "nb", "--data", data, "--out", tmp_path / "run", "split.top_k=1")
    assert result.exit_code == 0, result.output
    classes = json.loads((tmp_path / "run" / "split.json").read_text())["classes"]
    assert classes == {"top1": ["Belts"], "rest": ["Shirts", "Tops"]}


def test_missing_folder_file_and_column_are_named(tmp_path: Path) -> None:
    assert "no such folder" in refused("data", "check", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no such file" in refused("data", "check", tmp_path / "empty")
    data = write_catalog(tmp_path / "catalog", ["1,a"], header="id,articleTyp", pictures=False)
    assert "found" in (line := refused("data", "check", data)) or "articleTyp" in line
    (tmp_path / "empty" / "styles.csv").write_text("")
    assert "empty" in refused("data", "check", tmp_path / "empty")


def test_unreadable_pictures_stop_training_unless_dropped(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    (data / "images" / "3.jpg").write_bytes(b"not a picture")
    words = ("--data", data, "--cpu", "split.top_k=2", *IMAGE,
              "train.epochs=1", "train.batch_size=4")  # fmt: skip
    line = refused("train", "image", "--out", tmp_path / "a", *words)
    assert "ids 3;" in line and "pictures.unreadable=drop" in line
    assert not (tmp_path / "a").exists()
    result = call("train", "image", "--out", tmp_path / "b", *words, "pictures.unreadable=drop")
    assert result.exit_code == 0, result.output


def test_compare_refuses_runs_of_different_splits_by_name(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    call("baseline", "nb", "--data", data, "--out", tmp_path / "one", "split.top_k=2")
    call("baseline", "nb", "--data", data, "--out", tmp_path / "two", "split.top_k=2", "split.swap=true")
    line = refused("compare", tmp_path / "one", tmp_path / "two", "--out", tmp_path / "report")
    assert "two" in line and "split" in line and not (tmp_path / "report").exists()


def test_an_unwritable_output_is_one_line(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    (tmp_path / "file").write_text("")
    assert "file" in refused(
        "baseline", "nb", "--data", data, "--out", tmp_path / "file" / "run", "split.top_k=2"
    )


def test_the_defaults_read_the_kaggle_layout() -> None:
    from fusionclf.config import CatalogConfig

    columns = CatalogConfig()
    named = {columns.id, columns.title, columns.label, columns.year, *columns.categories, *columns.metadata}
    assert named == set(HEADER.split(","))
