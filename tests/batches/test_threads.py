"""Threads that share the cores."""

import time
from collections.abc import Iterator

import pytest
import torch

from fusionclf.batches.threads import AHEAD, core_threads, map_in_threads


@pytest.fixture(autouse=True)
def three_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_and_few_are_begun_ahead() -> None:
    begun: list[int] = []

    def slow_at_first(number: int) -> tuple[int, int]:
        begun.append(number)
        time.sleep(0.05 if number == 0 else 0)
        return number, torch.get_num_threads()

    found = map_in_threads(slow_at_first, iter(range(50)))
    assert next(found) == (0, 1) and len(begun) <= AHEAD * 3 + 1
    assert [number for number, _ in found] == list(range(1, 50))
    assert torch.get_num_threads() == 3


def test_cores_are_divided_among_threads() -> None:
    with core_threads(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 3
    with core_threads(9) as pool:
        assert pool._max_workers == 3 and pool.submit(torch.get_num_threads).result() == 1


def test_an_error_drops_what_has_not_begun() -> None:
    done: list[int] = []
    with pytest.raises(ZeroDivisionError), core_threads(1) as pool:
        jobs = [pool.submit(lambda: 1 / 0), *(pool.submit(slowly, done, number) for number in range(20))]
        jobs[0].result()
    assert len(done) < 20 and torch.get_num_threads() == 3


def slowly(done: list[int], number: int) -> None:
    time.sleep(0.02)
    done.append(number)
