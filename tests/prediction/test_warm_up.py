"""Prediction of many products: encoders in ONNX Runtime, and each text embedded once for all commands."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.models.engine import LEAST_OPENED, Engine
from fusionclf.models.onnx_graph import OnnxGraph
from fusionclf.models.text_encoders import TransformerEncoder
from tests.runs import Runs, done, refused

TITLES = [f"Nordvik Men Red Shirt {n % 300}" for n in range(LEAST_OPENED + 100)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["frozen", "open", "sentences"])
def test_both_engines_give_the_same_answers(
    name: str, runs: Runs, sample: Catalog, tmp_path: Path, cache: Path
) -> None:
    found = {}
    for engine in ("torch", "onnx"):
        out = tmp_path / f"{engine}.csv"
        source = sample.root / "styles.csv"
        done("--run", runs(name), "--input", source, "--out", out, "--cpu", "--engine", engine)
        found[engine] = pd.read_csv(out, dtype={"id": str}, keep_default_na=False)
        assert (cache / "onnx").exists() == (engine == "onnx")
    assert found["torch"]["label_1"].tolist() == found["onnx"]["label_1"].tolist()
    np.testing.assert_allclose(found["torch"]["prob_1"], found["onnx"]["prob_1"], atol=1e-3)


@pytest.mark.slow
def test_every_encoder_of_a_model_has_a_graph(runs: Runs) -> None:
    product = [Image.new("RGB", (40, 40), (200, 30, 30))], ["Women Red Dress"]
    model = fusionclf.load(runs("open"), device="cpu", engine="onnx")
    expected = model.predict(*product).probabilities
    graphs = [
        module.graph  # pyright: ignore
        for module in model.open_network().model.modules()
        if hasattr(module, "graph")
    ]
    assert len(graphs) == 2 and all(isinstance(graph, OnnxGraph) for graph in graphs)
    torch_run = fusionclf.load(runs("open"), device="cpu", engine="torch")
    np.testing.assert_allclose(torch_run.predict(*product).probabilities, expected, atol=1e-3)


@pytest.mark.slow
def test_a_second_command_embeds_no_text_again(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[str] = []
    compute = TransformerEncoder.compute

    def counted(self: TransformerEncoder, titles: list[str], longest: int | None = None) -> np.ndarray:
        embedded.extend(titles)
        return compute(self, titles, longest)

    monkeypatch.setattr(TransformerEncoder, "compute", counted)
    found = []
    for new in (True, False):
        model = fusionclf.load(runs("open"), device="cpu")
        embedded.clear()  # names of classes
        found.append(model.predict(titles=TITLES).probabilities)
        assert len(embedded) == len(set(embedded)) and (set(TITLES) <= set(embedded)) == bool(embedded) == new
    np.testing.assert_allclose(*found, atol=1e-6)


@pytest.mark.slow
def test_a_text_encoder_starts_for_the_first_new_text(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    fusionclf.load(runs("open"), device="cpu").predict(titles=TITLES)  # keeps them
    started: list[int] = []
    monkeypatch.setattr(Engine, "start", lambda self, encoder, count, *_: started.append(count))
    model = fusionclf.load(runs("open"), device="cpu")
    started.clear()  # for names of classes
    model.predict(titles=TITLES)
    assert not started
    for _ in range(2):
        model.predict(titles=["Sellerie Green Cap", "Sellerie Green Hat"])
    assert started == [len(TITLES)]


@pytest.mark.slow
def test_a_model_is_warmed_up_once(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr(Engine, "start", lambda self, encoder, count, *_: counts.append(count))
    model = fusionclf.load(runs("open"), device="cpu")
    for count in (5, 5, 3, 9):
        model.predict(titles=TITLES[:count])
    assert counts[-2:] == [5, 9]  # of the text encoder; no product has a picture


def test_few_products_leave_the_cache_alone(runs: Runs, cache: Path) -> None:
    fusionclf.load(runs("open"), device="cpu").predict(titles=TITLES[:3])
    assert not (cache / "onnx").exists() and not (cache / "texts").exists()  # names of classes are kept


def test_a_baseline_takes_any_engine(runs: Runs) -> None:
    assert fusionclf.load(runs("linear"), engine="onnx").predict(titles=TITLES).decisions


def test_an_unknown_engine_is_refused(runs: Runs, tmp_path: Path) -> None:
    printed = refused("--run", runs("linear"), "--input", tmp_path, "--engine", "tensorrt")
    assert "--engine" in printed and "onnx" in printed
