"""A table of products → predictions in a file, chunk by chunk, in constant memory."""

import gc
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from fusionclf.batches import in_thread
from fusionclf.batches.threads import core_threads
from fusionclf.console import Console
from fusionclf.prediction.io.chunks import OutputChunks, Result
from fusionclf.prediction.io.product_rows import Chunk
from fusionclf.prediction.io.products import Products
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.prediction.predictor import CHUNK_PAIRS, Predictor

TITLE_CHUNK = 8192  # products of a chunk whose pictures are not read
PENDING_BYTES = 96 * 10**6  # of decoded pictures in chunks that wait for a worker or are being predicted
SMALLEST_CHUNK, SHARES = 64, 16


@dataclass(frozen=True)
class FilePrediction:
    """All that it takes to predict the products of a table.

    Attributes:
        table: the products.
        predictor: the model.
        answer: decoded products → what the output holds about them.
        output: where each chunk's answers go.
        action: what the progress bar shows.
    """

    table: ProductTable
    predictor: Predictor
    answer: Callable[[Products], Result]
    output: OutputChunks
    action: str = "predict"

    def run(self, accelerator: Accelerator, console: Console) -> int:
        """Predict this process's chunks that have no predictions yet.

        Args:
            accelerator: says which process this is. Each process takes every n-th chunk.
            console: shows the progress.

        Returns:
            Number of chunks of the table.
        """
        rank, world = accelerator.process_index, accelerator.num_processes
        total, count, done = self.table.count, 0, 0
        # On a CPU one thread per chunk keeps the cores busier than all threads on one small batch.
        workers = torch.get_num_threads() if accelerator.device.type == "cpu" else 1
        self.predictor.warm_up(total, threads=1, console=console)
        with (
            console.bar(self.action, total) as step,
            _frozen_heap(),
            core_threads(workers) as pool,
        ):
            pending = _Pending(workers)
            chunks = self._read_chunks(rank, world)
            # Pictures of the next chunk are decoded while earlier chunks are predicted and written.
            for chunk, products in in_thread(chunks, 1) if self.predictor.reads_pictures else chunks:
                if products is not None:
                    pending.add(pool.submit(self._predict, chunk, products), products.picture_bytes)
                del products  # its pictures are freed with its predictions
                pending.wait()
                count = chunk.number + 1
                done += len(chunk.ids) + len(chunk.faults)
                step(done, max(total, done))
            pending.wait_for_all()
        self.predictor.keep_texts()
        return count

    def _read_chunks(self, rank: int, world: int) -> Iterator[tuple[Chunk, Products | None]]:
        """Each chunk, with its products decoded where this process has to predict them."""

        def is_mine(number: int) -> bool:
            return number % world == rank and not self.output.has(number)

        for chunk in self.table.chunks(chunk_size(self.predictor, self.table), is_mine):
            mine = is_mine(chunk.number)
            yield chunk, self.predictor.read(chunk.pictures, chunk.fields) if mine else None

    def _predict(self, chunk: Chunk, products: Products) -> None:
        self.output.write(chunk, self.answer(products), len(products.unread))


class _Pending:
    """Chunks that are being predicted, oldest first, with the bytes of their pictures.

    Args:
        workers: how many chunks may be pending.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.chunks: deque[tuple[Future[None], int]] = deque()

    def add(self, chunk: Future[None], picture_bytes: int) -> None:
        self.chunks.append((chunk, picture_bytes))

    def wait(self) -> None:
        """Wait until no more than `workers` chunks and PENDING_BYTES of pictures are pending."""
        while len(self.chunks) > self.workers or sum(size for _, size in self.chunks) > PENDING_BYTES:
            self.chunks.popleft()[0].result()

    def wait_for_all(self) -> None:
        while self.chunks:
            self.chunks.popleft()[0].result()


def chunk_size(predictor: Predictor, table: ProductTable) -> int:
    """Rows of a chunk: small enough that several threads and processes share even a short file."""
    few = CHUNK_PAIRS // max(predictor.width, 1)
    most = predictor.chunk_size if predictor.reads_pictures else min(TITLE_CHUNK, few)
    return min(most, max(SMALLEST_CHUNK, -(-table.count // SHARES)))


@contextmanager
def _frozen_heap() -> Iterator[None]:
    """Exclude objects that exist already from garbage collection: walking through them slows every chunk."""
    already = gc.get_freeze_count() > 0  # by the program around this one
    if not already:
        gc.freeze()
    try:
        yield
    finally:
        if not already:
            gc.unfreeze()
