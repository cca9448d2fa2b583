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
    assert model.wide is not None
    rows = np.concatenate([train_rows, validation_rows])
    is_train = np.arange(len(rows)) < len(train_rows)
    titles = catalog.table["title"].to_numpy(object)[rows]
    targets = source.targets["label"][rows]
    with accelerator.autocast():
        embeddings = model.wide.embed(titles.tolist())

    def fit(mask: np.ndarray) -> None:
        assert model.wide is not None
        model.wide.fit(titles[mask].tolist(), targets[mask], embeddings[mask], seed)

    def expert(mask: np.ndarray) -> torch.Tensor:
        assert model.wide is not None
        return model.wide.score(titles[mask].tolist(), embeddings[mask]).cpu()

    wanted = rows if model.open is not None else validation_rows
    read = (
        source if model.text is not None else replace(source, titles=None)
    )  # a picture network needs no titles
    network = predict_logits(NetworkAlone(model), read, wanted, accelerator)
    if model.open is None:
        fit(is_train)
        first, second = fit_blend(network.numpy(), expert(~is_train).numpy(), targets[~is_train])
        fit(np.ones(len(rows), bool))
        model.blend.copy_(torch.tensor([first, second]))
        return f"blend: {first:.2f} x network + {second:.2f} x linear expert"
    assert source.titles is not None
    pairs = source.titles.batch(rows)["pairs"].half()
    folds = held_out_folds(*_families(catalog, rows[is_train], targets[is_train]), seed=seed)
    episodes = []
    for fold in folds:
        away = np.isin(targets, fold)
        known = is_train & ~away
        fit(known)
        asked = ~known
        seen = torch.zeros(network.shape[1], dtype=torch.bool)
        seen[np.unique(targets[known])] = True
        picked = torch.from_numpy(np.flatnonzero(asked))
        of_asked = torch.from_numpy(targets[asked])
        episodes.append(Episode(network[picked], expert(asked), pairs[picked], of_asked, seen))
    model.open.cpu().fit(episodes, groups, seed)
    fit(np.ones(len(rows), bool))
    model.open.seen.zero_()
    model.open.seen[np.unique(targets)] = True
    model.open.to(accelerator.device)
    return f"open vocabulary: {int(model.open.seen.sum())} of {len(model.open.seen)} classes seen; {len(folds)} folds"


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
