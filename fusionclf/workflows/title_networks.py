"""Title networks: one that a vocabulary hears, and others that tell how far it can be trusted on new brands.

What a network says of products that it was trained on says nothing of how it will do on others, and on titles of brands
that it knows it does better than on next year's. So in episodes the vocabulary hears networks that saw no product of
the brand.

Source: stacking by cross-validated answers, Wolpert, Stacked Generalization (1992).
"""

from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from fusionclf.batches import ProductSource
from fusionclf.catalog import Catalog
from fusionclf.models import ProductClassifier
from fusionclf.training import predict_logits
from fusionclf.workflows.episodes import brands, row_folds

FOLDS = 3  # of brands
# Trains a network on train rows beside validation rows, and keeps it under a name, where a resumed run finds it.
Train = Callable[[str, ProductClassifier, ProductSource, np.ndarray, np.ndarray], None]


def train_title_networks(
    part: str,
    network: ProductClassifier,
    source: ProductSource,
    catalog: Catalog,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    accelerator: Accelerator,
    train: Train,
    seed: int = 0,
) -> Tensor:
    """Train networks without some brands each, and then `network` itself on all train rows.

    Args:
        part: of the split; the networks' names begin with it.
        network: one with its first weights.
        source: all products as it reads them.
        catalog: their titles.
        train_rows, validation_rows: catalog rows of the network's classes.
        accelerator: where it runs.
        train: trains one, given its name, itself, `source`, train rows and validation rows.
        seed: of the folds.

    Returns:
        (n, K) logits of the train rows and then the validation rows, by networks that saw nothing of their brands.
    """
    rows = np.concatenate([train_rows, validation_rows])
    fold = row_folds(brands(catalog.table["title"].to_numpy(object)[rows]), FOLDS, seed)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    said: list[Tensor] = []
    for number in np.unique(fold).tolist():
        network.load_state_dict(start)
        others = train_rows[fold[: len(train_rows)] != number]
        train(f"{part}-titles-{number + 1}", network, source, others, validation_rows)
        said.append(predict_logits(network, source, rows[fold == number], accelerator))
    network.load_state_dict(start)
    train(f"{part}-titles", network, source, train_rows, validation_rows)
    order = np.argsort(fold, kind="stable")  # of the rows as they were asked
    return torch.cat(said)[torch.from_numpy(np.argsort(order))]
