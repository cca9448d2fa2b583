"""`fusionclf predict` chunk by chunk: interrupted and resumed, or shared by several processes."""

import gc
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.config import CatalogConfig
from fusionclf.console import Console
from fusionclf.prediction import DecisionRule, Predictor, file_prediction
from fusionclf.prediction.io import chunks as output
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.prediction.io.writers import FORMATS
from tests.launch import launch_two, run_fusionclf
from tests.runs import COLUMNS, Runs, call, done, faults, ids, refused
from tests.test_files import held


class Interruption:
    """Interrupts a Predictor after some chunks; counts those that it predicted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int | None) -> None:
        self.predicted, original = 0, Predictor.predict_products

        def predict_products(own: Predictor, *words: Any, **named: Any) -> Any:
            if self.predicted == after:
                raise KeyboardInterrupt
            self.predicted += 1
            return original(own, *words, **named)

        monkeypatch.setattr(Predictor, "predict_products", predict_products)


@pytest.fixture
def nothing_frozen() -> Iterator[None]:
    """A collector that was spared nothing, as a command finds it."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_frozen")
@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_an_interrupted_command_resumes_after_its_last_chunk(
    kind: str, runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_prediction, "TITLE_CHUNK", 7)  # 40 products: 6 chunks
    with titles.open("a") as stream:
        stream.write("too few fields\n")
    words = ("--run", runs("linear"), "--input", titles, *COLUMNS)
    done(*words, "--out", tmp_path / f"whole.{kind}")
    out = tmp_path / f"cut.{kind}"
    with monkeypatch.context() as patch:
        Interruption(patch, after=3)
        result = call(*words, "--out", out)
    assert result.exit_code == 130 and "--resume" in result.stderr
    assert not out.exists() and not out.with_name("cut.errors.csv").exists()
    assert "--resume continues with them" in refused(*words, "--out", out)
    message = refused(*words, "--out", out, "--resume", "--top-k", 3)
    assert "begun with other settings or input (top_k: 5 there, 3 now)" in message
    with monkeypatch.context() as patch:
        rest = Interruption(patch, after=None)
        assert "40 products" in done(*words, "--out", out, "--resume")
    assert rest.predicted == 3
    assert out.read_bytes() == (tmp_path / f"whole.{kind}").read_bytes()
    assert ids(out) == pd.read_csv(titles, dtype=str)["sku"].tolist()[:40]
    for name in ("cut", "whole"):
        assert [fault["place"] for fault in faults(tmp_path / f"{name}.errors.csv")] == ["line 42"]
    assert gc.get_freeze_count() == 0  # an interrupted command, too, unfreezes the collector
    finished = out.read_bytes()
    message = done(*words, "--out", out, "--resume")
    assert "is not changed, nor checked against this run, input and settings; --overwrite" in message
    assert out.read_bytes() == finished
    assert "exists already; --overwrite" in refused(*words, "--out", out)
    done(*words, "--out", out, "--overwrite")


def test_a_command_on_another_input_is_not_resumed(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_prediction, "TITLE_CHUNK", 7)
    words = ("--run", runs("linear"), "--input", titles, "--out", tmp_path / "out.csv", *COLUMNS)
    with monkeypatch.context() as patch:
        Interruption(patch, after=1)
        call(*words)
    with titles.open("a") as stream:
        stream.write("41,Red Shirt\n")
    assert "begun with other settings or input (input" in refused(*words, "--resume")
    assert "41 products" in done(*words, "--overwrite")


@pytest.mark.parametrize("change", ["added", "removed", "replaced"])
def test_a_command_on_a_changed_folder_is_not_resumed(
    change: str, runs: Runs, sample: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "chunk_size", 2)  # 5 pictures: 3 chunks
    inside = tmp_path / "photos" / "a"
    inside.mkdir(parents=True)
    first, *_ = pictures = [sample.root / name for name in sample.table["picture"].iloc[:5]]
    for number, picture in enumerate(pictures):
        shutil.copy2(picture, inside / f"{number}.jpg")
    words = ("--run", runs("frozen"), "--input", inside.parent, "--out", tmp_path / "out.csv")
    with monkeypatch.context() as patch:
        Interruption(patch, after=1)
        call(*words)
    if change == "added":
        shutil.copy2(first, inside / "00.jpg")
    else:
        (inside / "0.jpg").unlink()
    if change == "replaced":
        shutil.copy2(pictures[1], inside / "0.jpg")
    assert "begun with other settings or input (input." in refused(*words, "--resume")
    (inside / "00.jpg").unlink(missing_ok=True)
    shutil.copy2(first, inside / "0.jpg")
    assert "5 products" in done(*words, "--resume")
    assert pd.read_csv(tmp_path / "out.csv")["id"].tolist() == [f"a/{number}.jpg" for number in range(5)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Toys > Kite | soaring toy", "named.Kite.synonyms: ['glider'] there, ['soaring toy'] now"),
        ("Sports > Kite | glider", "named.Kite.place: ['Toys'] there, ['Sports'] now"),
    ],
)
def test_a_command_with_a_changed_class_is_not_resumed(
    line: str, message: str, runs: Runs, sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "chunk_size", 7)
    classes, products = tmp_path / "classes.txt", tmp_path / "products.csv"
    with (sample_dir / "styles.csv").open(encoding="utf-8") as rows:
        products.write_text("".join(islice(rows, 15)), encoding="utf-8")
    classes.write_text("Toys > Kite | glider")
    words = ("--run", runs("open"), "--input", products, "--pictures", sample_dir, "--classes", classes)
    with monkeypatch.context() as patch:
        Interruption(patch, after=1)
        call(*words)
    classes.write_text(line)
    assert f"begun with other settings or input ({message})" in refused(*words, "--resume")
    classes.write_text("Toys > Kite | glider")
    assert "14 products" in done(*words, "--resume")


