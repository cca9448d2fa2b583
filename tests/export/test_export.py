"""`fusionclf export`: what is written answers as the run does, and can be followed from its description alone."""

import io
import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from sklearn.utils import murmurhash3_32
from typer.testing import CliRunner

import fusionclf
from fusionclf.batches import HashedNGrams
from fusionclf.catalog import Catalog
from fusionclf.catalog.fields import field_table
from fusionclf.cli import app
from fusionclf.config import PicturesConfig
from fusionclf.errors import RunError
from fusionclf.export import open_exported, writing
from fusionclf.export.manifest import describe_pictures
from fusionclf.export.runtime import ExportedModel
from fusionclf.export.tensor_model import TensorModel
from tests.runs import Runs

TITLES = ["Red Women's T-Shirt  (pack of 2)", "", "a", "Blue Shoes Blue", "Größe  übel"]
PARTS = {"image": "rest"}
TEMPERATURE = 2.0


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["export", *map(str, words)])
    return result.exit_code, result.stderr


def exported(runs: Runs, name: str, kind: str, folder: Path) -> Path:
    """A copy of a run's export, which is made once for all tests. test_export_added.py has an open vocabulary's."""
    made = runs.folder / "exports" / f"{name}-{kind}"
    with FileLock(runs.folder / f"{made.name}.lock"):
        if not made.exists():
            part = ["--part", PARTS[name]] if name in PARTS else []
            code, output = call("--run", runs(name), "--out", made, "--format", kind, "--products", 40, *part)
            assert code == 0, output
    return Path(shutil.copytree(made, folder / made.name))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "torch"])
@pytest.mark.parametrize("name", ["image", "frozen", "multitask", "text", "sentences", "fusion"])
def test_every_network_answers_the_same_after_export(
    name: str, kind: str, runs: Runs, sample: Catalog, tmp_path: Path
) -> None:
    out = exported(runs, name, kind, tmp_path)
    description = json.loads((out / "preprocessing.json").read_text())
    assert description["check"]["same_top1"] == description["check"]["products"] == 40
    ours = open_exported(out)
    theirs = fusionclf.load(runs(name), part=PARTS.get(name), device="cpu")
    count = 3  # another number of products than the one that was traced
    answers = [
        predictor.predict(
            sample.picture_paths(np.arange(count)), sample.table["title"][:count].tolist(), top_k=3
        )
        for predictor in (ours, theirs)
    ]
    # The run itself may answer in bfloat16.
    assert np.abs(answers[0].probabilities - answers[1].probabilities).max() < 0.02
    assert answers[0].paths == answers[1].paths
    assert (answers[0].title_status, answers[0].picture_status) == (
        answers[1].title_status,
        answers[1].picture_status,
    )


@pytest.mark.slow
def test_every_task_comes_out(runs: Runs, sample: Catalog, tmp_path: Path) -> None:
    out = exported(runs, "multitask", "onnx", tmp_path)
    model = open_exported(out).model
    assert isinstance(model, ExportedModel)
    assert [o.task for o in model.description.outputs] == ["label", "masterCategory", "subCategory"]
    products = open_exported(out).read(sample.picture_paths(np.arange(2)), field_table(["", ""]))
    for values, output in zip(
        model.outputs(products.pictures, products.fields), model.description.outputs, strict=True
    ):
        assert values.shape == (2, len(output.classes))
        assert values.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_an_export_answers_further_columns_as_the_run(runs: Runs, sample: Catalog, tmp_path: Path) -> None:
    ours, theirs = open_exported(exported(runs, "columns", "onnx", tmp_path)), fusionclf.load(runs("columns"))
    pictures = [None, *sample.picture_paths(np.arange(1, 4))]
    titles = sample.table["title"][:4].tolist()
    found, expected = (predictor.predict(pictures, titles).further for predictor in (ours, theirs))
    assert list(found) == list(expected) == ["baseColour", "gender"]
    for column, values in expected.items():
        assert found[column].values == values.values and values.values[0] == ""
        assert found[column].probabilities == pytest.approx(values.probabilities, abs=1e-4, nan_ok=True)


@pytest.mark.slow
def test_the_description_of_the_hash_can_be_followed(runs: Runs, tmp_path: Path) -> None:
    out = exported(runs, "text", "onnx", tmp_path)
    steps = json.loads((out / "preprocessing.json").read_text())["titles"][0]
    hashed = HashedNGrams(steps["buckets"], steps["smallest"], steps["largest"], steps["words"])
    for place, title in enumerate(TITLES):
        row = hashed([title]).counts
        assert by_hand(title, steps) == dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)), place


def by_hand(title: str, steps: dict[str, int]) -> Counter[int]:
    """The steps of preprocessing.json, written out."""
    text = re.sub(r"\s\s+", " ", title.lower())
    grams = []
    for word in text.split():
        marked = f" {word} "
        for length in range(steps["smallest"], steps["largest"] + 1):
            grams.append(marked[:length])
            grams += [marked[i : i + length] for i in range(1, len(marked) - length + 1)]
            if length >= len(marked):
                break
    words = re.findall(r"\w+", title.lower())
    for length in range(1, steps["words"] + 1):
        grams += ["\0" + " ".join(words[i : i + length]) for i in range(len(words) - length + 1)]
    numbers = (abs(murmurhash3_32(gram.encode(), seed=0)) % steps["buckets"] for gram in grams)
    return Counter(numbers)


