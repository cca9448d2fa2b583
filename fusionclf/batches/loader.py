"""Products → batches, in an order that only depends on the seed and the epoch.

The order of an epoch is an (n, 2) array: catalog row, and its occurrence: how often the row came before in the epoch.
A row that occurs twice, through a balanced sampler or as an extra copy, is augmented differently each time.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches.text import TextBatch, TitleTable
from fusionclf.batches.transforms import PictureTransform, View

T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """The input of a model.

    Attributes:
        rows: (B,) catalog rows.
        pictures: (P, 3, H, W) normalised, or (B, D) features of a frozen encoder, or None for a model that
            does not read pictures.
        titles: tensors of the text encoder's own shape, or None.
        targets: per task (B,) class numbers, -1 where a product has none; or (B, K) whether it has each of K labels.
        has_picture, has_title: (B,) whether a product has one; None: all have.
        pooling: (B, P) share of each picture in its product's features; None: one picture a product, in their order.
    """

    rows: np.ndarray
    pictures: Tensor | None
    titles: TextBatch | None
    targets: dict[str, Tensor]
    has_picture: Tensor | None = None
    has_title: Tensor | None = None
    pooling: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""

        def to_device(tensor: Tensor) -> Tensor:
            # Only copies from pinned memory overlap with the computation on a GPU.
            return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)

        def moved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: to_device(tensor) for name, tensor in tensors.items()}

        return replace(
            self,
            pictures=None if self.pictures is None else to_device(self.pictures),
            titles=None if self.titles is None else moved(self.titles),
            targets=moved(self.targets),
            has_picture=None if self.has_picture is None else to_device(self.has_picture),
            has_title=None if self.has_title is None else to_device(self.has_title),
            pooling=None if self.pooling is None else to_device(self.pooling),
        )


@dataclass(frozen=True)
class ProductSource:
    """All products of a catalog, ready for batches.

    Attributes:
        pictures: transform over the picture cache; None for a model that does not read pictures.
        titles: prepared titles; None for a model that does not read titles.
        targets: per task (N,) class numbers of all catalog rows, -1 for none; of several labels per product (N, K)
            whether it has each.
        features: (N, D) features of the pictures, read instead of pictures; None where there are none.
        augmented: whether training pictures are cropped and flipped at random; False for a frozen encoder, whose
            features are computed once.
        ids: (N,) product ids, for messages.
        has_picture, has_title: (N,) whether a product has one; None: all have.
        class_counts: task → number of classes; default: one more than the largest class number.
    """

    pictures: PictureTransform | None
    titles: TitleTable | None
    targets: dict[str, np.ndarray]
    features: np.ndarray | None = None
    augmented: bool = True
    ids: Sequence[str] | None = None
    has_picture: np.ndarray | None = None
    has_title: np.ndarray | None = None
    class_counts: Mapping[str, int] = field(default_factory=dict)

    def count_classes(self, task: str) -> int:
        """How many classes a task has."""
        return self.class_counts.get(task, int(self.targets[task].max(initial=-1)) + 1)

    def training(self, order: np.ndarray, epoch: int, view: View | None = None) -> Batch:
        """An augmented batch of some rows of an epoch's order, (B, 2)."""
        rows, occurrences = order[:, 0], order[:, 1]
        if self.pictures is None or not self.augmented:
            return self.evaluation(rows)
        return self._batch(rows, self.pictures.training(rows, epoch, occurrences, view))

    def evaluation(self, rows: np.ndarray) -> Batch:
        """A batch without randomness."""
        if self.features is not None:
            return self._batch(rows, torch.from_numpy(self.features[rows]))
        batch = self._batch(rows, self.pictures and self.pictures.evaluation(rows))
        return batch if self.pictures is None else replace(batch, pooling=self.pictures.pooling(rows))

    def picture_counts(self, rows: np.ndarray) -> np.ndarray:
        """(n,) number of pictures that an evaluation batch holds of each product; 1 where it holds none."""
        if self.pictures is None or self.features is not None or self.pictures.cache.starts is None:
            return np.ones(len(rows), np.int64)
        return np.bincount(self.pictures.cache.read_places(rows)[1], minlength=len(rows))

    def lengths(self) -> np.ndarray | None:
        """(N,) number of tokens of each title; None where batches are not padded."""
        return None if self.titles is None else self.titles.lengths()

    def _batch(self, rows: np.ndarray, pictures: Tensor | None) -> Batch:
        titles = None if self.titles is None else self.titles.batch(rows)
        targets = {task: torch.from_numpy(numbers[rows]) for task, numbers in self.targets.items()}
        return Batch(
            rows, pictures, titles, targets, _picked(self.has_picture, rows), _picked(self.has_title, rows)
        )


