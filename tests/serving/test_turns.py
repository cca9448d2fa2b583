"""Long requests take many turns, so that a short one runs in between."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.prediction.io.products import Product
from fusionclf.serving.worker import BusyError, ModelWorker
from tests.runs import Runs
from tests.serving.conftest import picture_bytes


class Recording:
    """A predictor that records the size of each batch, and waits at the first one."""

    def __init__(self, predictor: Any) -> None:
        self.predictor, self.sizes = predictor, list[int]()
        self.entered, self.go = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.predictor, name)

    def read(self, images: Any, fields: Any) -> Any:
        self._record(len(fields))
        return self.predictor.read(images, fields)

    def _record(self, count: int) -> None:
        self.sizes.append(count)
        self.entered.set()
        assert self.go.wait(60)


async def both(recording: Recording, long: Coroutine[Any, Any, Any], short: Callable[[], Any]) -> Any:
    """The results of a long request, and of a short one that comes while the long one runs."""
    first = asyncio.create_task(long)
    while not recording.entered.is_set():
        await asyncio.sleep(0.01)
    second = asyncio.create_task(short())
    await asyncio.sleep(0.1)
    recording.go.set()
    return await first, await second


def test_a_product_waits_for_one_chunk_of_a_batch(runs: Runs, sample: Catalog) -> None:
    recording: Any = Recording(fusionclf.load(runs("linear")))
    worker, titles = ModelWorker(recording), sample.table["title"].iloc[:200].tolist()
    answers, one = asyncio.run(
        both(
            recording,
            worker.predict_products([Product(title=title) for title in titles], 3, 0.0),
            lambda: worker.predict_product(Product(title="Red Shirts"), 3, 0.0),
        )
    )
    place = recording.sizes.index(1)
    assert place == 1 and sum(recording.sizes[place:]) > 100  # most of the batch comes after the product
    expected = recording.predictor.predict(titles=titles, top_k=3).labels
    assert [answer.labels for answer in answers] == expected and len(answers) == 200
    assert one.labels == recording.predictor.predict(titles=["Red Shirts"], top_k=3).labels[0]


def test_long_titles_make_short_chunks(runs: Runs) -> None:
    recording: Any = Recording(fusionclf.load(runs("linear")))
    recording.go.set()
    products = [Product(title=title) for title in ["red"] * 40 + ["red " * 490] * 6]
    asyncio.run(ModelWorker(recording).predict_products(products, 3, 0.0))
    assert recording.sizes == [32, 12, 2]


def test_a_product_waits_for_one_batch_of_an_explanation(runs: Runs, sample: Catalog) -> None:
    recording: Any = Recording(fusionclf.load(runs("fusion"), device="cpu"))
    worker, title = ModelWorker(recording), sample.table["title"].iloc[0]
    explanation, one = asyncio.run(
        both(
            recording,
            worker.explain(Product([picture_bytes(sample)], title)),
            lambda: worker.predict_product(Product(title="Red Shirts"), 3, 0.0),
        )
    )
    # The product itself, some pieces left out, then the other product, then the remaining pieces.
    assert recording.sizes[:3] == [1, 32, 1] and len(recording.sizes) > 3
    assert max(recording.sizes) == 32
    assert explanation.cells is not None and one.labels


def test_waiting_requests_are_refused_when_the_server_stops(runs: Runs) -> None:
    recording: Any = Recording(fusionclf.load(runs("linear")))
    worker = ModelWorker(recording)

    async def stop() -> list[Any]:
        requests = [
            worker.predict_products([Product(title="Red")] * 100, 3, 0.0),
            worker.predict_product(Product(title="Red"), 3, 0.0),
        ]
        tasks = [asyncio.create_task(request) for request in requests]
        while not recording.entered.is_set():
            await asyncio.sleep(0.01)
        assert worker.is_computing
        worker.stop()
        tasks.append(asyncio.create_task(worker.predict_product(Product(title="Red"), 3, 0.0)))
        found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        recording.go.set()
        return found

    found = asyncio.run(stop())
    assert [type(error) for error in found] == [BusyError] * 3
    with pytest.raises(BusyError, match="the server is shutting down"):
        raise found[0]
