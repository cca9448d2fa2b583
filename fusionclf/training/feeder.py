"""The batches of an epoch: their order, how their pictures are shown, and each process's share of them."""

from collections.abc import Iterator, Sequence

import numpy as np
from accelerate import Accelerator

from fusionclf.batches import Batch, ProductSource, View, by_length, epoch_order, in_batches, prefetch
from fusionclf.config import TrainConfig
from fusionclf.errors import SettingsError


def check_batch_size(batch_size: int, rows: int, processes: int) -> None:
    """Refuse what leaves a process fewer than the two products that batch normalisation needs.

    Raises:
        SettingsError: a batch cannot be shared by all processes.
    """
    if min(batch_size, rows) < 2 * processes:
        raise SettingsError(
            f"train.batch_size={batch_size} and {rows} train rows: {processes} process(es) need {2 * processes} "
            "products a batch; use a larger batch, more rows or fewer processes"
        )


class Feeder:
    """Global batches of a stage, and this process's micro-batches of them.

    Args:
        source: all products.
        rows: the training rows.
        settings: sampler, batch size, augmentation and the like.
        seed: of order and augmentation.
        accelerator: how many processes share a batch.

    Attributes:
        steps: global batches in an epoch.
        shown: products in an epoch.

    Raises:
        SettingsError: a batch cannot be shared by all processes.
    """

    def __init__(
        self,
        source: ProductSource,
        rows: np.ndarray,
        settings: TrainConfig,
        seed: int,
        accelerator: Accelerator,
    ) -> None:
        self.source, self.rows, self.settings, self.seed = source, rows, settings, seed
        self.accelerator = accelerator
        self.smallest = 2 * accelerator.num_processes  # batch normalisation needs two products a process
        check_batch_size(settings.batch_size, len(rows), accelerator.num_processes)
        first = self.batches(1)
        self.steps, self.shown = len(first), sum(map(len, first))

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The global batches of an epoch: lines (b, 2) of its order."""
        settings = self.settings
        order = epoch_order(
            self.rows, self.source.targets["label"], self.seed, epoch,
            sampler=settings.sampler, oversample_up_to=settings.oversample_up_to,
        )  # fmt: skip
        lengths = self.source.lengths()
        if lengths is not None and settings.sampler != "in_order":
            order = by_length(order, lengths, settings.batch_size)
        return list(in_batches(order, settings.batch_size, self.smallest))

    def micro_batches(self, batches: Sequence[np.ndarray], epoch: int) -> Iterator[list[Batch]]:
        """For each global batch this process's share of it, in the parts that gradients are accumulated over."""
        return prefetch(self._micro_batches(batches, epoch), self.accelerator.device)

    def _micro_batches(self, batches: Sequence[np.ndarray], epoch: int) -> Iterator[list[Batch]]:
        rank, world, view = self.accelerator.process_index, self.accelerator.num_processes, self._view(epoch)
        for lines in batches:
            own = lines[rank::world]
            count = max(1, min(self.settings.gradient_accumulation_steps, len(own) // 2))
            yield [self.source.training(part, epoch, view) for part in np.array_split(own, count)]

    def _view(self, epoch: int) -> View:
        """How pictures are shown in an epoch."""
        before = 0
        for smaller in self.settings.progressive:
            before += smaller.epochs
            if epoch <= before:
                return View((smaller.height, smaller.width), self.settings.augment)
        return View(None, self.settings.augment)
