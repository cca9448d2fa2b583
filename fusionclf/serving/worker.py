"""One thread that decodes pictures and runs the model, for all requests."""

import asyncio
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from PIL import Image

from fusionclf.catalog import open_picture
from fusionclf.errors import FusionclfError, PictureError, PredictionError
from fusionclf.explanation import Explanation
from fusionclf.explanation.occlusion import explain_in_steps
from fusionclf.prediction import DecisionRule, Predictor
from fusionclf.prediction.io.products import Product, align_inputs, check_names
from fusionclf.serving.metrics import Metrics
from fusionclf.serving.schemas import Answer, to_answer
from fusionclf.serving.turns import Choice, Chunk, Queue, split

WAITING = 96  # requests that may wait for the model
Value = TypeVar("Value")
Steps: TypeAlias = Generator[None, None, Value]  # work that gives other requests a turn at each yield


class BusyError(FusionclfError):
    """The queue is full, or the server is shutting down."""


class ModelWorker:
    """Runs a model on one thread; requests take turns, and those that wait share a turn.

    A long request takes many turns, so that a short one waits for few.

    Args:
        predictor: of a finished run.
        metrics: get the size of each turn and the length of the queue.

    Attributes:
        is_computing: whether the thread is computing.
    """

    def __init__(self, predictor: Predictor, metrics: Metrics | None = None) -> None:
        self.predictor, self.is_computing = predictor, False
        self.metrics = metrics or Metrics()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._queue = Queue()
        self._waiting, self._stopped = 0, False
        self._turns: set[asyncio.Future[object]] = set()

    @property
    def is_ready(self) -> bool:
        """Whether it accepts a request: its queue is not full, and it does not stop."""
        return not self._stopped and self._waiting < WAITING

    def warm_up(self) -> None:
        """Compute once, so that the first request does not wait for weights that are read when they are needed."""
        _, known = align_inputs(None, ["a product"], None, self.predictor.fields)
        read = self.predictor.read([Image.new("RGB", (64, 64))], known)
        self.predictor.predict_products(read, DecisionRule())

    def stop(self) -> None:
        """Refuse all requests from now on, including those that wait or run."""
        self._stopped = True
        for turn in self._turns:
            turn.cancel()

    async def predict_product(
        self, product: Product[bytes], top_k: int, min_probability: float | None
    ) -> Answer:
        """The answer for one product.

        Args:
            product: what is known of it.
            top_k, min_probability: as in `Predictor.predict`.

        Raises:
            PictureError: it is not a picture, or too large.
            PredictionError: a further field is none that the model reads.
            BusyError: too many requests wait.
        """
        (answer,) = await self._predict([product], Choice(top_k, min_probability, strict=True))
        return answer

    async def predict_products(
        self, products: Sequence[Product[bytes]], top_k: int, min_probability: float | None
    ) -> list[Answer]:
        """The answers for products, whose pictures may be unreadable; raises BusyError where too many requests wait.

        Args:
            products: what is known of them.
            top_k, min_probability: as in `Predictor.predict`.
        """
        return await self._predict(products, Choice(top_k, min_probability))

    async def _predict(self, products: Sequence[Product[bytes]], choice: Choice) -> list[Answer]:
        check_names((name for each in products for name in each.fields), self.predictor.fields)
        answers = list[Answer]()
        with self._place_in_queue():
            for own in split(products):
                chunk = Chunk(own, choice)
                self._queue.put(chunk)
                self._thread.submit(self._take_turn)
                answers += await self._turn(asyncio.wrap_future(chunk.answers))
        return answers

    async def explain(self, product: Product[bytes]) -> Explanation:
        """How much each part of one product contributed to its prediction.

        Args:
            product: what is known of it.

        Raises:
            PictureError: it is not a picture, or too large.
            PredictionError: the product has no input that the model reads.
            BusyError: too many requests wait.
        """

        def steps() -> Steps[Explanation]:
            images = self._open(product.images)
            _, known = align_inputs(None, [product.title], product.columns, self.predictor.fields)
            reason = self.predictor.read([images or None], known).reasons[0]
            if reason:
                raise PredictionError(f"{reason}: give {self.needed_inputs}")
            return (yield from explain_in_steps(self.predictor, images, product.title, product.fields))

        return await self._in_turns(steps())

    @property
    def needed_inputs(self) -> str:
        """The inputs that a product needs one of, such as "a picture or a title"."""
        names = {"a picture": self.predictor.reads_pictures, "a title": self.predictor.reads_titles}
        return " or ".join(name for name, read in names.items() if read)

    def _open(self, pictures: Sequence[bytes]) -> tuple[Image.Image, ...]:
        """The pictures; none for a model that reads no pictures."""
        return tuple(open_picture(picture) for picture in pictures if self.predictor.reads_pictures)

    @contextmanager
    def _place_in_queue(self) -> Iterator[None]:
        """Within it, a request waits for the model."""
        if self._waiting >= WAITING:
            raise BusyError(f"{WAITING} requests are waiting for the model; try again in a moment")
        self._waiting += 1
        self.metrics.queue.inc()
        try:
            yield
        finally:
            self._waiting -= 1
            self.metrics.queue.dec()

    async def _in_turns(self, steps: Steps[Value]) -> Value:
        """The return value of `steps`; between two steps, every waiting request has a turn."""
        loop = asyncio.get_running_loop()
        with self._place_in_queue():
            while True:
                done, value = await self._turn(loop.run_in_executor(self._thread, self._advance, steps))
                if done:
                    return value  # pyright: ignore[reportReturnType]

    async def _turn(self, turn: "asyncio.Future[Value]") -> Value:
        if self._stopped:
            turn.cancel()
            raise BusyError("the server is shutting down; try again after it has restarted")
        self._turns.add(turn)  # pyright: ignore[reportArgumentType]
        try:
            return await turn
        except asyncio.CancelledError:
            if self._stopped:
                raise BusyError("the server is shutting down; try again after it has restarted") from None
            raise
        finally:
            self._turns.discard(turn)  # pyright: ignore[reportArgumentType]

    def _advance(self, steps: Steps[Value]) -> tuple[bool, Value | None]:
        """Take one step: (whether it was the last, return value)."""
        with self._computing():
            try:
                next(steps)
            except StopIteration as end:
                return True, end.value
        return False, None

    def _take_turn(self) -> None:
        """Predict what waits: nothing where an earlier turn took this one's products along."""
        chunks = self._queue.take()
        if not chunks:
            return
        with self._computing():
            self._answer(chunks)

    def _answer(self, chunks: Sequence[Chunk]) -> None:
        """Give each chunk its answers, or its error: where a turn fails, each chunk is computed apart."""
        products = [product for chunk in chunks for product in chunk.products]
        try:
            answers = self._answers(products, chunks[0].choice)
        except Exception as error:
            if len(chunks) == 1:
                chunks[0].answers.set_exception(error)
                return
            for chunk in chunks:
                self._answer([chunk])
            return
        self.metrics.turn_products.observe(len(products))
        start = 0
        for chunk in chunks:
            own = answers[start : start + len(chunk.products)]
            start += len(own)
            faults = [each for each in own if isinstance(each, PictureError)]
            if faults:
                chunk.answers.set_exception(faults[0])
            else:
                chunk.answers.set_result([each for each in own if isinstance(each, Answer)])

    def _answers(self, products: Sequence[Product[bytes]], choice: Choice) -> list[Answer | PictureError]:
        """For each product its answer; of a strict choice the error of a picture that cannot be read."""
        predictor = self.predictor
        cells = {name: [each.fields.get(name, "") for each in products] for name in predictor.fields.names}
        _, known = align_inputs(None, [each.title for each in products], cells, predictor.fields)
        read = predictor.read([tuple(each.images) or None for each in products], known)
        found = predictor.predict_products(read, DecisionRule(choice.top_k, choice.min_probability))
        answers: list[Answer | PictureError] = [to_answer(found, place) for place in range(len(found))]
        if choice.strict:
            for place, status in enumerate(read.picture_status):
                if status == "unreadable" or place in read.unread:
                    answers[place] = self._fault(products[place].images)
        return answers

    def _fault(self, pictures: Sequence[bytes]) -> PictureError:
        """Why one of the pictures cannot be read."""
        try:
            self._open(pictures)
        except PictureError as error:
            return error
        return PictureError("picture: cannot be decoded")

    @contextmanager
    def _computing(self) -> Iterator[None]:
        self.is_computing = True
        try:
            yield
        finally:
            self.is_computing = False
