"""`fusionclf predict` lot by lot: cut off and gone on with, or shared by several processes."""

import gc
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

import fusionclf
from fusionclf.config import CatalogConfig
from fusionclf.console import Console
from fusionclf.prediction import Predictor, Rule
from fusionclf.prediction.io import chunks as parts
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.workflows import predict as workflow
from tests.launch import launch_two, run_fusionclf
from tests.runs import COLUMNS, Runs, call, done, faults, ids, refused
from tests.test_files import held


class CutOff:
    """Lets a Predictor answer some lots, then interrupts it; counts what it answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int | None) -> None:
        self.answered, original = 0, Predictor.answer

        def answer(own: Predictor, *words: Any) -> Any:
            if self.answered == after:
                raise KeyboardInterrupt
            self.answered += 1
            return original(own, *words)

        monkeypatch.setattr(Predictor, "answer", answer)


@pytest.fixture
def nothing_frozen() -> Iterator[None]:
    """A collector that was spared nothing, as a command finds it."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("nothing_frozen")
@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_cut_off_command_goes_on_after_its_last_part(
    kind: str, runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "TITLE_LOT", 7)  # 40 products: 6 lots
    with titles.open("a") as stream:
        stream.write("too few fields\n")
    words = ("--run", runs("linear"), "--input", titles, *COLUMNS)
    done(*words, "--out", tmp_path / f"whole.{kind}")
    out = tmp_path / f"cut.{kind}"
    with monkeypatch.context() as patch:
        CutOff(patch, after=3)
        result = call(*words, "--out", out)
    assert result.exit_code == 130 and "--resume" in result.stderr
    assert not out.exists() and not out.with_name("cut.errors.csv").exists()
    assert "--resume goes on with them" in refused(*words, "--out", out)
    said = refused(*words, "--out", out, "--resume", "--top-k", 3)
    assert "begun with other settings or input (top_k: 5 there, 3 now)" in said
    with monkeypatch.context() as patch:
        rest = CutOff(patch, after=None)
        assert "40 products" in done(*words, "--out", out, "--resume")
    assert rest.answered == 3
    assert out.read_bytes() == (tmp_path / f"whole.{kind}").read_bytes()
    assert ids(out) == pd.read_csv(titles, dtype=str)["sku"].tolist()[:40]
    for name in ("cut", "whole"):
        assert [fault["place"] for fault in faults(tmp_path / f"{name}.errors.csv")] == ["line 42"]
    assert gc.get_freeze_count() == 0  # a cut off command, too, gives the collector back as it was
    finished = out.read_bytes()
    said = done(*words, "--out", out, "--resume")
    assert "stays as it is, whatever run, input and settings it is of; --overwrite" in said
    assert out.read_bytes() == finished
    assert "is there already; --overwrite" in refused(*words, "--out", out)
    done(*words, "--out", out, "--overwrite")


def test_another_input_does_not_go_on_with_a_cut_off_one(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "TITLE_LOT", 7)
    words = ("--run", runs("linear"), "--input", titles, "--out", tmp_path / "out.csv", *COLUMNS)
    with monkeypatch.context() as patch:
        CutOff(patch, after=1)
        call(*words)
    with titles.open("a") as stream:
        stream.write("41,Red Shirt\n")
    assert "begun with other settings or input (input" in refused(*words, "--resume")
    assert "41 products" in done(*words, "--overwrite")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Toys > Kite | soaring toy", "named.Kite.synonyms: ['glider'] there, ['soaring toy'] now"),
        ("Sports > Kite | glider", "named.Kite.place: ['Toys'] there, ['Sports'] now"),
    ],
)
def test_another_description_of_a_class_does_not_go_on_with_a_cut_off_one(
    line: str, told: str, runs: Runs, sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "picture_lot", 7)
    classes, products = tmp_path / "classes.txt", tmp_path / "products.csv"
    with (sample_dir / "styles.csv").open(encoding="utf-8") as rows:
        products.write_text("".join(islice(rows, 15)), encoding="utf-8")
    classes.write_text("Toys > Kite | glider")
    words = ("--run", runs("open"), "--input", products, "--pictures", sample_dir, "--classes", classes)
    with monkeypatch.context() as patch:
        CutOff(patch, after=1)
        call(*words)
    classes.write_text(line)
    assert f"begun with other settings or input ({told})" in refused(*words, "--resume")
    classes.write_text("Toys > Kite | glider")
    assert "14 products" in done(*words, "--resume")


