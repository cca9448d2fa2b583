"""Networks that saw nothing of some brands tell how far a network can be trusted on new ones.

What a network says of products that it was trained on says nothing of how it will do on others, and on products of
brands that it knows it does better than on next year's. So a vocabulary learns from what networks say that saw no
product of the brand, be they of titles or of pictures.

Source: stacking by cross-validated answers, Wolpert, Stacked Generalization (1992).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from fusionclf.batches import ProductSource
from fusionclf.catalog import Catalog
from fusionclf.models import ProductClassifier
from fusionclf.models.classifier import NetworkAlone
from fusionclf.stacking.folds import brands, row_folds
from fusionclf.training import predict_logits

FOLDS = 3  # of brands
# Trains a network on train rows beside validation rows, and keeps it under a name, where a resumed run finds it.
Train = Callable[[str, ProductClassifier, ProductSource, np.ndarray, np.ndarray], None]


def train_cross_fitted(
    name: str,
    model: ProductClassifier,
    source: ProductSource,
    catalog: Catalog,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    accelerator: Accelerator,
    train: Train,
    seed: int = 0,
) -> Tensor:
    """Train networks without some brands each, and then `model` itself on all train rows.

    Args:
        name: of the network; those of the others begin with it.
        model: one with its first weights.
        source: all products as it reads them.
        catalog: their titles.
        train_rows, validation_rows: catalog rows of the model's classes.
        accelerator: where it runs.
        train: trains one, given its name, itself, `source`, train rows and validation rows.
        seed: of the folds.

    Returns:
        (n, K) logits of the train rows and then the validation rows, by networks that saw nothing of their brands.
    """
    rows = np.concatenate([train_rows, validation_rows])
    fold = row_folds(brands(catalog.table["title"].to_numpy(object)[rows]), FOLDS, seed)
    start = {key: value.clone() for key, value in model.state_dict().items()}
    read = source if model.text is not None else replace(source, titles=None)  # what only an expert reads
    said: list[Tensor] = []
    for number in np.unique(fold).tolist():
        model.load_state_dict(start)
        others = train_rows[fold[: len(train_rows)] != number]
        train(f"{name}-{number + 1}", model, source, others, validation_rows)
        said.append(predict_logits(NetworkAlone(model), read, rows[fold == number], accelerator))
    model.load_state_dict(start)
    train(name, model, source, train_rows, validation_rows)
    order = np.argsort(fold, kind="stable")  # of the rows as they were asked
    return torch.cat(said)[torch.from_numpy(np.argsort(order))]
