"""Features of a frozen picture encoder are computed again where anything that they depend on changes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fusionclf.batches import PictureTransform
from fusionclf.catalog import Catalog, make_split, read_catalog
from fusionclf.config import CatalogConfig, PictureSettings, SplitConfig
from fusionclf.console import SILENT
from fusionclf.models.backbones import build_image_encoder
from fusionclf.models.encoders import ImageEncoder
from fusionclf.stacking import run_inputs
from fusionclf.stacking.run_inputs import RunInputs
from fusionclf.training import make_accelerator
from tests.small import write_catalog

SHOWN = {"height": 32, "width": 32, "fit": "crop", "normalisation": "imagenet"}


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    rows = [f"{n},Men,Top,Top,Shirts,Blue,Summer,2012,Casual,A Shirt" for n in range(3)]
    return read_catalog(write_catalog(tmp_path / "catalog", rows), CatalogConfig())


def _features(catalog: Catalog, encoder: ImageEncoder, **shown: Any) -> np.ndarray:
    settings: Any = SimpleNamespace(
        pictures=PictureSettings.model_validate({**SHOWN, **shown}),
        train=SimpleNamespace(engine="torch"),
        seed=0,
    )
    split = make_split(catalog, SplitConfig(rule="random", test_fraction=0.5))
    inputs = RunInputs(settings, catalog, split, make_accelerator("fp32", cpu=True), SILENT)
    model: Any = SimpleNamespace(image=encoder.eval())
    pictures = PictureTransform(inputs.open_cache(), settings.pictures.chosen, 0)
    return np.array(inputs._features(model, pictures))


def _encoder(backbone: str) -> ImageEncoder:
    torch.manual_seed(0)
    return build_image_encoder("timm", backbone, "none", frozen=True)


def test_backbones_of_equal_weights_have_features_of_their_own(catalog: Catalog) -> None:
    first, second = _encoder("efficientnet_b0"), _encoder("tf_efficientnet_b0")
    second.load_state_dict(first.state_dict())  # which pads otherwise
    assert not np.allclose(_features(catalog, first), _features(catalog, second))


def test_features_are_computed_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = _encoder("test_resnet")
    computed = _features(catalog, encoder)
    assert not np.allclose(_features(catalog, encoder, normalisation="inception"), computed)
    monkeypatch.setattr(run_inputs, "iterate_features", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(_features(catalog, _encoder("test_resnet")), computed)
