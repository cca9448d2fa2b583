"""Encoders in ONNX Runtime: features as of torch, from a graph that is kept and checked."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fusionclf.errors import SettingsError
from fusionclf.models import engine, traced_network
from fusionclf.models.encoders import ImageEncoder
from fusionclf.models.engine import LEAST_EXPORTED, LEAST_OPENED, PIXELS, Engine
from fusionclf.models.onnx_graph import OnnxGraph
from fusionclf.models.stored_bert import read_stored_bert
from fusionclf.models.text_backbones import build_transformer
from fusionclf.models.text_encoders import TransformerEncoder
from tests.changes import without_release

SIZE = (16, 12)
PICTURES = PIXELS // (SIZE[0] * SIZE[1])  # that are as much work as one of PIXELS
ONNX = Engine("onnx", torch.device("cpu"))


@pytest.fixture(autouse=True)
def graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "onnx"


class Notes:
    """A console that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.info = self.warn = self.lines.append


class Doubled(nn.Module):
    """Features that no exporter can trace: they depend on the values of the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(3, 8)

    def forward(self, pictures: Tensor) -> Tensor:
        means = self.project(pictures.mean(dim=(2, 3)))
        return means * 2 if means.sum().item() > 0 else means


def _encoder(network: nn.Module | None = None) -> ImageEncoder:
    torch.manual_seed(0)
    convolution = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    convolution[1].running_mean = torch.rand(8)
    return ImageEncoder(network or convolution, 8, frozen=True).eval()


@torch.no_grad()
def _features(encoder: ImageEncoder, count: int = 5) -> np.ndarray:
    pictures = torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    return encoder(pictures.contiguous(memory_format=torch.channels_last)).numpy()


def test_features_are_those_of_torch_for_any_batch() -> None:
    encoder = _encoder()
    expected = [_features(encoder, count) for count in (1, 5, 40)]
    ONNX.start(encoder, 1, SIZE)
    assert isinstance(encoder.graph, OnnxGraph)
    for count, values in zip((1, 5, 40), expected, strict=True):
        np.testing.assert_allclose(_features(encoder, count), values, rtol=1e-4, atol=1e-6)


def test_a_second_encoder_opens_the_kept_graph(graphs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ONNX.start(_encoder(), 1, SIZE)
    (kept,) = graphs.iterdir()
    assert json.loads((kept / "meta.json").read_text())["difference"] < 1e-5
    monkeypatch.setattr(engine, "export_graph", lambda *_: pytest.fail("exported again"))
    second = _encoder()
    ONNX.start(second, 1, SIZE)
    assert second.graph is not None


def test_other_weights_and_sizes_have_graphs_of_their_own(graphs: Path) -> None:
    other = _encoder()
    with torch.no_grad():
        other.network[0].weight[0, 0, 0, 0] += 1  # pyright: ignore
    for encoder, size in ((_encoder(), SIZE), (other, SIZE), (_encoder(), (20, 20))):
        ONNX.start(encoder, 1, size)
    assert len(list(graphs.iterdir())) == 3


@pytest.mark.parametrize("name", ["graph.onnx", "meta.json"])
def test_a_damaged_graph_is_exported_again(graphs: Path, name: str) -> None:
    ONNX.start(_encoder(), 1, SIZE)
    (kept,) = graphs.iterdir()
    content = (kept / name).read_bytes()
    (kept / name).write_bytes(content[:-3] + b"xyz")
    encoder, notes = _encoder(), Notes()
    ONNX.start(encoder, 1, SIZE, notes)  # pyright: ignore
    assert encoder.graph is not None and "the kept one is damaged" in notes.lines[0]
    assert (kept / "graph.onnx").stat().st_size > 100


def test_torch_computes_gradients() -> None:
    encoder = _encoder()
    ONNX.start(encoder, 1, SIZE)
    pictures = torch.rand(2, 3, *SIZE, requires_grad=True)
    encoder(pictures).sum().backward()
    assert pictures.grad is not None and pictures.grad.abs().sum() > 0


def test_a_network_without_a_graph_stays_in_torch() -> None:
    encoder, notes = _encoder(Doubled()), Notes()
    for _ in range(2):  # the second time the fault is a kept one
        Engine("auto", torch.device("cpu")).start(encoder, LEAST_EXPORTED * PICTURES, SIZE, notes)  # pyright: ignore
    assert encoder.graph is None and len(notes.lines) == 3
    assert notes.lines[1] == notes.lines[2] and "no ONNX graph" in notes.lines[1]
    assert notes.lines[1].endswith("torch runs it")


def test_a_graph_with_other_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = OnnxGraph.__call__
    monkeypatch.setattr(OnnxGraph, "__call__", lambda self, *inputs: exact(self, *inputs) * 1.01)
    with pytest.raises(SettingsError, match=r"other features \(difference 0\.0.*set engine=auto"):
        ONNX.start(_encoder(), 1, SIZE)


@pytest.mark.parametrize(("speed", "used"), [(0.9, False), (1.1, True)])
def test_auto_uses_a_graph_only_if_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, speed: float, used: bool
) -> None:
    monkeypatch.setattr(engine, "_speed", lambda *_: speed)
    encoder = _encoder()
    Engine("auto", torch.device("cpu")).start(encoder, LEAST_EXPORTED * PICTURES, SIZE)
    assert (encoder.graph is not None) == used


def test_few_products_export_nothing(graphs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_speed", lambda *_: 2.0)
    auto, encoder = Engine("auto", torch.device("cpu")), _encoder()
    auto.start(encoder, LEAST_EXPORTED * PICTURES - 1, SIZE)
    assert encoder.graph is None and not graphs.exists()
    ONNX.start(_encoder(), 1, SIZE)
    auto.start(encoder, LEAST_OPENED * PICTURES - 1, SIZE)
    assert encoder.graph is None
    auto.start(encoder, LEAST_OPENED * PICTURES, SIZE)
    assert encoder.graph is not None


def test_auto_leaves_gpus_and_bfloat16_to_torch(graphs: Path) -> None:
    for device, precision in (("cuda", "no"), ("cpu", "bf16")):
        encoder = _encoder()
        Engine("auto", torch.device(device), precision).start(encoder, LEAST_EXPORTED * PICTURES, SIZE)
        assert encoder.graph is None and not graphs.exists()
    with pytest.raises(SettingsError, match="only on a CPU; set engine=auto"):
        Engine("onnx", torch.device("cuda")).start(_encoder(), 1, SIZE)


def test_without_onnxruntime_torch_runs_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Any = engine.importlib.util.find_spec
    monkeypatch.setattr(
        engine.importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name)
    )
    encoder, notes = _encoder(), Notes()
    Engine("auto", torch.device("cpu")).start(encoder, LEAST_EXPORTED * PICTURES, SIZE, notes)  # pyright: ignore
    assert encoder.graph is None
    assert notes.lines == [
        "picture encoder: onnxruntime is not installed (pip install onnxruntime); torch runs it"
    ]


@pytest.mark.parametrize("fault", [MemoryError("short"), OSError("no space"), ImportError("no module")])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_passing_fault_is_not_kept(
    graphs: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, wrapped: bool
) -> None:
    def fail(*_: object) -> bytes:
        if wrapped:
            raise RuntimeError("not exported") from fault
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(engine, "export_graph", fail)
        with pytest.raises(SettingsError, match="no ONNX graph of it can be made"):
            ONNX.start(_encoder(), 1, SIZE)
    assert not graphs.exists()
    encoder = _encoder()
    ONNX.start(encoder, 1, SIZE)
    assert encoder.graph is not None


def test_a_kept_fault_names_the_folder_to_delete(graphs: Path) -> None:
    encoder = _encoder(Doubled())
    for _ in range(2):
        with pytest.raises(SettingsError) as error:
            ONNX.start(encoder, 1, SIZE)
        (kept,) = graphs.iterdir()
        assert f"to try again, delete {kept}; set engine=auto" in str(error.value)


@pytest.mark.parametrize("package", ["torch", "onnxruntime", "onnx", "onnxscript"])
def test_another_version_exports_again(graphs: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    ONNX.start(_encoder(), 1, SIZE)
    found = traced_network.version
    monkeypatch.setattr(traced_network, "version", lambda name: "0.1" if name == package else found(name))
    ONNX.start(_encoder(), 1, SIZE)
    assert len(list(graphs.iterdir())) == 2


def test_another_cpu_is_timed_again(graphs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ONNX.start(_encoder(), 1, SIZE)
    monkeypatch.setattr(traced_network, "_processor", lambda: "another")
    ONNX.start(_encoder(), 1, SIZE)
    assert len(list(graphs.iterdir())) == 2


def test_onnxruntime_by_another_name_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    without_release(monkeypatch, "onnxruntime")  # onnxruntime-gpu has the same module
    encoder = _encoder()
    ONNX.start(encoder, 1, SIZE)
    assert encoder.graph is not None


def test_a_graph_is_exported_in_inference_mode(tiny_bert: Path) -> None:
    """As where the first text that is not kept comes to a thread of prediction."""
    encoder = build_transformer(str(tiny_bert), frozen=True).eval()
    titles = ["red shirt", "blue shoe"]
    expected = encoder.compute(titles)
    with ThreadPoolExecutor(1) as thread:

        def start() -> np.ndarray:
            with torch.inference_mode():
                ONNX.start(encoder, 1)
                return encoder.compute(titles)

        found = thread.submit(start).result()
    assert encoder.graph is not None
    np.testing.assert_allclose(found, expected, atol=1e-5)
    encoder.graph = None
    np.testing.assert_allclose(encoder.compute(titles), expected, atol=1e-6)


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "file"))
    encoder, notes = _encoder(), Notes()
    ONNX.start(encoder, 1, SIZE, notes)  # pyright: ignore
    assert encoder.graph is not None and "cannot be written" in notes.lines[-1]


def test_a_stored_bert_opens_the_graph_of_training(
    tiny_bert: Path, graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = build_transformer(str(tiny_bert), frozen=True).eval()
    ONNX.start(trained, 1)
    found = read_stored_bert(tiny_bert)
    assert found is not None
    stored = TransformerEncoder(*found, frozen=True).eval()
    stored.load_state_dict(trained.state_dict())
    monkeypatch.setattr(engine, "export_graph", lambda *_: pytest.fail("exported again"))
    ONNX.start(stored, 1)
    titles = ["red shirt", "a much longer title of blue shoes"]
    np.testing.assert_allclose(stored.compute(titles), trained.compute(titles), atol=1e-6)
    assert len(list(graphs.iterdir())) == 1
    stored.graph = None
    np.testing.assert_allclose(stored.compute(titles), trained.compute(titles), atol=1e-5)
