"""What a run's models read of a catalog."""

from pathlib import Path
from typing import Any

import numpy as np

from fusionclf.catalog import make_split, read_catalog
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.stacking.run_inputs import Inputs
from tests.small import tiny_model, write_catalog


def test_a_title_of_white_space_is_missing(tmp_path: Path) -> None:
    titles = ["A Shirt", "", "  ", "\t"]
    rows = [f"{n},Men,Top,Top,Shirts,Blue,Summer,2012,Casual,{title}" for n, title in enumerate(titles)]
    folder = write_catalog(tmp_path / "catalog", rows, pictures=False)
    catalog = read_catalog(folder, CatalogConfig(missing_picture="keep"))
    nothing: Any = None
    split = make_split(catalog, SplitConfig(rule="random", test_fraction=0.5))
    inputs = Inputs(nothing, catalog, split, nothing, nothing)
    status = inputs.modality_status(tiny_model("text")[2], np.array([3, 1, 0, 2]))
    assert status["title_status"].tolist() == ["missing", "missing", "used", "missing"]
