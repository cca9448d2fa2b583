"""Threads that share the cores of this machine."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

T = TypeVar("T")
Found = TypeVar("Found")
AHEAD = 2  # items of each thread that are begun before they are taken


@contextmanager
def core_threads(most: int) -> Iterator[ThreadPoolExecutor]:
    """Threads, at most `most`, among which torch's threads are divided; BLAS has one thread.

    OpenBLAS takes its number of threads from one thread alone, so none of these could change it. What has not begun is
    dropped when the block fails.
    """
    cores = torch.get_num_threads()
    workers = min(cores, most)
    with threadpool_limits({"blas": 1, "openmp": cores // workers}):
        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(cores // workers,))
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(cores)


def map_in_threads(compute: Callable[[T], Found], items: Iterator[T]) -> Iterator[Found]:
    """The results of all items in their order, each computed in a thread of its own on one core.

    >>> list(map_in_threads(len, iter(["a", "bc"])))
    [1, 2]
    """
    cores = torch.get_num_threads()
    with core_threads(cores) as pool:
        pending = deque(pool.submit(compute, item) for item in islice(items, AHEAD * cores))
        while pending:
            found = pending.popleft().result()
            pending.extend(pool.submit(compute, item) for item in islice(items, 1))
            yield found