def test_a_failure_while_parts_are_joined_leaves_the_old_output(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    words = ("--run", runs("linear"), "--input", titles, "--out", out, *COLUMNS)

    def full(path: Path, _: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setitem(parts.FORMATS, "csv", parts.FORMATS["csv"].__class__(parts.FORMATS["csv"].write, full))
        assert "cannot be written (No space left on device)" in refused(*words, "--overwrite")
    assert out.read_text() == "old"
    assert "40 products" in done(*words, "--resume")  # nothing needs to be answered again
    assert len(out.read_text().splitlines()) == 41


def test_a_second_command_on_one_output_is_refused(runs: Runs, titles: Path, tmp_path: Path) -> None:
    words = ("--run", runs("linear"), "--input", titles, "--out", tmp_path / "out.csv", *COLUMNS)
    with held("locked_output", tmp_path / "out.csv"):
        for flag in ((), ("--resume",), ("--overwrite",)):
            assert "out.csv: another command is writing to it; wait" in refused(*words, *flag)
    assert "40 products" in done(*words)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["out.csv"]


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        (".", "was removed or moved while this command wrote to it"),
        (".out.csv.parts", "of 6 parts were removed while the command ran; give it again with --resume"),
    ],
)
def test_a_place_that_was_removed_meanwhile_is_told(
    removed: str, told: str, runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "TITLE_LOT", 7)  # 40 products: 6 lots
    out, original = tmp_path / "new" / "out.csv", Predictor.answer
    answered = 0

    def answer(own: Predictor, *words: Any) -> Any:
        nonlocal answered
        answered += 1
        if answered == 4:
            shutil.rmtree(out.parent / removed)
        return original(own, *words)

    monkeypatch.setattr(Predictor, "answer", answer)
    words = ("--run", runs("linear"), "--input", titles, "--out", out, *COLUMNS)
    assert told in refused(*words)
    assert not out.exists()
    monkeypatch.undo()
    assert "40 products" in done(*words, "--resume")
    assert [path.name for path in out.parent.iterdir()] == ["out.csv"]


def test_a_replacement_killed_before_its_first_part_is_resumed(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    words = ("--run", runs("linear"), "--input", titles, "--out", out, *COLUMNS)
    with monkeypatch.context() as patch:
        CutOff(patch, after=0)
        call(*words, "--overwrite")
    assert "40 products" in done(*words, "--resume")
    assert len(ids(out)) == 40


@pytest.mark.slow
def test_two_processes_write_what_one_does(runs: Runs, titles: Path, tmp_path: Path) -> None:
    table = pd.read_csv(titles, dtype=str)
    pd.concat([table] * 500).to_csv(titles, index=False)  # 20,000 products: 3 lots
    # torchrun takes --run for an abbreviation of its own --run-path, wherever it stands.
    words = ("--run-folder", runs("linear"), "--input", titles, "--cpu", *COLUMNS, "--out")
    done(*words, tmp_path / "one.csv")
    two = [str(word) for word in ("predict", *words, tmp_path / "two.csv")]
    run_fusionclf(launch_two("torchrun", tmp_path), two, tmp_path)
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert len((tmp_path / "one.csv").read_text().splitlines()) == 20_001


def test_each_process_answers_lots_of_its_own(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "TITLE_LOT", 7)  # 40 products: 6 lots
    predictor = fusionclf.load(runs("linear"))
    table = ProductTable(titles, CatalogConfig(id="sku", title="name"), reads_pictures=False)
    found = []
    for rank in (0, 1):
        own = parts.Parts(tmp_path / f"{rank}.csv", {})
        second: Any = SimpleNamespace(process_index=rank, num_processes=2, device=torch.device("cpu"))
        assert workflow._answer_share(table, predictor, Rule(), own, second, Console(quiet=True)) == 6
        found.append([number for number in range(6) if own.has(number)])
    assert found == [[0, 2, 4], [1, 3, 5]]
