"""`fusionclf export`: what is written answers as the run does, and can be followed from its description alone."""

import io
import json
import re
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from sklearn.utils import murmurhash3_32
from typer.testing import CliRunner

import fusionclf
from fusionclf.batches import HashedNGrams
from fusionclf.catalog import Catalog
from fusionclf.cli import app
from fusionclf.config import PicturesConfig
from fusionclf.errors import RunError
from fusionclf.export import open_exported, writing
from fusionclf.export.manifest import describe_pictures
from fusionclf.export.runtime import ExportedModel
from fusionclf.export.tensor_model import TensorModel
from fusionclf.models import StackedClassifier
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.stacked_classifier import WeightedSum
from fusionclf.models.text_encoders import HashedNGramEncoder, JoinedTextEncoder
from tests.runs import Runs
from tests.small import NETWORK, one_batch, tiny_model

TITLES = ["Red Women's T-Shirt  (pack of 2)", "", "a", "Blue Shoes Blue", "Größe  übel"]
PARTS = {"image": "rest"}
TEMPERATURE = 2.0


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["export", *map(str, words)])
    return result.exit_code, result.stderr


def exported(runs: Runs, name: str, kind: str, folder: Path) -> Path:
    """A copy of a run's export, which is made once for all tests."""
    made = runs.folder / "exports" / f"{name}-{kind}"
    with FileLock(runs.folder / f"{made.name}.lock"):
        if not made.exists():
            part = ["--part", PARTS[name]] if name in PARTS else []
            code, output = call("--run", runs(name), "--out", made, "--format", kind, "--products", 40, *part)
            assert code == 0, output
    return Path(shutil.copytree(made, folder / made.name))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "torch"])
@pytest.mark.parametrize("name", ["image", "frozen", "multitask", "text", "sentences", "fusion", "open"])
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
        asked.predict(sample.picture_paths(np.arange(count)), sample.table["title"][:count].tolist(), top_k=3)
        for asked in (ours, theirs)
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
    asked = open_exported(out).read(sample.picture_paths(np.arange(2)), ["", ""])
    for values, output in zip(
        model.outputs(asked.pictures, ["", ""]), model.description.outputs, strict=True
    ):
        assert values.shape == (2, len(output.classes))
        assert values.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fuser": "late"},
        {"fuser": "attention", "image": {**NETWORK, "regions": 2}},
    ],
)
def test_a_missing_picture_or_title_counts_as_in_the_model(changes: dict) -> None:
    _, _, model = tiny_model("fusion", **changes)
    model.eval()
    batch = one_batch(model, 4)
    assert batch.titles is not None and batch.pictures is not None
    assert isinstance(model, StackedClassifier) and isinstance(model.head, WeightedSum)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(
                ("base.heads.", "linear_text_model.", "base.missing.")
            ):  # which are 0 before training
                parameter.add_(0.1 * torch.randn_like(parameter))
        model.head.weights.copy_(torch.tensor([1.0, 0.7]))
    there = (torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False]))
    prepared = model.text_encoder.prepare([f"red shirt {n}" for n in range(4)])
    rows = np.arange(4)
    asked = replace(batch, titles=prepared.batch(rows), has_picture=there[0], has_title=there[1])
    with torch.no_grad():
        wanted = model(asked)["label"].div(TEMPERATURE).softmax(dim=1)
        tensors = TensorModel(model, TEMPERATURE, (32, 32))
        given = {"pictures": batch.pictures, "has_picture": there[0], "has_title": there[1]}
        padded = prepared.padded(rows)  # pyright: ignore[reportAttributeAccessIssue]
        given |= {f"title.{name}": tensor for name, tensor in padded.items()}
        found = tensors(*(given[name] for name in tensors.inputs))[0]
    assert torch.allclose(found, wanted, atol=1e-5)
    assert not torch.allclose(wanted[0], wanted[1], atol=1e-3)


@pytest.mark.parametrize(("fuser", "vocabulary"), [("late", "open"), ("concat", "open"), ("late", "named")])
def test_an_export_picks_the_same_meta_classifier(fuser: str, vocabulary: str, tiny_bert: Path) -> None:
    text = {"kind": "both", "model": str(tiny_bert), "buckets": 4096, "dim": 16}
    _, _, model = tiny_model("fusion", fuser=fuser, text=text, vocabulary=vocabulary)
    model.eval()
    assert isinstance(model, StackedClassifier) and isinstance(model.head, StackedHead)
    names = ["shirt", "shoe", "watch", "bag"]
    model.name_classes(names, names)
    batch = one_batch(model, 4)
    assert batch.titles is not None and batch.pictures is not None
    with torch.no_grad():
        for module in (model.head, model.linear_text_model):
            for name, values in module.named_parameters():
                if "own_sentences" not in name:
                    values.add_(0.3 * torch.randn_like(values))
        model.head.seen[1] = False
    titles = ["red shirt", "blue shoe", "gold watch", "black bag"]
    assert isinstance(model.text_encoder, JoinedTextEncoder)
    has_picture, has_title = (
        torch.tensor([True, True, False, False]),
        torch.tensor([True, False, True, False]),
    )
    table, rows = model.prepare_titles(titles), np.arange(4)
    given = {"pictures": batch.pictures, "has_picture": has_picture, "has_title": has_title}
    given |= {f"title.{name}": tensor for name, tensor in table.batch(rows).items()}
    hashed = model.text_encoder.encoders["ngrams"]
    assert isinstance(hashed, HashedNGramEncoder)
    given |= {f"title.ngrams.{name}": tensor for name, tensor in hashed.hashed(titles).padded(rows).items()}
    with torch.no_grad():
        wanted = model(
            replace(batch, titles=table.batch(rows), has_picture=has_picture, has_title=has_title)
        )["label"]
        whole = model(replace(batch, titles=table.batch(rows)))["label"]
        tensors = TensorModel(model, TEMPERATURE, (32, 32))
        found = tensors(*(given[name] for name in tensors.inputs))[0]
    assert torch.allclose(found, wanted.div(TEMPERATURE).softmax(dim=1), atol=1e-5)
    assert not torch.allclose(wanted[1:], whole[1:], atol=1e-2)


def test_padded_n_grams_are_embedded_as_n_grams_in_a_row() -> None:
    torch.manual_seed(0)
    encoder = HashedNGramEncoder(buckets=512, dim=8)
    encoder.fit(TITLES[:3])
    table = encoder.hashed(TITLES)
    rows = np.array([3, 1, 0, 4, 2])
    assert torch.allclose(encoder(table.batch(rows)), encoder(table.padded(rows)), atol=1e-6)
    assert encoder(table.padded(np.array([1]))).abs().max() == 0  # a title without an n-gram


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
        def __init__(self, model: object, temperature: float, size: tuple[int, int]) -> None:
            super().__init__(model, temperature / 50, size)  # pyright: ignore[reportArgumentType]

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
