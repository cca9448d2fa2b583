"""What is fitted after a network is trained: the linear expert, its blend, and the open vocabulary."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from accelerate import Accelerator

from fusionclf.batches import ProductSource
from fusionclf.catalog import Catalog
from fusionclf.evaluation import fit_blend
from fusionclf.models import ProductClassifier
from fusionclf.models.product import NetworkAlone
from fusionclf.models.vocabulary import Episode, held_out_folds
from fusionclf.training import predict_logits


def fit_experts(
    model: ProductClassifier,
    source: ProductSource,
    catalog: Catalog,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    groups: Sequence[np.ndarray],
    accelerator: Accelerator,
    seed: int = 0,
) -> str:
    """Fit the expert on train rows, what weighs it on validation rows, then the expert on both.

    Args:
        model: a trained model with `wide`.
        source: all products.
        catalog: their titles and categories.
        train_rows, validation_rows: catalog rows of the model's classes.
        groups: masks of the classes that are asked for among themselves.
        accelerator: where the network runs.
        seed: of the solver, of folds and of order.

    Returns:
        A line for the reader.
    """
    rows = np.concatenate([train_rows, validation_rows])
    is_train = np.arange(len(rows)) < len(train_rows)
    expert = _Expert(model, source, catalog, rows, accelerator, seed)
    # A picture network needs no titles.
    read = source if model.text is not None else replace(source, titles=None)
    wanted = validation_rows if model.open is None else rows
    network = predict_logits(NetworkAlone(model), read, wanted, accelerator)
    if model.open is None:
        expert.fit(is_train)
        first, second = fit_blend(network.numpy(), expert.score(~is_train).numpy(), expert.targets[~is_train])
        model.blend.copy_(torch.tensor([first, second]))
        said = f"blend: {first:.2f} x network + {second:.2f} x linear expert"
    else:
        assert source.titles is not None
        folds = held_out_folds(*_families(catalog, rows[is_train], expert.targets[is_train]), seed=seed)
        pairs = source.titles.batch(rows)["pairs"].half()
        model.open.cpu().fit([expert.episode(network, pairs, is_train, f) for f in folds], groups, seed)
        model.open.seen.zero_()
        model.open.seen[np.unique(expert.targets)] = True
        model.open.to(accelerator.device)
        seen, classes = int(model.open.seen.sum()), len(model.open.seen)
        said = f"open vocabulary: {seen} of {classes} classes seen; {len(folds)} folds"
    expert.fit(np.ones(len(rows), bool))
    return said


class _Expert:
    """A model's linear expert and the products that it is fitted on and asked about, picked by (n,) masks."""

    def __init__(
        self,
        model: ProductClassifier,
        source: ProductSource,
        catalog: Catalog,
        rows: np.ndarray,
        accelerator: Accelerator,
        seed: int,
    ) -> None:
        assert model.wide is not None
        self.wide, self.seed = model.wide, seed
        self.titles = catalog.table["title"].to_numpy(object)[rows]
        self.targets = source.targets["label"][rows]
        # All titles were embedded before: asked for together, they need not be computed again.
        self.embeddings = model.wide.embed(catalog.table["title"].tolist())[rows]

    def fit(self, mask: np.ndarray) -> None:
        self.wide.fit(self.titles[mask].tolist(), self.targets[mask], self.embeddings[mask], self.seed)

    def score(self, mask: np.ndarray) -> torch.Tensor:
        return self.wide.score(self.titles[mask].tolist(), self.embeddings[mask]).cpu()

    def episode(
        self, network: torch.Tensor, pairs: torch.Tensor, is_train: np.ndarray, away: np.ndarray
    ) -> Episode:
        """Fit without the classes `away`, and ask about their products and those that are not for training."""
        known = is_train & ~np.isin(self.targets, away)
        self.fit(known)
        seen = torch.zeros(network.shape[1], dtype=torch.bool)
        seen[np.unique(self.targets[known])] = True
        asked = torch.from_numpy(np.flatnonzero(~known))
        targets = torch.from_numpy(self.targets[~known])
        return Episode(network[asked], self.score(~known), pairs[asked], targets, seen)


def class_paths(catalog: Catalog, names: Sequence[str]) -> list[str]:
    """A text of each class's name and most frequent place in the category graph, nearest category first."""
    columns = [*reversed(catalog.columns.categories)]
    places: dict[str, Counter[tuple[str, ...]]] = {}
    for label, *place in zip(catalog.table["label"], *(catalog.table[c] for c in columns), strict=True):
        places.setdefault(label, Counter())[tuple(place)] += 1
    return [", ".join(filter(None, (name, *places[name].most_common(1)[0][0]))) for name in names]


def _families(catalog: Catalog, rows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes of some rows, and for each the lowest category that most of its rows have."""
    classes = np.unique(targets)
    if not catalog.columns.categories:
        return classes, classes
    categories = catalog.table[catalog.columns.categories[-1]].tolist()
    found: dict[int, Counter[str]] = {int(number): Counter() for number in classes}
    for row, target in zip(rows.tolist(), targets.tolist(), strict=True):
        found[target][categories[row]] += 1
    return classes, np.array([found[int(number)].most_common(1)[0][0] for number in classes])
