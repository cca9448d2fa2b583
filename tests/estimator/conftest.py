"""A small table of products with pictures, and a classifier that was trained on it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fusionclf import FusionClassifier
from tests.small import NETWORK

COLOURS = {"belt": (200, 0, 0), "dress": (0, 200, 0), "shoe": (0, 0, 200)}
TEXT = {"train.epochs": 1, "model": {"text": {"buckets": 4096, "dim": 16}}}
FUSION = {
    "train.epochs": 1,
    "train.precision": "fp32",
    "pictures": {"height": 32, "width": 32},
    "model": {"image": NETWORK, "text": {"buckets": 4096}},
}


@pytest.fixture(scope="session")
def products(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """60 products of three kinds: sku, name, photo (a path), price; and their kind."""
    folder, generator = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    kinds = [list(COLOURS)[n % 3] for n in range(60)]
    paths = [str(folder / f"{n}.png") for n in range(60)]
    for kind, path in zip(kinds, paths, strict=True):
        pixels = np.array(COLOURS[kind]) + generator.integers(0, 50, (24, 18, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    names = [f"{['red', 'blue', 'green', 'grey'][n % 4]} {kind} no {n}" for n, kind in enumerate(kinds)]
    return pd.DataFrame(
        {
            "sku": [f"A-{n:04d}" for n in range(60)],
            "name": names,
            "photo": paths,
            "price": [10 + n % 7 for n in range(60)],
            "kind": kinds,
        }
    )


@pytest.fixture(scope="session")
def inputs(products: pd.DataFrame) -> pd.DataFrame:
    """The products without sku and kind."""
    return products.drop(columns=["sku", "kind"])


@pytest.fixture(scope="session")
def fitted(
    inputs: pd.DataFrame, products: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory, shared_dir: Path
) -> Iterator[FusionClassifier]:
    """A fusion that was fitted on the products. Read-only."""
    out = tmp_path_factory.mktemp("estimator") / "kinds"
    yield FusionClassifier(config="fusion-scratch", settings=FUSION, out=out).fit(inputs, products["kind"])


def text_classifier(**parameters: object) -> FusionClassifier:
    """A classifier of texts that is fitted in a fraction of a second."""
    return FusionClassifier("text", config="text-cpu", settings=TEXT, **parameters)  # pyright: ignore[reportArgumentType]
