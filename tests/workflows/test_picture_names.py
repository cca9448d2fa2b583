"""A fusion with a CLIP that was trained on coloured shapes: the picture alone names classes without training rows."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fusionclf
from fusionclf.errors import SettingsError
from fusionclf.export.runtime import open_exported
from fusionclf.hub import collect_files
from fusionclf.prediction import Predictor, RunModel
from fusionclf.workflows.classes import add_class
from fusionclf.workflows.export import ExportRequest, export
from fusionclf.workflows.train import train
from tests.small import short_fitting
from tests.tiny_clip import CLASSES, OUTSIDE, UNSEEN, clip_fusion, draw, write_shapes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes") / "catalog")


@pytest.fixture(scope="module")
def run(data: Path, tiny_clip: Path, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, whose encoders' folders are gone."""
    folder = tmp_path_factory.mktemp("runs")
    clip = Path(shutil.copytree(tiny_clip, folder / "clip"))
    with pytest.MonkeyPatch.context() as patch:
        short_fitting(patch)
        train("fusion", data, folder / "run", overrides=clip_fusion(clip, tiny_bert), cpu=True)
    shutil.rmtree(clip)
    return folder / "run"


def pictures(name: str, count: int = 20) -> list[Image.Image]:
    generator = np.random.default_rng(7)
    return [draw(name, generator) for _ in range(count)]


def share(model: Predictor, name: str) -> float:
    """Of pictures of a class, without a title, those that are predicted as that class."""
    return float(np.mean([names[0] == name for names in model.predict(pictures(name)).labels]))


def test_a_picture_alone_names_classes_seen_and_unseen(run: Path) -> None:
    model = fusionclf.load(run, device="cpu")
    assert OUTSIDE not in model.classes
    assert min(share(model, name) for name in CLASSES[1:-1]) >= 0.8
    assert share(model, UNSEEN) >= 0.8


def test_a_class_of_a_list_is_named_by_its_picture(run: Path) -> None:
    model = fusionclf.load(run, device="cpu")
    model.add_classes([OUTSIDE, UNSEEN, "blue bar"], only=True)
    assert share(model, OUTSIDE) >= 0.8


def test_a_class_that_is_added_is_named_by_its_picture(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    add_class(RunModel(copy, cpu=True), f"Shapes > Oval | {OUTSIDE}")
    answers = fusionclf.load(copy, device="cpu").predict(pictures(OUTSIDE))
    assert np.mean([names[0] == "Oval" for names in answers.labels]) >= 0.8


def test_an_export_names_unseen_classes_by_the_picture(run: Path, tmp_path: Path) -> None:
    assert export(ExportRequest(run, tmp_path / "onnx", kind="onnx", products=20)).passed
    assert share(open_exported(tmp_path / "onnx"), UNSEEN) >= 0.8


def test_the_repository_of_a_run_holds_the_picture_encoder(run: Path) -> None:
    files = collect_files(run, "me/shop")
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"):
        assert f"model/image/{name}" in files


def test_early_fusion_with_a_trained_encoder_names_them_too(
    data: Path, tiny_clip: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_fitting(monkeypatch)
    words = (
        *clip_fusion(tiny_clip, tiny_bert),
        "model.image.frozen=false",
        "model.fuser=concat",
        "model.hidden=16",
    )
    train("fusion", data, tmp_path / "run", overrides=(*words, "train.epochs=1"), cpu=True)
    assert share(fusionclf.load(tmp_path / "run", device="cpu"), UNSEEN) >= 0.8


def test_pictures_of_another_size_are_refused(
    data: Path, tiny_clip: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    words = (*clip_fusion(tiny_clip, tiny_bert), "pictures.height=64")
    with pytest.raises(SettingsError, match=r"reads pictures of 32 x 32; leave pictures\.height out"):
        train("fusion", data, tmp_path / "run", overrides=words, cpu=True)


def test_an_image_model_of_a_clip_has_no_text_network(data: Path, tiny_clip: Path, tmp_path: Path) -> None:
    words = [
        word for word in clip_fusion(tiny_clip, tiny_clip) if "model.text" not in word and "fuser" not in word
    ]
    train("image", data, tmp_path / "run", overrides=tuple(words), cpu=True)
    model = fusionclf.load(tmp_path / "run", device="cpu").model
    names = [name for name, _ in model.model.named_parameters()]  # pyright: ignore
    assert not any("text" in name for name in names) and torch.is_tensor(next(model.model.parameters()))  # pyright: ignore
