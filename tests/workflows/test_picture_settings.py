"""A run keeps the picture settings that were chosen when it began, and predicts with them."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from fusionclf.config import read_yaml
from fusionclf.errors import RunError
from fusionclf.prediction import load
from fusionclf.stacking import base_training as stages
from fusionclf.stacking import picture_settings
from fusionclf.workflows.export import ExportRequest, export
from fusionclf.workflows.settings import ExistingRun
from fusionclf.workflows.train import TrainOptions, train
from tests.small import IMAGE, write_catalog

RESUME = TrainOptions(existing=ExistingRun(resume=True))
ROW = "{},Men,Apparel,{},{},Blue,Summer,{},Casual,Shirt {}"
NETWORK = tuple(word for word in IMAGE if word.startswith("model."))
WORDS = (*NETWORK, "scheme=single_stage", "train.epochs=1", "train.precision=fp32", "train.batch_size=16")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Landscape pictures of two classes, 40 x 20 pixels."""
    rows = [ROW.format(n, "Topwear", ("Shirts", "Shoes")[n % 2], 2012 + n // 2 % 2, n) for n in range(48)]
    folder = write_catalog(tmp_path / "shop", rows, pictures=False)
    for number in range(48):
        Image.new("RGB", (40, 20), (200 * (number % 2), number, 90)).save(folder / "images" / f"{number}.jpg")
    return folder


def pictures_of(run: Path) -> dict[str, Any]:
    return read_yaml(run / "config.yaml")["pictures"]


@pytest.mark.slow
def test_a_run_writes_the_chosen_values_and_predicts_by_them(shop: Path, tmp_path: Path) -> None:
    train("image", shop, tmp_path / "run", overrides=WORDS, cpu=True)
    written = pictures_of(tmp_path / "run")
    assert {name: written[name] for name in ("height", "width", "fit", "normalisation")} == {
        "height": 32, "width": 64, "fit": "stretch", "normalisation": "imagenet",
    }  # fmt: skip
    model = load(tmp_path / "run", device="cpu").model
    assert model.cover == (36, 73)
    given = (*WORDS, *(f"pictures.{name}={value}" for name, value in written.items()))
    train("image", shop, tmp_path / "given", overrides=given, cpu=True)
    first, second = (
        pd.read_parquet(tmp_path / run / "predictions" / "joint.parquet") for run in ("run", "given")
    )
    assert first.equals(second)
    export(ExportRequest(tmp_path / "run", tmp_path / "exported", kind="torch"))
    steps = json.loads((tmp_path / "exported" / "preprocessing.json").read_text())["pictures"]
    assert (steps["height"], steps["width"], steps["fit"]) == (32, 64, "stretch")


@pytest.mark.slow
def test_a_resumed_run_goes_on_with_the_same_values(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "train_stage", stop)
        with pytest.raises(KeyboardInterrupt):
            train("image", shop, tmp_path / "run", overrides=WORDS, cpu=True)
    begun = pictures_of(tmp_path / "run")
    monkeypatch.setattr(picture_settings, "ENLARGED", 9.0)  # another version may choose otherwise
    with pytest.raises(RunError, match=r"begun with other settings \(pictures.width: 64 there, 48 now\)"):
        words = (*WORDS, "pictures.width=48")
        train("image", shop, tmp_path / "run", overrides=words, cpu=True, options=RESUME)
    train("image", shop, tmp_path / "run", overrides=WORDS, cpu=True, options=RESUME)
    assert pictures_of(tmp_path / "run") == begun
    train("image", shop, tmp_path / "new", overrides=WORDS, cpu=True)
    assert pictures_of(tmp_path / "new")["width"] == 224
    assert load(tmp_path / "run", device="cpu").model.cover == (36, 73)
