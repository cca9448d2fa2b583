"""Fitting after the base model is trained: the linear text model, and the head that combines both."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from fusionclf.batches import ProductSource
from fusionclf.catalog import Catalog
from fusionclf.console import SILENT, Console
from fusionclf.evaluation import fit_blend, fit_temperature
from fusionclf.memory import give_back_memory
from fusionclf.models import StackedClassifier
from fusionclf.models.linear_text_model import LinearTextWeights, fit_linear_text_model
from fusionclf.models.open_vocabulary.linear_probe import LinearProbe
from fusionclf.models.open_vocabulary.meta_classifier import MetaClassifier
from fusionclf.models.open_vocabulary.meta_training import count_steps, fit_meta_classifiers
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.stacked_classifier import WeightedSum
from fusionclf.stacking.base_learners import (
    ROWS_AT_ONCE,
    StackingData,
    compare_names,
    fit_probe,
)
from fusionclf.stacking.fold_fitting import make_folds
from fusionclf.stacking.folds import plan_folds
from fusionclf.stacking.out_of_fold import OutOfFoldPredictions, predict_out_of_fold
from fusionclf.stacking.samples import sample_of_each_class
from fusionclf.stacking.stages import StageRows
from fusionclf.training import predict_features, predict_logits, predict_pictures

MOST_ROWS = (
    60_000  # that base learners of folds are fitted on; more do not change the meta-classifiers' few weights
)
MOST_TEXTS = 200_000  # rows that the linear text model itself is fitted on: 2 GB
MOST_PAIRS = 8_600_000  # of a row that meta-classifiers are fitted on and a class: 1 GB over all folds


@dataclass(frozen=True)
class FittedWeightedSum:
    """The fitted weights of a WeightedSum and its linear text model."""

    linear_text: LinearTextWeights
    weights: tuple[float, float]
    out_of_fold: OutOfFoldPredictions

    @property
    def summary(self) -> str:
        """One line for the log."""
        return f"weights: {self.weights[0]:.2f} x base model + {self.weights[1]:.2f} x linear text model"

    def apply(self, model: StackedClassifier) -> None:
        """Give a model these weights."""
        assert isinstance(model.head, WeightedSum)
        model.linear_text_model.set_weights(self.linear_text)
        model.head.weights.copy_(torch.tensor(self.weights))


@dataclass(frozen=True)
class FittedStackedHead:
    """The fitted weights of a StackedHead and its base learners."""

    linear_text: LinearTextWeights
    probe: LinearProbe
    counts: Tensor
    meta_classifiers: dict[str, MetaClassifier]
    of_names: Tensor
    out_of_fold: OutOfFoldPredictions
    summary: str

    def apply(self, model: StackedClassifier) -> None:
        """Give a model these weights."""
        assert isinstance(model.head, StackedHead)
        model.linear_text_model.set_weights(self.linear_text)
        model.head.set_fitted(self.probe, self.counts, self.meta_classifiers, self.of_names)


@dataclass(frozen=True)
class FittingContext:
    """Where and how fitting runs.

    Attributes:
        accelerator: where the base model runs.
        seed: of solvers, folds and order.
        console: where progress shows.
        together: (N,) groups of all catalog rows that no fold divides; None: only equal titles.
    """

    accelerator: Accelerator
    seed: int = 0
    console: Console = SILENT
    together: np.ndarray | None = None


def fit_weighted_sum(
    model: StackedClassifier,
    source: ProductSource,
    catalog: Catalog,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    context: FittingContext,
) -> FittedWeightedSum:
    """Fit the linear text model on train rows, the weights of both on validation rows, then the former on both.

    It is fitted on MOST_TEXTS rows at most.

    Args:
        model: with a trained base model.
        source: all products.
        catalog: their fields.
        train_rows, validation_rows: catalog rows of the model's classes.
        context: where it runs.
    """
    linear, labels = model.linear_text_model, source.targets["label"]
    some = _sampled(train_rows, labels, MOST_TEXTS, context.seed)
    rows = np.concatenate([some, validation_rows])
    texts, targets = linear.read(catalog.fields, rows), labels[rows]
    is_train = np.arange(len(rows)) < len(some)
    # A picture network needs no titles.
    read = source if model.base.text is not None else replace(source, titles=None)
    base = predict_logits(model.base, read, validation_rows, context.accelerator).numpy()
    classes = base.shape[1]
    # As WeightedSum masks them.
    if source.has_picture is not None and model.base.text is None:
        base = base * source.has_picture[validation_rows, None]
    fitted = fit_linear_text_model(texts.pick(is_train), targets[is_train], classes, context.seed)
    scores = fitted.scores(texts.pick(~is_train)).numpy()
    if source.has_title is not None:
        scores = scores * source.has_title[validation_rows, None]
    first, second = fit_blend(base, scores, targets[~is_train])
    known = np.bincount(targets[is_train], minlength=classes) > 0
    out_of_fold = OutOfFoldPredictions(
        validation_rows, first * base + second * scores, np.broadcast_to(known, base.shape)
    )
    last = np.isin(rows, _sampled(rows, labels, MOST_TEXTS, context.seed))
    _log_sample(int(last.sum()), len(train_rows) + len(validation_rows), context)
    linear_text = fit_linear_text_model(texts.pick(last), targets[last], classes, context.seed)
    return FittedWeightedSum(linear_text, (first, second), out_of_fold)


def fit_stacked_head(
    model: StackedClassifier,
    source: ProductSource,
    catalog: Catalog,
    rows: np.ndarray,
    families: np.ndarray,
    context: FittingContext,
    by_year: bool = False,
) -> FittedStackedHead:
    """Fit meta-classifiers on meta-training folds, then the base learners on all rows.

    Args:
        model: with a trained base model and a StackedHead.
        source: all products.
        catalog: their fields and years.
        rows: catalog rows for training and validation.
        families: (C,) lowest category of each class.
        context: where it runs.
        by_year: whether rows are also held out year by year.

    Raises:
        RunError: there are too few rows to hold some of them out.
    """
    targets = source.targets["label"]
    some = _sampled(rows, targets, MOST_ROWS, context.seed)
    features = _features(model, source, some, context)
    give_back_memory()
    queries = _queries(targets[some], len(families), context)
    data = StackingData.collect(model, source, catalog, some, features, queries)
    if model.picture_match is not None:
        data = replace(data, picture_match=_picture_match(model, source, some, context, features, queries))
    if context.together is not None:
        data = replace(data, together=context.together[some])
    years = catalog.table["year"].astype(str).to_numpy(object)[some]
    plan = plan_folds(
        data.titles, years if by_year and len(set(years)) > 1 else None, data.targets, families,
        context.seed, data.allows_unseen, data.together,
    )  # fmt: skip
    folds = make_folds(data, plan, context.seed, context.console)
    every = [placed for kind in folds.values() for placed in kind.values()]
    meta_folds = [fold for fold, _ in every]
    with context.console.progress("meta-classifiers", count_steps(meta_folds)) as on_step:
        meta_classifiers = fit_meta_classifiers(meta_folds, context.seed, on_step=on_step)
    out_of_fold = predict_out_of_fold(data, plan, folds, context.seed, context.console)
    if out_of_fold.parts is not None and out_of_fold.parts.product_is_better:
        meta_classifiers["both"].use_product(out_of_fold.parts.powers)
    made = len(every)
    del folds, every, meta_folds  # before the linear text model takes as much memory
    give_back_memory()
    everything = np.ones(len(some), bool)
    probe = fit_probe(data, everything, context.seed)
    linear_text = _fit_linear_text(model, source, catalog, rows, data, context)
    counts = torch.from_numpy(np.bincount(targets[rows], minlength=data.classes))
    of_names = compare_names(data, linear_text, everything, counts)
    kind = "open" if data.allows_unseen else "named"
    seen = f"{int((counts > 0).sum())} of {data.classes} classes seen"
    summary = f"{kind} vocabulary: {seen}; {made} meta-training folds"
    return FittedStackedHead(linear_text, probe, counts, meta_classifiers, of_names, out_of_fold, summary)


def _sampled(rows: np.ndarray, targets: np.ndarray, most: int, seed: int) -> np.ndarray:
    """A sample with rows of every class: `most`, or two for each class if that is more; all rows if there are fewer."""
    most = max(most, 2 * len(np.unique(targets[rows])))
    return rows[sample_of_each_class(targets[rows], most, seed)] if len(rows) > most else rows


def _queries(targets: np.ndarray, classes: int, context: FittingContext) -> np.ndarray | None:
    """Places of the rows that can be queries; None for all: where there are not too many pairs with a class."""
    most = max(MOST_PAIRS // classes, 1)
    if len(targets) <= most:
        return None
    context.console.info(
        f"meta-classifiers: fitted on {most:,} of {len(targets):,} products, for {classes:,} classes"
    )
    return sample_of_each_class(targets, most, context.seed)


def _fit_linear_text(
    model: StackedClassifier,
    source: ProductSource,
    catalog: Catalog,
    rows: np.ndarray,
    data: StackingData,
    context: FittingContext,
) -> LinearTextWeights:
    """The linear text model, fitted on the given catalog rows, at most MOST_TEXTS of them."""
    if len(rows) == len(data.rows):
        return fit_linear_text_model(data.texts, data.targets, data.classes, context.seed)
    targets = source.targets["label"]
    some = _sampled(rows, targets, MOST_TEXTS, context.seed)
    _log_sample(len(some), len(rows), context)
    texts = model.linear_text_model.read(catalog.fields, some)
    return fit_linear_text_model(texts, targets[some], data.classes, context.seed)


def _log_sample(count: int, of: int, context: FittingContext) -> None:
    if count < of:
        context.console.info(f"linear text model: fitted on {count:,} of {of:,} products")


def fit_label_temperature(
    logits: np.ndarray, source: ProductSource, rows: StageRows
) -> tuple[float, OutOfFoldPredictions]:
    """The temperature of a base model without a stacked head, and its predictions for the validation rows.

    Args:
        logits: (n, C) of the label, of the validation rows.
        source: all products.
        rows: those that the model was trained on and validated with.
    """
    targets = source.targets["label"]
    known = np.bincount(targets[rows.train], minlength=logits.shape[1]) > 0
    predictions = OutOfFoldPredictions(rows.validation, logits, np.broadcast_to(known, logits.shape))
    return fit_temperature(logits, targets[rows.validation]), predictions


def _features(
    model: StackedClassifier, source: ProductSource, rows: np.ndarray, context: FittingContext
) -> dict[str, Tensor]:
    """Modality → (n, D) features of the base model."""

    def of(products: ProductSource, modalities: str) -> Tensor:
        with context.console.bar(f"features of {modalities}", len(rows)) as on_step:
            return predict_features(model.base, products, rows, context.accelerator, on_step)

    if model.base.text is None:  # its features do not depend on the title
        pictures = of(replace(source, titles=None), "pictures")
        return {"both": pictures, "picture": pictures}
    nothing = np.zeros(len(source.targets["label"]), bool)
    return {
        "both": of(source, "pictures and titles"),
        "picture": of(replace(source, has_title=nothing), "pictures"),
        "title": of(replace(source, has_picture=nothing), "titles"),
    }


def _picture_match(
    model: StackedClassifier,
    source: ProductSource,
    rows: np.ndarray,
    context: FittingContext,
    features: dict[str, Tensor],
    queries: np.ndarray | None,
) -> Tensor:
    """(q, C) cosines of the queries' pictures with the names of the classes."""
    assert model.picture_match is not None
    pictures = features["picture"]
    if model.base.text is not None:  # these features are of both modalities
        pictures = predict_pictures(model.base, source, rows, context.accelerator)
    if queries is not None:
        pictures = pictures[torch.from_numpy(queries)]
    device = model.picture_match.vectors.device
    chunks = [model.picture_match(chunk.to(device)).half().cpu() for chunk in pictures.split(ROWS_AT_ONCE)]
    return torch.cat(chunks)
