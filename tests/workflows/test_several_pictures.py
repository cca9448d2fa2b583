"""Runs on products with several pictures: predict, explain, export and serve answer as the run did."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fusionclf
from fusionclf.catalog import Catalog, read_catalog
from fusionclf.catalog.fields import field_table
from fusionclf.cli import app
from fusionclf.config import CatalogConfig
from fusionclf.errors import PredictionError
from fusionclf.export import open_exported
from fusionclf.workflows.export import ExportRequest, export
from tests.several_pictures import several_pictures, several_run

pytestmark = pytest.mark.slow
FROZEN = ("model.image.frozen=true", "model.image.normalise=true")
RUNS = {
    "image": ("image", ()),
    "frozen": ("image", FROZEN),
    "fusion": ("fusion", ("model.hidden=16", *FROZEN)),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, shared_dir: Path) -> Path:
    return several_pictures(tmp_path_factory.mktemp("several") / "data")


@pytest.fixture(scope="module")
def catalog(data: Path) -> Catalog:
    return read_catalog(data, CatalogConfig(picture="images/{pictures}", picture_separator="|"))


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    variant, words = RUNS[request.param]
    return several_run(tmp_path_factory.mktemp("run") / request.param, data, variant, *words)


def test_predict_export_and_run_agree(run: Path, catalog: Catalog, data: Path, tmp_path: Path) -> None:
    saved = pd.read_parquet(run / "predictions" / "joint.parquet")
    rows = pd.Index(catalog.table["id"]).get_indexer(pd.Index(saved["id"]))
    titles = catalog.table["title"].iloc[rows].tolist()
    assert len(set(rows.tolist()) & set(catalog.further_pictures)) > 10
    model = fusionclf.load(run, device="cpu")
    found = model.predict(catalog.all_picture_paths(rows), titles, errors="collect")
    assert np.abs(found.probabilities[:, 0] - saved["prob_1"].to_numpy()).max() < 1e-5
    export(ExportRequest(run, tmp_path / "export", products=20))
    exported = open_exported(tmp_path / "export").predict(
        catalog.all_picture_paths(rows), titles, errors="collect"
    )
    assert np.abs(exported.probabilities - found.probabilities).max() < 1e-4
    first = model.predict(catalog.picture_paths(rows), titles, errors="collect")
    assert np.abs(first.probabilities[:, 0] - saved["prob_1"].to_numpy()).max() > 1e-6
    out = tmp_path / "answers.csv"
    words = ["--run", run, "--input", data / "styles.csv", "--out", out, "--cpu"]
    assert CliRunner().invoke(app, ["predict", *map(str, words)]).exit_code == 0
    answers = pd.read_csv(out, dtype={"id": "str"}).set_index("id").loc[saved["id"]]
    assert np.abs(answers["prob_1"].to_numpy() - saved["prob_1"].to_numpy()).max() < 1e-5


def test_explain_shows_the_drop_without_each_picture(data: Path, catalog: Catalog, tmp_path: Path) -> None:
    run = several_run(tmp_path / "run", data, "image", *FROZEN)
    row = next(row for row, further in catalog.further_pictures.items() if len(further) == 2)
    paths = list(catalog.all_picture_paths(np.array([row]))[0])
    model = fusionclf.load(run, device="cpu")
    found = fusionclf.explain(model, paths, cells=2)
    place = model.classes.index(found.label)
    none = field_table([""])
    whole = model.model.probabilities(model.read([tuple(paths)], none).pictures, none)[0, place]
    without = model.model.probabilities(model.read([tuple(paths[1:])], none).pictures, none)[0, place]
    assert found.pictures[0] == pytest.approx(whole - without, abs=1e-5) and len(found.pictures) == 3
    assert found.pictures[found.shown] == max(found.pictures)
    assert found.to_json()["shown"] == found.shown and found.draw().width == 720
    words = [word for path in paths for word in ("--image", str(path))]
    result = CliRunner().invoke(app, ["explain", "--run", str(run), *words, "--cpu"])
    assert result.exit_code == 0 and "picture 3" in result.stdout


def test_one_bad_picture_of_several_is_told(data: Path, catalog: Catalog, tmp_path: Path) -> None:
    run = several_run(tmp_path / "run", data, "image", *FROZEN)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    good = str(catalog.picture_paths(np.array([0]))[0])
    model = fusionclf.load(run, device="cpu")
    with pytest.raises(PredictionError, match=r"product 0: .*bad\.jpg: not a picture"):
        model.predict([[good, bad]])
    found = model.predict([[good, bad], [good], [bad, bad]], errors="collect")
    assert found.picture_status == ["used", "used", "unreadable"]
    assert np.allclose(found.probabilities[0], found.probabilities[1])
    with pytest.raises(PredictionError, match="9 images; give at most 8"):
        model.predict([[good] * 9])