@pytest.mark.slow
def test_an_export_that_answers_otherwise_is_not_written(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(TensorModel):
        def __init__(self, model: Any, temperatures: dict[str, float], *others: Any) -> None:
            super().__init__(model, {task: each / 50 for task, each in temperatures.items()}, *others)

    monkeypatch.setattr(writing, "TensorModel", Wrong)
    code, output = call("--run", runs("text"), "--out", tmp_path / "out")
    assert code == 2
    assert "not written" in output
    assert list(tmp_path.iterdir()) == []


def test_bad_requests_are_one_line(runs: Runs, sample_dir: Path, tmp_path: Path) -> None:
    code, output = call("--run", runs("linear"), "--out", tmp_path / "out")
    assert code == 2 and "baseline" in output and "joint.skops" in output
    code, output = call("--run", runs("text"), "--out", tmp_path / "out", "--data", tmp_path / "moved")
    assert code == 2 and "--data" in output
    other = shutil.copytree(sample_dir, tmp_path / "other")
    lines = (other / "styles.csv").read_text().splitlines()
    (other / "styles.csv").write_text("\n".join(lines[:1] + lines[30:]) + "\n")
    code, output = call("--run", runs("text"), "--out", tmp_path / "out", "--data", other)
    assert code == 2 and "another catalog" in output
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    code, output = call("--run", runs("text"), "--out", tmp_path / "kept", "--overwrite")
    assert code == 2 and "other files" in output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_export_is_replaced_only_when_told(runs: Runs, sample_dir: Path, tmp_path: Path) -> None:
    out = exported(runs, "text", "onnx", tmp_path)
    code, output = call("--run", runs("text"), "--out", out)
    assert code == 2 and "--overwrite" in output
    code, output = call(
        "--run", runs("text"), "--out", out, "--overwrite", "--format", "torch", "--data", sample_dir
    )
    assert code == 0, output
    assert sorted(path.name for path in out.iterdir()) == ["model.pt2", "preprocessing.json"]


@pytest.mark.slow
def test_no_archive_is_loaded_that_could_run_code(runs: Runs, tmp_path: Path) -> None:
    out = exported(runs, "text", "torch", tmp_path)
    with zipfile.ZipFile(out / "model.pt2") as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    config = "model/data/weights/model_weights_config.json"
    pickled = io.BytesIO()
    torch.save({}, pickled)
    faults = {
        config: entries[config].replace(b'"use_pickle": false', b'"use_pickle": true', 1),
        "model/data/sample_inputs/model.pt": pickled.getvalue(),
        "model/data/aotinductor/model/code.so": b"code",
        "version": b"8.5",  # the mark of the older layout, all pickles
    }
    for name, content in faults.items():
        with zipfile.ZipFile(out / "model.pt2", "w") as archive:
            for entry, kept in {**entries, name: content}.items():
                archive.writestr(entry, kept)
        with pytest.raises(RunError, match=r"could run code|no archive"):
            open_exported(out)


@pytest.mark.slow
def test_a_damaged_export_is_one_line(runs: Runs, tmp_path: Path) -> None:
    out = exported(runs, "text", "onnx", tmp_path)
    (out / "model.onnx").write_bytes(b"no model")
    with pytest.raises(RunError, match="cannot be used"):
        open_exported(out)
    description = json.loads((out / "preprocessing.json").read_text())
    (out / "preprocessing.json").write_text(json.dumps(description | {"model": "../text-onnx/model.onnx"}))
    with pytest.raises(RunError, match=r"preprocessing\.json: model: "):
        open_exported(out)
    (out / "preprocessing.json").write_text("{}")
    with pytest.raises(RunError, match=r"preprocessing\.json: kind: is missing; export again"):
        open_exported(out)


ODD_DESCRIPTIONS = [
    ("model", "/etc/passwd", "model: "),
    ("model", "a" * 5000, "model: "),
    ("tokenizer", "../elsewhere", "tokenizer: "),
    ("format", 2, "format: "),
    ("inputs", [], "inputs: "),
    ("inputs.0.name", "other", "do not fit"),
    ("inputs.0.dtype", "float64", "inputs.0.dtype: "),
    ("outputs.0.classes", [], "outputs.0.classes: "),
    ("outputs.0.classes.0", 7, "outputs.0.classes.0: "),
    ("outputs.0.classes", ["only one"], "its outputs have the shapes"),
    ("titles.0.buckets", 10**12, "titles.0.buckets: "),
    ("titles.0.buckets", 0, "titles.0: hashed titles need buckets"),
    ("titles.0.buckets", 2**20, "do not fit"),
    ("titles.0.largest", 10**9, "titles.0.largest: "),
    ("titles.0.kind", "tokens", "titles.0: tokens need longest"),
    ("titles", {}, "titles: "),
    ("paths", [1], "paths: "),
]


@pytest.mark.slow
def test_an_odd_description_is_refused_by_field(runs: Runs, tmp_path: Path) -> None:
    out = exported(runs, "text", "onnx", tmp_path)
    whole = (out / "preprocessing.json").read_text()
    for field, value, message in ODD_DESCRIPTIONS:
        tree = json.loads(whole)
        *way, last = field.split(".")
        place = tree
        for key in way:
            place = place[int(key) if isinstance(place, list) else key]
        place[int(last) if isinstance(place, list) else last] = value
        (out / "preprocessing.json").write_text(json.dumps(tree))
        with pytest.raises(RunError, match=re.escape(message)) as refused:
            open_exported(out)
        assert str(refused.value).endswith("export again"), field


def test_unknown_picture_normalisation_is_refused() -> None:
    steps = describe_pictures(PicturesConfig(normalisation="inception"))
    assert steps.settings().normalisation == "inception"
    with pytest.raises(RunError, match=r"of another version \(mean \(0.1, 0.1, 0.1\)"):
        steps.model_copy(update={"mean": (0.1, 0.1, 0.1)}).settings()
