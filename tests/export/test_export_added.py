"""`fusionclf export` of a run with added classes: they are exported, checked and answered like the others."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.export import open_exported
from fusionclf.prediction import RunModel
from fusionclf.workflows.classes import add_class, add_listed
from fusionclf.workflows.export import ExportRequest, export
from tests.runs import Runs

pytestmark = pytest.mark.slow

TITLES = ["Acme Red Zeppelin Kite", "Acme Blimp"]


@pytest.fixture(scope="module")
def run(runs: Runs, sample: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a class added by its name and a synonym, one added by examples, and an id for a trained one."""
    folder = tmp_path_factory.mktemp("added")
    copy = Path(shutil.copytree(runs("open"), folder / "run"))
    add_class(RunModel(copy, cpu=True), "Toys > Zeppelin Kite | blimp")
    lines = (sample.root / "styles.csv").read_text(encoding="utf-8").splitlines()
    (folder / "few.csv").write_text("\n".join(lines[:5]) + "\n", encoding="utf-8")
    add_class(RunModel(copy, cpu=True), "Sledge", examples=folder / "few.csv", pictures=sample.root)
    (folder / "classes.txt").write_text("8 - Apparel > Topwear > Tshirts\n", encoding="utf-8")
    add_listed(RunModel(copy, cpu=True), folder / "classes.txt")
    return copy


@pytest.fixture(scope="module", params=["onnx", "torch"])
def exported(request: pytest.FixtureRequest, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That run, exported."""
    out = tmp_path_factory.mktemp("exported") / request.param
    check = export(ExportRequest(run, out, request.param, products=20))
    assert (check.products, check.same_top1) == (20, 20)
    return out


def test_an_export_answers_the_added_classes(exported: Path, run: Path, sample: Catalog) -> None:
    ours, original = open_exported(exported), fusionclf.load(run, device="cpu")
    assert ours.classes == original.classes and ours.classes[-2:] == ("Zeppelin Kite", "Sledge")
    pictures = [None, None, *sample.picture_paths(np.arange(4))]
    titles = [*TITLES, *sample.table["title"].iloc[:4]]
    expected, found = (each.predict(pictures, titles, top_k=100) for each in (original, ours))
    assert [names[0] for names in found.labels[:2]] == ["Zeppelin Kite", "Zeppelin Kite"]
    assert found.labels == expected.labels and found.paths == expected.paths and found.paths[0] == ("Toys",)
    assert found.ids == expected.ids and sum("8" in ids for ids in found.ids or []) == len(titles)
    assert np.allclose(found.probabilities, expected.probabilities, atol=1e-3)


def test_its_description_names_the_added_classes(exported: Path) -> None:
    description = json.loads((exported / "preprocessing.json").read_text())
    names, label = description["names"], description["outputs"][0]
    assert label["classes"] == names["classes"] and label["classes"][-2:] == ["Zeppelin Kite", "Sledge"]
    assert names["synonyms"][-2:] == [["blimp"], []] and names["paths"][-2] == "Zeppelin Kite, Toys"
    shape = next(each["shape"] for each in description["inputs"] if each["name"] == "title.name_match")
    assert shape[1] == len(label["classes"])
    assert description["paths"]["Zeppelin Kite"] == ["Toys"]
