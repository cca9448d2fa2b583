"""The last step of a run."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusionclf.catalog import Catalog, Split
from fusionclf.config import BaselineConfig
from fusionclf.evaluation import (
    CategoryGraph,
    RunResult,
    make_predictions,
    product_context,
    read_predictions,
    save_run,
)
from fusionclf.runfolder import clear_run, is_finished


@pytest.fixture
def frames(catalog: Catalog, split: Split) -> dict:
    found = {}
    for part, names in split.classes.items():
        context = product_context(catalog, split, part)
        found[part] = make_predictions(context, names, np.full((len(context), 2), 0.5))
    return found


SETTINGS = BaselineConfig(variant="nb", data="catalog")


def test_a_finished_run_holds_every_file(
    catalog: Catalog, split: Split, frames: dict, tmp_path: Path
) -> None:
    metrics = save_run(tmp_path / "run", RunResult("nb", SETTINGS, catalog, split, frames, {"seconds": 1.5}))
    folder = tmp_path / "run"
    assert is_finished(folder)
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert set(metrics["parts"]) == {"top2", "rest"}
    assert metrics["parts"]["top2"]["top1"] == 50.0  # always Dresses, of two Dresses and two Ties
    assert yaml.safe_load((folder / "config.yaml").read_text())["variant"] == "nb"
    assert Split.load(folder / "split.json") == split
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["seconds"] == 1.5
    assert environment["catalog"] == {"rows_read": 14, "repaired": 0, "dropped": {}, "products": 14}
    for part, frame in frames.items():
        assert read_predictions(folder / "predictions" / f"{part}.parquet").equals(frame)


def test_held_out_answers_are_kept_and_decided_by(
    catalog: Catalog, split: Split, frames: dict, tmp_path: Path
) -> None:
    graph = CategoryGraph.from_split(catalog, split)
    context = product_context(catalog, split, "top2", "validation")
    names = split.classes["top2"]
    right = (context["label"].to_numpy()[:, None] == np.array(names)).astype(float)
    held = make_predictions(context, names, right, graph=graph)
    test = product_context(catalog, split, "top2")
    frames["top2"] = make_predictions(test, names, np.tile([0.1, 0.9], (len(test), 1)), graph=graph)
    folder = tmp_path / "run"
    metrics = save_run(folder, RunResult("nb", SETTINGS, catalog, split, frames, {}, {"top2": held}))
    assert read_predictions(folder / "held_out" / "top2.parquet").equals(held)
    assert CategoryGraph.load(folder / "model" / "graph.json") == graph
    assert set(metrics["hierarchy"]) == set(metrics["decisions"]) == {"top2"}
    assert [row["target"] for row in metrics["decisions"]["top2"]] == [98.0, 95.0]
    clear_run(folder)
    assert not any(folder.iterdir())


def test_a_run_that_breaks_off_is_not_finished(
    catalog: Catalog, split: Split, frames: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("fusionclf.evaluation.write_run.write_predictions", full)
    with pytest.raises(OSError, match="disk full"):
        save_run(tmp_path / "run", RunResult("nb", SETTINGS, catalog, split, frames, {}))
    assert (tmp_path / "run" / "config.yaml").is_file()
    assert not is_finished(tmp_path / "run")
