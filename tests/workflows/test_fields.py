"""Further texts and attributes reach every kind of model, and prediction, explanation, export and serving."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import fusionclf
from fusionclf.catalog import read_catalog
from fusionclf.cli import app
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError
from fusionclf.export import open_exported
from fusionclf.serving.access import LOCAL
from fusionclf.serving.app import make_app
from fusionclf.serving.worker import ModelWorker
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.export import ExportRequest, export
from fusionclf.workflows.train import train
from tests.fields import MAKERS, SETTINGS, WORDS, write_shop
from tests.small import IMAGE, short_fitting

pytestmark = pytest.mark.slow
QUICK = ("train.batch_size=32", "scheme=single_stage", "train.optimiser.name=adamw", "train.precision=fp32",
         "train.optimiser.learning_rate=0.01", "model.text.buckets=1024", "model.text.dim=8")  # fmt: skip
PICTURE = (*IMAGE, "model.image.frozen=true", "model.image.normalise=true", "model.hidden=16")
BOTH = ("model.text.kind=both", "model.text.model={bert}", "model.text.longest_text=16")
RUNS = {
    "nb": ("nb", ()),
    "linear": ("linear", ()),
    "text": ("text", ("train.epochs=12",)),
    "fusion": ("fusion", (*PICTURE, "train.epochs=6", "model.fuser=concat", "model.vocabulary=closed")),
    "late": ("fusion", (*PICTURE, *BOTH, "train.epochs=1", "model.fuser=late", "model.vocabulary=named")),
    "named": ("fusion", (*PICTURE, *BOTH, "train.epochs=6", "model.vocabulary=named")),
}
KINDS: dict[str, Literal["onnx", "torch"]] = {
    "text": "torch",
    "fusion": "onnx",
    "late": "torch",
    "named": "onnx",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, words = RUNS[request.param]
    out = tmp_path_factory.mktemp("run") / request.param
    bert = request.getfixturevalue("tiny_bert") if "{bert}" in " ".join(words) else ""
    with pytest.MonkeyPatch.context() as patch:
        short_fitting(patch)
        if name in ("nb", "linear"):
            run_baseline(name, shop, out, overrides=SETTINGS)
        else:
            words = tuple(word.replace("{bert}", str(bert)) for word in (*SETTINGS, *QUICK, *words))
            train(name, shop, out, overrides=words, cpu=True)
    return out


def accuracy(run: Path) -> float:
    return json.loads((run / "metrics.json").read_text())["joint"]["top1"]


def product(label: str) -> dict[str, list[str]]:
    return {"story": [f"It {WORDS[label]}"], "maker": [MAKERS[label]], "price": [""]}


def test_fields_tell_what_the_title_does_not(run: Path) -> None:
    assert accuracy(run) >= 85  # by chance 25


def test_a_title_alone_tells_little(shop: Path, tmp_path: Path) -> None:
    plain = run_baseline("linear", shop, tmp_path / "plain", overrides=(*SETTINGS[:-2],))
    assert plain["joint"]["top1"] < 60


def test_predict_answers_as_the_run_did(run: Path, shop: Path, tmp_path: Path) -> None:
    saved = pd.read_parquet(run / "predictions" / "joint.parquet")
    out = tmp_path / "answers.csv"
    words = ["--run", run, "--input", shop / "shop.csv", "--out", out, "--cpu"]
    assert CliRunner().invoke(app, ["predict", *map(str, words)]).exit_code == 0
    answers = pd.read_csv(out, dtype={"id": "str"}).set_index("id").loc[saved["id"]]
    assert np.abs(answers["prob_1"].to_numpy() - saved["prob_1"].to_numpy()).max() < 1e-4
    other = pd.read_csv(shop / "shop.csv", dtype="str").rename(columns={"story": "Text", "maker": "Brand"})
    other.to_csv(shop / "renamed.csv", index=False)
    words[3], words[5] = shop / "renamed.csv", tmp_path / "renamed.answers.csv"
    columns = ["catalog.text=Text", "catalog.attributes=Brand,price"]
    assert CliRunner().invoke(app, ["predict", *map(str, words), *columns]).exit_code == 0
    assert (tmp_path / "renamed.answers.csv").read_text() == out.read_text()


def test_python_takes_fields_and_each_may_be_missing(run: Path) -> None:
    model = fusionclf.load(run, device="cpu")
    assert model.fields.names == ("story", "maker", "price")
    for label in WORDS:
        assert model.predict(titles=["item 5"], fields=product(label)).labels[0][0] == label
        assert model.predict(titles=None, fields=product(label)).title_status == ["used"]
    for lost in ("story", "maker"):
        right = 0
        for label in WORDS:
            fields = {name: cells for name, cells in product(label).items() if name != lost}
            right += model.predict(titles=["item 5"], fields=fields).labels[0][0] == label
        assert right >= 3  # of 4
    with pytest.raises(
        PredictionError, match=r"fields: 'makr' is not a field that this model reads; did you mean"
    ):
        model.predict(titles=["item 5"], fields={"makr": ["Aqua"]})


def test_explain_and_serve_show_the_fields(run: Path) -> None:
    cells = {"maker": MAKERS["Lamp"], "price": "", "story": "<br>"}
    found = fusionclf.explain(fusionclf.load(run, device="cpu"), title="item 5", fields=cells)
    assert found.answer == "Lamp" and set(found.fields) == {"maker"}
    assert (found.fields["maker"].drop or 0) > 0.1
    served = make_app(ModelWorker(fusionclf.load(run, device="cpu")), run.name, hosts=LOCAL)
    with TestClient(served, base_url="http://127.0.0.1:8000") as client:
        assert client.get("/health").json()["fields"] == ["story", "maker", "price"]
        form = {"title": "item 5", "fields": json.dumps(cells)}
        assert client.post("/predict", data=form).json()["labels"][0] == "Lamp"
        assert set(client.post("/explain", data=form).json()["fields"]) == {"maker"}
        line = json.dumps({"title": "item 5", **cells})
        assert client.post("/predict/batch", content=line).json()["labels"][0] == "Lamp"


def test_exports_read_the_fields(run: Path, shop: Path, tmp_path: Path) -> None:
    if run.name not in KINDS:
        pytest.skip("a baseline has no export")
    export(ExportRequest(run, tmp_path / "export", kind=KINDS[run.name], products=20))
    columns = {
        "file": "shop.csv",
        "id": "sku",
        "title": "name",
        "label": "type",
        "picture": "pictures/{sku}.png",
    }
    settings = {**columns, "categories": "", "metadata": "", "year": None, "text": "story",
                "attributes": "maker,price"}  # fmt: skip
    catalog = read_catalog(shop, CatalogConfig.model_validate(settings))
    rows = np.arange(40)
    fields = {name: catalog.fields[name].iloc[rows].tolist() for name in ("story", "maker", "price")}
    words = (catalog.picture_paths(rows), catalog.fields["title"].iloc[rows].tolist(), fields)
    one, other = (
        loaded.predict(*words, errors="collect")
        for loaded in (fusionclf.load(run, device="cpu"), open_exported(tmp_path / "export"))
    )
    assert [labels[0] for labels in one.labels] == [labels[0] for labels in other.labels]
    assert np.abs(one.probabilities - other.probabilities).max() < 1e-3
