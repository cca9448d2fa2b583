"""Products → batches, in an order that depends on the seed and the epoch alone.

The order of an epoch is an (n, 2) array: catalog row, and which showing of that row in the epoch it is. A row
that is shown twice, by a balanced sampler or as an extra copy, is augmented another way each time.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches.text import TextBatch, TitleTable
from fusionclf.batches.transforms import PictureTransform, View

T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """What a model takes.

    Attributes:
        rows: (B,) catalog rows.
        pictures: (B, 3, H, W) normalised, or (B, D) features of a frozen encoder, or None for a model that
            reads none.
        titles: tensors of the text encoder's own shape, or None.
        targets: per task (B,) class numbers, -1 where a product has none.
        has_picture, has_title: (B,) whether a product has one; None: all have.
    """

    rows: np.ndarray
    pictures: Tensor | None
    titles: TextBatch | None
    targets: dict[str, Tensor]
    has_picture: Tensor | None = None
    has_title: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""

        def sent(tensor: Tensor) -> Tensor:
            # Only from pinned memory does a copy to a GPU go on beside the computation.
            return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)

        def moved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: sent(tensor) for name, tensor in tensors.items()}

        return replace(
            self,
            pictures=None if self.pictures is None else sent(self.pictures),
            titles=None if self.titles is None else moved(self.titles),
            targets=moved(self.targets),
            has_picture=None if self.has_picture is None else sent(self.has_picture),
            has_title=None if self.has_title is None else sent(self.has_title),
        )


@dataclass(frozen=True)
class ProductSource:
    """Every product of a catalog, ready to be batched.

    Attributes:
        pictures: transform over the picture cache; None for a model that reads no picture.
        titles: prepared titles; None for a model that reads no title.
        targets: per task (N,) class numbers of all catalog rows, -1 for none.
        features: (N, D) features of the pictures, read in their place; None where there are none.
        augmented: whether training pictures are cropped and flipped; not for a frozen encoder, whose features are
            the same whether they were computed before or are computed now.
        ids: (N,) product ids, for messages.
        has_picture, has_title: (N,) whether a product has one; None: all have.
    """

    pictures: PictureTransform | None
    titles: TitleTable | None
    targets: dict[str, np.ndarray]
    features: np.ndarray | None = None
    augmented: bool = True
    ids: Sequence[str] | None = None
    has_picture: np.ndarray | None = None
    has_title: np.ndarray | None = None

    def training(self, order: np.ndarray, epoch: int, view: View | None = None) -> Batch:
        """An augmented batch of some lines of an epoch's order, (B, 2)."""
        rows, occurrences = order[:, 0], order[:, 1]
        if self.pictures is None or not self.augmented:
            return self.evaluation(rows)
        return self._batch(rows, self.pictures.training(rows, epoch, occurrences, view))

    def evaluation(self, rows: np.ndarray) -> Batch:
        """A batch without randomness."""
        if self.features is not None:
            return self._batch(rows, torch.from_numpy(self.features[rows]))
        return self._batch(rows, self.pictures and self.pictures.evaluation(rows))

    def lengths(self) -> np.ndarray | None:
        """(N,) what a title costs to read, where that differs between titles; else None."""
        return None if self.titles is None else self.titles.lengths()

    def _batch(self, rows: np.ndarray, pictures: Tensor | None) -> Batch:
        titles = None if self.titles is None else self.titles.batch(rows)
        targets = {task: torch.from_numpy(numbers[rows]) for task, numbers in self.targets.items()}
        return Batch(
            rows, pictures, titles, targets, _picked(self.has_picture, rows), _picked(self.has_title, rows)
        )


def _picked(mask: np.ndarray | None, rows: np.ndarray) -> Tensor | None:
    """Some rows of a mask; None where it holds for all of them."""
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
    """The order of an epoch, (n, 2): catalog row, and which showing of it this is.

    Args:
        rows: the training rows.
        classes: (N,) class number of every catalog row.
        seed, epoch: what the order depends on.
        sampler: "shuffled", "in_order", or "balanced": as many draws as there are rows, every class as likely.
        oversample_up_to: rows of classes with fewer are repeated in turn until there are so many.

    Source: the balanced sampler draws with the weights that PyTorch's WeightedRandomSampler is given for it.
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
    extra = []
    for number, count in zip(*np.unique(classes, return_counts=True), strict=True):
        if count < least:
            extra.append(np.resize(rows[classes == number], least - count))
    return np.concatenate([rows, *extra])


def _occurrences(rows: np.ndarray) -> np.ndarray:
    """(n,) how often each row stood in `rows` before."""
    order = np.argsort(rows, kind="stable")
    _, starts, counts = np.unique(rows[order], return_index=True, return_counts=True)
    occurrences = np.empty(len(rows), np.int64)
    occurrences[order] = np.arange(len(rows)) - np.repeat(starts, counts)
    return occurrences


def by_length(order: np.ndarray, lengths: np.ndarray, size: int, window: int = 32) -> np.ndarray:
    """Lines of an epoch's order arranged so that batches of `size` hold titles of like length.

    Within every `window` batches the lines are sorted by length, then the batches are put back into a mixed order;
    so padding is saved, and an epoch still mixes classes.

    Args:
        order: (n, 2) an epoch's order.
        lengths: (N,) length of every catalog row's title.
        size: lines a batch.
        window: batches that are sorted together.
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


def ahead(batches: Iterator[T], device: torch.device) -> Iterator[T]:
    """The same items, made two ahead in a thread while a GPU computes; on a CPU made one by one.

    A CPU that trains has no idle core that could make the next batch: a thread would only compete with the step.
    """
    yield from batches if device.type == "cpu" else in_thread(batches, 2)


def in_thread(items: Iterator[T], depth: int) -> Iterator[T]:
    """The same items, made in a thread, `depth` ahead."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, items, end) for _ in range(depth))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, items, end))
            yield cast(T, item)


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


def count_batches(rows: int, size: int, smallest: int = 1) -> int:
    """How many slices `in_batches` gives."""
    return sum(1 for _ in in_batches(np.empty(rows), size, smallest))
