"""Requests that wait share a turn of the model; an error stays with its own request."""

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.errors import PictureError, PredictionError
from fusionclf.prediction.io.products import Product
from fusionclf.serving.turns import TURN_PRODUCTS, Choice, Chunk, Queue, split
from fusionclf.serving.worker import ModelWorker
from tests.runs import Runs
from tests.serving.conftest import picture_bytes
from tests.serving.test_turns import Recording

FIVE = Choice(5, 0.05)


def chunk(count: int = 1, title: str = "Red", choice: Choice = FIVE) -> Chunk:
    return Chunk([Product(title=title)] * count, choice)


def taken(*chunks: Chunk) -> list[list[int]]:
    """Sizes of the chunks of each turn."""
    queue, turns = Queue(), []
    for each in chunks:
        queue.put(each)
    while turn := queue.take():
        turns.append([len(each.products) for each in turn])
    return turns


def test_waiting_chunks_fill_a_turn_and_none_is_overtaken_twice() -> None:
    assert taken(chunk(1), chunk(30), chunk(2), chunk(1)) == [[1, 30, 1], [2]]
    assert taken(chunk(TURN_PRODUCTS), chunk(1), chunk(TURN_PRODUCTS)) == [[32], [1], [32]]


def test_long_texts_and_other_choices_get_turns_of_their_own() -> None:
    assert taken(chunk(title="a" * 5000), chunk(2, "a" * 1000), chunk(3, "a" * 1000)) == [[1, 2], [3]]
    assert taken(chunk(1), chunk(2, choice=Choice(3, 0.05)), chunk(3)) == [[1, 3], [2]]


def test_a_chunk_that_nobody_waits_for_is_dropped() -> None:
    left: Any = chunk(4)
    assert isinstance(left.answers, Future) and left.answers.cancel()
    assert taken(left, chunk(1), chunk(2)) == [[1, 2]]


def test_a_product_of_any_length_is_in_a_chunk() -> None:
    products = [Product(title="a" * 9000), Product(title="b"), Product(fields={"text": "c" * 7999})]
    assert [len(own) for own in split(products)] == [1, 2]


def together(worker: ModelWorker, recording: Recording, products: list[Product[bytes]]) -> list[Any]:
    """What requests get that wait while another one is computed."""

    async def answers() -> list[Any]:
        first = asyncio.create_task(worker.predict_product(Product(title="Blue"), 3, 0.0))
        while not recording.entered.is_set():
            await asyncio.sleep(0.01)
        tasks = [asyncio.create_task(worker.predict_product(each, 3, 0.0)) for each in products]
        await asyncio.sleep(0.05)
        recording.go.set()
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(answers())


def test_requests_that_wait_get_their_own_answers_in_one_turn(runs: Runs, sample: Catalog) -> None:
    recording: Any = Recording(fusionclf.load(runs("linear")))
    titles = sample.table["title"].iloc[:20].tolist()
    worker = ModelWorker(recording)
    found = together(worker, recording, [Product(title=title) for title in titles])
    assert recording.sizes == [1, 20]
    expected = recording.predictor.predict(titles=titles, top_k=3).labels
    assert [answer.labels for answer in found] == expected
    assert b"fusionclf_turn_products_sum 21.0" in worker.metrics.text()


def test_a_bad_picture_is_the_error_of_its_request_alone(runs: Runs, sample: Catalog) -> None:
    recording: Any = Recording(fusionclf.load(runs("fusion"), device="cpu"))
    good = picture_bytes(sample)
    products = [Product([content], "Red") for content in (good, b"none", good)]
    first, second, third = together(ModelWorker(recording), recording, [*products])
    assert recording.sizes == [1, 3]
    assert first.labels == third.labels and first.picture_status == "used"
    assert isinstance(second, PictureError) and "not a picture" in str(second)


def test_a_failing_product_does_not_fail_those_of_its_turn(runs: Runs) -> None:
    class Failing(Recording):
        def read(self, images: Any, fields: Any) -> Any:
            super().read(images, fields)
            if "break" in fields["title"].tolist():
                raise ValueError("inside")
            return self.predictor.read(images, fields)

    failing: Any = Failing(fusionclf.load(runs("linear")))
    titles = ("Red Shirts", "break", "Blue Shirts")
    found = together(ModelWorker(failing), failing, [Product(title=title) for title in titles])
    assert failing.sizes == [1, 3, 1, 1, 1]
    assert found[0].labels and found[2].labels and isinstance(found[1], ValueError)


def test_an_unknown_field_is_refused_before_the_queue(runs: Runs) -> None:
    worker = ModelWorker(fusionclf.load(runs("linear")))
    with pytest.raises(PredictionError, match="fields: 'brand' is not a field that this model reads"):
        asyncio.run(worker.predict_product(Product(title="Red", fields={"brand": "x"}), 3, 0.0))
