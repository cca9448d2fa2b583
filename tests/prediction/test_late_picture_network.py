"""A picture network with a kept ONNX graph is not built; a graph that cannot be used leaves it to torch."""

import importlib.util
import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fusionclf
from fusionclf.errors import FusionclfError, RunError
from fusionclf.models import backbones, storage
from fusionclf.models.storage import lacks_picture_network
from fusionclf.prediction import Predictor
from fusionclf.prediction.network import NetworkModel
from tests.changes import train_again, without_release
from tests.runs import Runs

PICTURES = [Image.new("RGB", (40, 40), (200, 30 * n, 30)) for n in range(4)]
TITLES = ["Women Red Dress", "Men Blue Shirt", "", "Brown Belt"]
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "onnx"


def network(predictor: Predictor) -> NetworkModel:
    model = predictor.model
    assert isinstance(model, NetworkModel)
    return model


def answers(run: Path, engine: str) -> tuple[Predictor, np.ndarray]:
    predictor = fusionclf.load(run, device="cpu", engine=engine)  # pyright: ignore[reportArgumentType]
    return predictor, predictor.predict(PICTURES, TITLES).probabilities


@pytest.mark.parametrize("name", ["open", "fusion"])
def test_a_kept_graph_needs_no_network(name: str, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    first, exported = answers(runs(name), "onnx")
    assert not lacks_picture_network(network(first).model)
    monkeypatch.setattr(storage, "build_image_encoder", lambda **_: pytest.fail("built"))
    monkeypatch.setattr("fusionclf.models.engine.export_graph", lambda *_: pytest.fail("exported again"))
    second, opened = answers(runs(name), "onnx")
    assert lacks_picture_network(network(second).model)
    np.testing.assert_array_equal(opened, exported)


def test_a_graph_for_few_products_serves_many(runs: Runs, graphs: Path) -> None:
    answers(runs("fusion"), "onnx")
    predictor, before = answers(runs("fusion"), "onnx")
    predictor.warm_up(5000, threads=1)
    np.testing.assert_allclose(predictor.predict(PICTURES, TITLES).probabilities, before, atol=1e-5)
    assert lacks_picture_network(network(predictor).model) and len(list(graphs.iterdir())) == 1


def test_torch_answers_as_a_graph_does(runs: Runs) -> None:
    _, of_graph = answers(runs("fusion"), "onnx")
    predictor, of_torch = answers(runs("fusion"), "torch")
    assert not lacks_picture_network(network(predictor).model)
    np.testing.assert_allclose(of_graph, of_torch, atol=1e-3)


def test_a_damaged_graph_is_not_opened(runs: Runs, graphs: Path) -> None:
    _, exported = answers(runs("fusion"), "onnx")
    (kept,) = graphs.iterdir()
    (kept / "graph.onnx").write_bytes(b"damaged")
    predictor, again = answers(runs("fusion"), "onnx")
    assert not lacks_picture_network(network(predictor).model)
    np.testing.assert_allclose(again, exported, atol=1e-5)


def test_many_products_after_a_few_find_the_graph_again(runs: Runs, graphs: Path) -> None:
    """A network that was folded for a few products is exported under the key of its stored weights."""
    predictor, _ = answers(runs("fusion"), "auto")
    assert not graphs.exists()
    model = network(predictor)
    model.engine = fusionclf.load(runs("fusion"), device="cpu", engine="onnx").model.engine  # pyright: ignore
    predictor.warm_up(5000)
    predictor.predict(PICTURES, TITLES)
    assert len(list(graphs.iterdir())) == 1
    second, _ = answers(runs("fusion"), "onnx")
    assert lacks_picture_network(network(second).model)


def test_without_its_library_a_network_is_refused_in_one_line(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    found = importlib.util.find_spec
    monkeypatch.setattr(backbones, "version", missing)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "timm" else found(name))
    with pytest.raises(FusionclfError, match="timm is not installed; pip install"):
        answers(runs("fusion"), "torch")


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("installed", [True, False])
def test_pictures_need_no_onnxruntime(
    engine: str, installed: bool, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that is installed under another name, such as onnxruntime-gpu, nor any."""
    _, expected = answers(runs("fusion"), "torch")
    without_release(monkeypatch, "onnxruntime")
    if not installed:
        found = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *_: None if name == "onnxruntime" else found(name)
        )
    np.testing.assert_allclose(answers(runs("fusion"), engine)[1], expected, atol=1e-5)


def test_a_network_of_another_training_is_refused(runs: Runs, tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs("fusion"), tmp_path / "run"))
    predictor = fusionclf.load(run, device="cpu")
    train_again(run)
    predictor.predict(titles=TITLES[:2])  # needs nothing of the disk
    with pytest.raises(RunError, match=r"safetensors: was trained again since it was loaded; load it again"):
        predictor.predict(PICTURES, TITLES)
    assert answers(run, "torch")[1].shape[0] == len(TITLES)