def replacing(runs: Runs, titles: Path, folder: Path) -> tuple[Path, tuple[object, ...]]:
    """An output that exists, and the words of a command that replaces it."""
    out = folder / "out.csv"
    out.write_text("old")
    return out, ("--run", runs("linear"), "--input", titles, "--out", out, *COLUMNS)


def test_a_failure_while_chunks_are_joined_keeps_the_old_output(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, words = replacing(runs, titles, tmp_path)

    def full(path: Path, _: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setitem(FORMATS, "csv", replace(FORMATS["csv"], join=full))
        assert "cannot be written (No space left on device)" in refused(*words, "--overwrite")
    assert out.read_text() == "old"
    assert "40 products" in done(*words, "--resume")  # nothing is predicted again
    assert len(out.read_text().splitlines()) == 41


def test_a_second_command_on_one_output_is_refused(runs: Runs, titles: Path, tmp_path: Path) -> None:
    words = ("--run", runs("linear"), "--input", titles, "--out", tmp_path / "out.csv", *COLUMNS)
    with held("locked_output", tmp_path / "out.csv"):
        for flag in ((), ("--resume",), ("--overwrite",)):
            assert "out.csv: another command is writing to it; wait" in refused(*words, *flag)
    assert "40 products" in done(*words)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["out.csv"]


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        (".", "was removed or moved while this command wrote to it"),
        (".out.csv.parts", "of 6 chunks were removed while the command ran; run it again with --resume"),
    ],
)
def test_a_folder_removed_meanwhile_is_an_error(
    removed: str, message: str, runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_prediction, "TITLE_CHUNK", 7)  # 40 products: 6 chunks
    out, original = tmp_path / "new" / "out.csv", Predictor.predict_products
    predicted = 0

    def predict_products(own: Predictor, *words: Any, **named: Any) -> Any:
        nonlocal predicted
        predicted += 1
        if predicted == 4:
            shutil.rmtree(out.parent / removed)
        return original(own, *words)

    monkeypatch.setattr(Predictor, "predict_products", predict_products)
    words = ("--run", runs("linear"), "--input", titles, "--out", out, *COLUMNS)
    assert message in refused(*words)
    assert not out.exists()
    monkeypatch.undo()
    assert "40 products" in done(*words, "--resume")
    assert [path.name for path in out.parent.iterdir()] == ["out.csv"]


def test_a_replacement_killed_before_its_first_chunk_is_resumed(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, words = replacing(runs, titles, tmp_path)
    with monkeypatch.context() as patch:
        Interruption(patch, after=0)
        call(*words, "--overwrite")
    assert "40 products" in done(*words, "--resume")
    assert len(ids(out)) == 40


@pytest.mark.slow
def test_two_processes_write_what_one_does(runs: Runs, titles: Path, tmp_path: Path) -> None:
    table = pd.read_csv(titles, dtype=str)
    pd.concat([table] * 500).to_csv(titles, index=False)  # 20,000 products: 3 chunks
    # torchrun takes --run for an abbreviation of its own --run-path, wherever it stands.
    words = ("--run-folder", runs("linear"), "--input", titles, "--cpu", *COLUMNS, "--out")
    done(*words, tmp_path / "one.csv")
    two = [str(word) for word in ("predict", *words, tmp_path / "two.csv")]
    run_fusionclf(launch_two("torchrun", tmp_path), two, tmp_path)
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert len((tmp_path / "one.csv").read_text().splitlines()) == 20_001


def test_each_process_predicts_chunks_of_its_own(
    runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_prediction, "TITLE_CHUNK", 7)  # 40 products: 6 chunks
    predictor = fusionclf.load(runs("linear"))
    table = ProductTable(titles, CatalogConfig(id="sku", title="name"), reads_pictures=False)
    found = []
    for rank in (0, 1):
        own = output.OutputChunks(tmp_path / f"{rank}.csv", {})
        second: Any = SimpleNamespace(process_index=rank, num_processes=2, device=torch.device("cpu"))
        answer = partial(predictor.predict_products, rule=DecisionRule())
        task = file_prediction.FilePrediction(table, predictor, answer, own)
        assert task.run(second, Console(quiet=True)) == 6
        found.append([number for number in range(6) if own.has(number)])
    assert found == [[0, 2, 4], [1, 3, 5]]