def _picked(mask: np.ndarray | None, rows: np.ndarray) -> Tensor | None:
    """Some rows of a mask; None where all of them are True."""
    return None if mask is None or mask[rows].all() else torch.from_numpy(mask[rows])


def epoch_order(
    rows: np.ndarray,
    classes: np.ndarray,
    seed: int,
    epoch: int,
    *,
    sampler: str = "shuffled",
    oversample_up_to: int = 0,
) -> np.ndarray:
    """The order of an epoch, (n, 2): catalog row and its occurrence.

    Args:
        rows: the training rows.
        classes: (N,) class number of every catalog row.
        seed, epoch: seed of the order.
        sampler: "shuffled", "in_order", or "balanced": as many draws as rows, each class equally likely.
        oversample_up_to: classes with fewer rows get repeated rows up to this number.

    Source: the balanced sampler draws like PyTorch's WeightedRandomSampler with inverse class counts as weights.
    """
    rows = _with_copies(rows, classes[rows], oversample_up_to)
    generator = np.random.default_rng([seed, epoch])
    if sampler == "shuffled":
        rows = generator.permutation(rows)
    elif sampler == "balanced":
        _, own, counts = np.unique(classes[rows], return_inverse=True, return_counts=True)
        chance = 1 / counts[own]
        rows = generator.choice(rows, len(rows), p=chance / chance.sum())
    return np.stack([rows, _occurrences(rows)], axis=1)


def _with_copies(rows: np.ndarray, classes: np.ndarray, least: int) -> np.ndarray:
    if not least:
        return rows
    extra = []
    for number, count in zip(*np.unique(classes, return_counts=True), strict=True):
        if count < least:
            extra.append(np.resize(rows[classes == number], least - count))
    return np.concatenate([rows, *extra])


def _occurrences(rows: np.ndarray) -> np.ndarray:
    """(n,) how often each row came before in `rows`."""
    order = np.argsort(rows, kind="stable")
    _, starts, counts = np.unique(rows[order], return_index=True, return_counts=True)
    occurrences = np.empty(len(rows), np.int64)
    occurrences[order] = np.arange(len(rows)) - np.repeat(starts, counts)
    return occurrences


def by_length(order: np.ndarray, lengths: np.ndarray, size: int, window: int = 32) -> np.ndarray:
    """An epoch's order rearranged so that batches of `size` hold titles of similar length.

    Within every `window` batches the rows are sorted by length, then the batches are shuffled: this saves padding, and
    an epoch still mixes classes.

    Args:
        order: (n, 2) an epoch's order.
        lengths: (N,) length of every catalog row's title.
        size: rows per batch.
        window: number of batches that are sorted together.
    """
    arranged = []
    for start in range(0, len(order), size * window):
        lines = order[start : start + size * window]
        lines = lines[np.argsort(lengths[lines[:, 0]], kind="stable")]
        batches = np.split(lines, range(size, len(lines), size))
        last = [batches.pop()] if len(batches[-1]) < size else []  # a short batch stays the last one
        mixed = np.random.default_rng(lines[:, 0]).permutation(len(batches))
        arranged += [batches[n] for n in mixed] + last
    return np.concatenate(arranged) if arranged else order


def prefetch(batches: Iterator[T], device: torch.device) -> Iterator[T]:
    """The same items; for a GPU, a thread prepares the next two, for a CPU they are prepared one by one.

    A CPU that trains has no idle core for the next batch, so a thread would only compete with the training step.
    """
    yield from batches if device.type == "cpu" else in_thread(batches, 2)


def in_thread(items: Iterator[T], depth: int) -> Iterator[T]:
    """The same items, prepared in a thread, `depth` in advance."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(next, items, end) for _ in range(depth))
        while (item := pending.popleft().result()) is not end:
            pending.append(pool.submit(next, items, end))
            yield cast(T, item)


def in_weighted_batches(rows: np.ndarray, weights: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Slices of `rows` whose weights add up to at most `most`; a row that is heavier is alone.

    >>> [part.tolist() for part in in_weighted_batches(np.arange(4), np.array([1, 2, 5, 1]), 3)]
    [[0, 1], [2], [3]]
    """
    start, total = 0, 0
    for place, weight in enumerate(weights.tolist()):
        if place > start and total + weight > most:
            yield rows[start:place]
            start, total = place, 0
        total += weight
    if start < len(rows):
        yield rows[start:]


def in_batches(rows: np.ndarray, size: int, smallest: int = 1) -> Iterator[np.ndarray]:
    """Slices of `size` rows; a last one of fewer than `smallest` rows joins the one before it."""
    ends = [*range(size, len(rows), size), len(rows)]
    if len(ends) > 1 and ends[-1] - ends[-2] < smallest:
        del ends[-2]
    start = 0
    for end in ends:
        if end > start:
            yield rows[start:end]
        start = end
