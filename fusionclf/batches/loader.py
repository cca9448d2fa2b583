"""Products → batches, in an order that depends on the seed and the epoch alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches.text import TextBatch, TitleTable
from fusionclf.batches.transforms import PictureTransform


@dataclass(frozen=True)
class Batch:
    """What a model takes.

    Attributes:
        rows: (B,) catalog rows.
        pictures: (B, 3, H, W) normalised, or None for a model that reads none.
        titles: tensors of the text encoder's own shape, or None.
        targets: per task (B,) class numbers, -1 where a product has none.
    """

    rows: np.ndarray
    pictures: Tensor | None
    titles: TextBatch | None
    targets: dict[str, Tensor]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""

        def moved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}

        return replace(
            self,
            pictures=None if self.pictures is None else self.pictures.to(device, non_blocking=True),
            titles=None if self.titles is None else moved(self.titles),
            targets=moved(self.targets),
        )


@dataclass(frozen=True)
class ProductSource:
    """Every product of a catalog, ready to be batched.

    Attributes:
        pictures: transform over the picture cache; None for a model that reads no picture.
        titles: prepared titles; None for a model that reads no title.
        targets: per task (N,) class numbers of all catalog rows, -1 for none.
    """

    pictures: PictureTransform | None
    titles: TitleTable | None
    targets: dict[str, np.ndarray]

    def training(self, rows: np.ndarray, epoch: int) -> Batch:
        """An augmented batch."""
        return self._batch(rows, self.pictures and self.pictures.training(rows, epoch))

    def evaluation(self, rows: np.ndarray) -> Batch:
        """A batch without randomness."""
        return self._batch(rows, self.pictures and self.pictures.evaluation(rows))

    def _batch(self, rows: np.ndarray, pictures: Tensor | None) -> Batch:
        titles = None if self.titles is None else self.titles.batch(rows)
        targets = {task: torch.from_numpy(numbers[rows]) for task, numbers in self.targets.items()}
        return Batch(rows, pictures, titles, targets)


def shuffled(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(rows)


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
