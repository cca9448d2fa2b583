"""Vectors that show how alike products are, by what a run's model computes before it names a class."""

import numpy as np
from scipy import sparse

from fusionclf.prediction.baseline import BaselineModel
from fusionclf.prediction.io.products import Products
from fusionclf.prediction.model import Model

SKETCH = 256  # columns that TF-IDF features are summed into
SEED = 0


def variety_vectors(model: Model, products: Products) -> np.ndarray:
    """(n, D) float32 vectors of the answerable products.

    Args:
        model: features before the heads of a network; TF-IDF of a baseline, summed with random signs into SKETCH
            columns, which keeps products about as far from each other as they are; zeros of `majority`.
        products: as `Predictor.read` returns them.

    Source: Charikar, Chen and Farach-Colton, Finding Frequent Items in Data Streams (2002), for the signs.
    """
    if isinstance(model, BaselineModel):
        features = model.loaded.features(products.fields)
        if features is None:
            return np.zeros((len(products.fields), 1), np.float32)
        signs = _signs(features.shape[1])  # pyright: ignore[reportOptionalSubscript]
        return sparse.csr_array(features @ signs).toarray().astype(np.float32)
    from fusionclf.prediction.network import NetworkModel  # as torch, it takes long to import

    assert isinstance(model, NetworkModel)
    return model.base_features(products.pictures, products.fields).numpy()


def _signs(width: int) -> "sparse.csr_array":
    """(width, SKETCH) one entry a row, 1 or -1."""
    generator = np.random.default_rng(SEED)
    columns = generator.integers(SKETCH, size=width)
    values = generator.choice(np.array([-1.0, 1.0]), size=width)
    return sparse.csr_array((values, (np.arange(width), columns)), shape=(width, SKETCH))
