"""The base learners of a stacked head (level 0), fitted on some rows, and their predictions for others."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches import ProductSource, TitleTable
from fusionclf.catalog import Catalog
from fusionclf.errors import RunError
from fusionclf.models import StackedClassifier
from fusionclf.models.linear_text_inputs import LinearTextInputs
from fusionclf.models.linear_text_model import LinearTextWeights, fit_linear_text_model
from fusionclf.models.open_vocabulary.linear_probe import LinearProbe, fit_linear_probe
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH
from fusionclf.models.open_vocabulary.names_in_titles import facts_of_names
from fusionclf.models.open_vocabulary.stacked_head import StackedHead

LEAST_FITTED = 0.1  # of the rows that a fold leaves to fit on
ROWS_AT_ONCE = 4096
PAIRS_AT_ONCE = 2**20  # of a product and a class, whose name-match features are computed together: 40 MB


@dataclass(frozen=True)
class StackingData:
    """The rows that base learners and meta-classifiers are fitted on.

    Attributes:
        rows: (n,) catalog rows.
        titles: (n,).
        targets: (n,) class numbers.
        texts: inputs of the linear text model.
        embeddings: (n, Dt) sentence embeddings that are compared with class names: mostly of the titles.
        features: modality → (n, D) features of the base model; without "title" where it reads no titles.
        name_match: (q, C, 10) name-match features of the rows that can be queries.
        has_picture, has_title: (n,) whether a product has one.
        has_features: (n,) whether the product has an input of the base model.
        allows_unseen: whether classes without a training row are candidates.
        names: inputs of the linear text model for the C class names, read like titles.
        together: (n,) groups of rows that no fold divides; None: only equal titles.
        picture_match: (q, C) cosines of pictures with class names; None without an aligned picture encoder.
        queries: (q,) places of the rows that can be queries of a meta-training fold, ascending; None: all rows.
    """

    rows: np.ndarray
    titles: np.ndarray
    targets: np.ndarray
    texts: LinearTextInputs
    embeddings: np.ndarray
    features: Mapping[str, Tensor]
    name_match: Tensor
    has_picture: np.ndarray
    has_title: np.ndarray
    has_features: np.ndarray
    allows_unseen: bool
    names: LinearTextInputs
    together: np.ndarray | None = None
    picture_match: Tensor | None = None
    queries: np.ndarray | None = None

    @classmethod
    def collect(
        cls,
        model: StackedClassifier,
        source: ProductSource,
        catalog: Catalog,
        rows: np.ndarray,
        features: Mapping[str, Tensor],
        queries: np.ndarray | None = None,
    ) -> "StackingData":
        """The data of some catalog rows.

        Args:
            model: with a trained base model.
            source: prepared titles and class numbers of all products.
            catalog: the products' fields.
            rows: (n,) catalog rows.
            features, queries: as of StackingData.
        """
        head, linear = model.head, model.linear_text_model
        titles = catalog.table["title"].to_numpy(object)[rows]
        assert isinstance(head, StackedHead) and source.titles is not None and model.class_names is not None
        has_picture, has_title = (
            np.ones(len(rows), bool) if mask is None else mask[rows]
            for mask in (source.has_picture, source.has_title)
        )
        name_match = _name_match(source.titles, rows if queries is None else rows[queries])
        return cls(
            rows, titles, source.targets["label"][rows],
            linear.read(catalog.fields, rows), linear.embed(model.main_texts(catalog.fields))[rows], features,
            head.used_name_match(name_match), has_picture, has_title,
            # The features of a base model of both modalities also stand for a product without a picture.
            has_picture if model.base.text is None else has_picture | has_title,
            head.allows_unseen, linear.read_titles(list(model.class_names.names)), queries=queries,
        )  # fmt: skip

    @property
    def classes(self) -> int:
        """C."""
        return self.name_match.shape[1]

    @property
    def can_be_query(self) -> np.ndarray:
        """(n,) which rows can be queries."""
        found = np.full(len(self.rows), self.queries is None)
        if self.queries is not None:
            found[self.queries] = True
        return found

    def can_fit(self, fitted: np.ndarray) -> bool:
        """Whether the rows of an (n,) mask are enough to fit on: a tenth of all, of two classes."""
        return fitted.sum() >= LEAST_FITTED * len(fitted) and len(np.unique(self.targets[fitted])) > 1

    def too_few(self) -> RunError:
        """The error for a catalog that is too small."""
        return RunError(
            f"{len(self.rows)} products of {len(np.unique(self.targets))} classes are too few to hold some of them "
            "out; set model.vocabulary=closed"
        )

    def modality_masks(self) -> dict[str, np.ndarray]:
        """(n,) masks of the products with both modalities, only a title, or only a picture; empty ones are left out."""
        picture, title = self.has_picture, self.has_title
        masks = {"both": picture & title, "title": ~picture, "picture": picture & ~title}
        return {modality: mask for modality, mask in masks.items() if mask.any()}


def _name_match(titles: TitleTable, rows: np.ndarray) -> Tensor:
    """(n, C, 10) name-match features of some catalog rows, a few at a time."""
    first = titles.batch(rows[:1])[NAME_MATCH]
    found = torch.empty(len(rows), *first.shape[1:], dtype=torch.float16)
    at_once = max(1, min(ROWS_AT_ONCE, PAIRS_AT_ONCE // first.shape[1]))
    for start in range(0, len(rows), at_once):
        found[start : start + at_once] = titles.batch(rows[start : start + at_once])[NAME_MATCH].half()
    return found


@dataclass(frozen=True)
class BaseLearners:
    """The base learners that were fitted on some rows.

    Attributes:
        linear_text: weights of the linear text model.
        probe: of the base model's features.
        counts: (C,) number of these rows for each class.
    """

    linear_text: LinearTextWeights
    probe: LinearProbe
    counts: Tensor

    @property
    def seen(self) -> np.ndarray:
        """(C,) whether each class has such rows."""
        return (self.counts > 0).numpy()


def fit_base_learners(data: StackingData, fitted: np.ndarray, seed: int) -> BaseLearners:
    """Fit the linear text model and the probe on the rows of an (n,) mask."""
    linear_text = fit_linear_text_model(data.texts.pick(fitted), data.targets[fitted], data.classes, seed)
    counts = np.bincount(data.targets[fitted], minlength=data.classes)
    return BaseLearners(linear_text, fit_probe(data, fitted, seed), torch.from_numpy(counts))


def fit_probe(data: StackingData, fitted: np.ndarray, seed: int) -> LinearProbe:
    """Fit the probe on the rows of an (n,) mask."""
    places = torch.from_numpy(np.flatnonzero(fitted & data.has_features))
    return fit_linear_probe(data.features["both"], torch.from_numpy(data.targets), data.classes, seed, places)


def compare_names(
    data: StackingData, linear_text: LinearTextWeights, fitted: np.ndarray, counts: Tensor
) -> Tensor:
    """(2, U, S) as `facts_of_names`, by a linear text model that was fitted on the rows of an (n,) mask.

    Args:
        data: all rows, or a sample of them.
        linear_text: the fitted model.
        fitted: (n,) mask.
        counts: (C,) number of rows of each class; of all rows where `data` is a sample.
    """
    queries = np.arange(len(data.rows)) if data.queries is None else data.queries
    compared = np.flatnonzero(fitted[queries])  # rows of name_match
    return facts_of_names(
        linear_text.scores(data.names),
        data.name_match[compared],
        torch.from_numpy(data.targets[queries[compared]]),
        counts,
    )
