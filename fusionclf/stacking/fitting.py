"""What is fitted after a network is trained: the linear expert, its blend, and the vocabulary."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from fusionclf.batches import ProductSource
from fusionclf.catalog import Catalog
from fusionclf.console import SILENT, Console
from fusionclf.evaluation import fit_blend
from fusionclf.models import ProductClassifier
from fusionclf.models.classifier import FeaturesAlone, NetworkAlone
from fusionclf.stacking.folds import (
    MOST_ROWS,
    EpisodeMaker,
    HeldOut,
    fit_on_episodes,
    without,
)
from fusionclf.training import predict_logits

LEAST_ROWS = 50  # of each class, where a vocabulary is taught on a sample


def fit_blended(
    model: ProductClassifier,
    source: ProductSource,
    catalog: Catalog,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    accelerator: Accelerator,
    seed: int = 0,
) -> tuple[str, HeldOut]:
    """Fit the expert on train rows, what weighs it on validation rows, then the expert on both.

    Args:
        model: a trained model with `wide`.
        source: all products.
        catalog: their titles.
        train_rows, validation_rows: catalog rows of the model's classes.
        accelerator: where the network runs.
        seed: of the solver.

    Returns:
        A line for the reader, and what the validation rows were answered.
    """
    assert model.wide is not None
    wide, rows = model.wide, np.concatenate([train_rows, validation_rows])
    counts = wide.count(catalog.table["title"].to_numpy(object)[rows].tolist())
    targets = source.targets["label"][rows]
    embeddings = model.wide.embed(catalog.table["title"].tolist())[rows]
    is_train = np.arange(len(rows)) < len(train_rows)
    # A picture network needs no titles.
    read = source if model.text is not None else replace(source, titles=None)
    network = predict_logits(NetworkAlone(model), read, validation_rows, accelerator).numpy()
    if source.has_picture is not None and model.text is None:  # as the blend counts them when it answers
        network = network * source.has_picture[validation_rows, None]
    wide.fit(counts[is_train], targets[is_train], embeddings[is_train], seed)
    expert = wide.score(counts[~is_train], embeddings[~is_train]).cpu().numpy()
    if source.has_title is not None:
        expert = expert * source.has_title[validation_rows, None]
    first, second = fit_blend(network, expert, targets[~is_train])
    model.blend.copy_(torch.tensor([first, second]))
    wide.fit(counts, targets, embeddings, seed)
    known = np.bincount(targets[is_train], minlength=network.shape[1]) > 0
    held_out = HeldOut(
        validation_rows, first * network + second * expert, np.broadcast_to(known, network.shape)
    )
    return f"blend: {first:.2f} x network + {second:.2f} x linear expert", held_out


def fit_vocabulary(
    model: ProductClassifier,
    source: ProductSource,
    catalog: Catalog,
    rows: np.ndarray,
    families: np.ndarray,
    groups: Sequence[np.ndarray],
    accelerator: Accelerator,
    seed: int = 0,
    of_titles: Tensor | None = None,
    of_pictures: Tensor | None = None,
    by_year: bool = False,
    console: Console = SILENT,
) -> tuple[str, HeldOut]:
    """Teach a model's vocabulary on episodes, then fit its expert and its probe on all rows.

    Args:
        model: a trained model with a vocabulary.
        source: all products.
        catalog: their titles.
        rows: catalog rows for training and validation.
        families: (C,) lowest category of each class.
        groups: (C,) masks of the classes that are asked for among themselves.
        accelerator: where the network runs.
        seed: of the solver, of folds and of order.
        of_titles: (n, C) what title networks say of `rows` that saw none of the products they are asked about.
        of_pictures: (n, C) likewise, of networks that read pictures; None: a probe is asked.
        by_year: whether episodes also hold rows out year by year.
        console: where progress shows.

    Returns:
        A line for the reader, and what held-out products were answered.
    """
    assert model.wide is not None and model.vocabulary is not None
    embeddings = model.wide.embed(
        catalog.table["title"].tolist()
    )  # all were embedded before, and are remembered
    some = rows
    if len(rows) > MOST_ROWS:
        places = some_of_each(source.targets["label"][rows], MOST_ROWS, seed)
        some, chosen = rows[places], torch.from_numpy(places)
        of_titles = None if of_titles is None else of_titles[chosen]
        of_pictures = None if of_pictures is None else of_pictures[chosen]
    features = _features(model, source, some, accelerator, console)
    device = accelerator.device
    model.vocabulary.cpu()
    maker = EpisodeMaker(
        model, features, some, source, catalog, embeddings[some], seed, of_titles, of_pictures, by_year
    )
    held_out, count = fit_on_episodes(maker, families, groups, seed, console)
    maker.fit(np.ones(len(some), bool))
    if len(rows) > len(some):
        titles = catalog.table["title"].to_numpy(object)[rows].tolist()
        counts = model.wide.count(titles)
        model.wide.fit(counts, source.targets["label"][rows], embeddings[rows], seed)
        model.vocabulary.seen[np.unique(source.targets["label"][rows])] = True
    model.vocabulary.to(device)
    seen = int(model.vocabulary.seen.sum())
    kind = "open" if model.vocabulary.takes_new else "named"
    return f"{kind} vocabulary: {seen} of {len(families)} classes seen; {count} episodes", held_out


def some_of_each(classes: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Places of about `count` products, ascending: LEAST_ROWS of each class, or all that it has, the rest at random.

    Args:
        classes: (n,) class numbers.
        count: how many products; more only where the classes are so many that their least number is.
        seed: of the choice.
    """
    order = np.random.default_rng(seed).permutation(len(classes))
    by_class = order[np.argsort(classes[order], kind="stable")]
    own = classes[by_class]
    place_in_class = np.arange(len(own)) - np.searchsorted(own, own)
    least = by_class[place_in_class < LEAST_ROWS]
    others = order[~np.isin(order, least)][: max(count - len(least), 0)]
    return np.sort(np.concatenate([least, others]))


def _features(
    model: ProductClassifier,
    source: ProductSource,
    rows: np.ndarray,
    accelerator: Accelerator,
    console: Console,
) -> dict[str, Tensor]:
    """What is at hand of the products → (n, D) features of the network."""
    network = FeaturesAlone(model)

    def of(products: ProductSource, at_hand: str) -> Tensor:
        with console.bar(f"features of {at_hand}", len(rows)) as step:
            return predict_logits(network, products, rows, accelerator, step)

    if model.text is None:  # a picture network says the same with and without a title
        of_pictures = of(replace(source, titles=None), "pictures")
        return {"both": of_pictures, "picture": of_pictures}
    return {
        "both": of(source, "pictures and titles"),
        "picture": of(without(source, "title"), "pictures"),
        "title": of(without(source, "picture"), "titles"),
    }
