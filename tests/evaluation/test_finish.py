"""The last step of a run."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusionclf.catalog import Catalog, Split
from fusionclf.config import BaselineConfig
from fusionclf.evaluation import finish as finish_module
from fusionclf.evaluation import finish_run, make_predictions, product_context, read_predictions
from fusionclf.runfolder import is_finished


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
    metrics = finish_run(tmp_path / "run", "nb", SETTINGS, catalog, split, frames, {"seconds": 1.5})
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


def test_a_run_that_breaks_off_is_not_finished(
    catalog: Catalog, split: Split, frames: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(finish_module, "write_predictions", full)
    with pytest.raises(OSError, match="disk full"):
        finish_run(tmp_path / "run", "nb", SETTINGS, catalog, split, frames, {})
    assert (tmp_path / "run" / "config.yaml").is_file()
    assert not is_finished(tmp_path / "run")
