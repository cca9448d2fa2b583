"""Embeddings of products: the features from which a model predicts the class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fusionclf.prediction.answers import NAN_PROBABILITIES, NONE

if TYPE_CHECKING:
    from fusionclf.prediction.io.products import Products

VECTORS = ("joint", "picture", "text")
NOTHING = "neither a picture nor a title to embed"


@dataclass(frozen=True)
class Embeddings:
    """The embeddings and class probabilities of n products, in the order of the input.

    An embedding has length 1, so a dot product of two is their cosine. A row is NaN where a product lacks the input.

    Attributes:
        joint: (n, D) float32, of all inputs that the model reads.
        picture: (n, Di) float32 of the picture; None for a model that reads one kind of input.
        text: (n, Dt) float32 of what is written about the product; None for a model that reads one kind of input.
        probabilities: (n, K) float32; None where they were left out.
        classes: K names, sorted.
        picture_status, title_status, reasons: as of Answers.
    """

    joint: np.ndarray
    picture: np.ndarray | None
    text: np.ndarray | None
    probabilities: np.ndarray | None
    classes: tuple[str, ...]
    picture_status: list[str]
    title_status: list[str]
    reasons: list[str]

    def __len__(self) -> int:
        return len(self.joint)

    @property
    def answered_at_all(self) -> np.ndarray:
        """(n,) whether each product has an embedding."""
        return ~np.isnan(self.joint[:, 0])

    @property
    def decisions(self) -> list[str]:
        """ "none" for each product without an embedding, else ""."""
        return ["" if there else NONE for there in self.answered_at_all.tolist()]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Name → (n, width) of each embedding that the model has, and of the probabilities."""
        named = {name: getattr(self, name) for name in (*VECTORS, "probabilities")}
        return {name: values for name, values in named.items() if values is not None}


def embeddings_of(
    found: Mapping[str, np.ndarray], classes: Sequence[str], products: "Products"
) -> Embeddings:
    """The embeddings of n products.

    Args:
        found: as Model.embed gives them for the products with a readable input; without `label`, no probabilities.
        classes: of `label`, in its order.
        products: all n, whose status is kept.
    """
    whole = {name: with_gaps(values, products.answerable) for name, values in found.items()}
    order = sorted(range(len(classes)), key=classes.__getitem__)
    probabilities = whole["label"][:, order].astype(np.float32) if "label" in whole else None
    reasons = list(products.reasons)
    for place in np.flatnonzero(np.isnan(whole["joint"][:, 0])).tolist():
        damaged = probabilities is not None and np.isnan(probabilities[place]).any()
        reasons[place] = reasons[place] or (NAN_PROBABILITIES if damaged else NOTHING)
    return Embeddings(
        whole["joint"], whole.get("picture"), whole.get("text"), probabilities,
        tuple(classes[place] for place in order), products.picture_status, products.title_status, reasons,
    )  # fmt: skip


def normalised_rows(values: np.ndarray, there: np.ndarray | None = None) -> np.ndarray:
    """(n, D) float32 rows of length 1; NaN where `there`, (n,), is false.

    >>> normalised_rows(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([True, False])).tolist()
    [[0.6000000238418579, 0.800000011920929], [nan, nan]]
    """
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    found = np.asarray(values / np.maximum(lengths, 1e-12), np.float32)
    if there is not None:
        found[~there] = np.nan
    return found


def side_by_side(picture: np.ndarray, text: np.ndarray) -> np.ndarray:
    """(n, Di + Dt) of length 1, from embeddings (n, Di) and (n, Dt); zeros for one that is missing."""
    both = np.concatenate([picture, text], axis=1)
    there = ~np.isnan(picture[:, 0]) | ~np.isnan(text[:, 0])
    return normalised_rows(np.nan_to_num(both), there)


def with_gaps(known: np.ndarray, answerable: np.ndarray, dtype: type | None = None) -> np.ndarray:
    """(n, D) of n products with rows of NaN for those that are not `answerable`, (n,)."""
    known = known.astype(dtype or known.dtype, copy=False)
    if answerable.all():
        return known
    found = np.full((len(answerable), known.shape[1]), np.nan, known.dtype)
    found[answerable] = known
    return found


def join_embeddings(chunks: Sequence[Embeddings]) -> Embeddings:
    """The embeddings of one model for several chunks of products, concatenated."""
    first = chunks[0]
    if len(chunks) == 1:
        return first
    joined: dict[str, Any] = {
        name: np.concatenate([chunk.arrays[name] for chunk in chunks]) for name in first.arrays
    }
    for name in ("picture_status", "title_status", "reasons"):
        joined[name] = [value for chunk in chunks for value in getattr(chunk, name)]
    return replace(first, **joined)
