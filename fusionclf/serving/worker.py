"""One thread that decodes pictures and runs the model, for all requests."""

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

import numpy as np
import pandas as pd
from PIL import Image

from fusionclf.catalog import open_picture
from fusionclf.catalog.fields import TITLE
from fusionclf.errors import FusionclfError, PredictionError
from fusionclf.explanation import Explanation
from fusionclf.explanation.occlusion import explain_in_steps
from fusionclf.prediction import Answers, Predictor
from fusionclf.prediction.answers import join_answers
from fusionclf.prediction.io.products import Product, align_inputs

WAITING = 32  # requests that may wait for the model
CHUNK_TITLES, CHUNK_CHARACTERS = 32, 8000  # of a batch, predicted in one turn
Value = TypeVar("Value")
Steps: TypeAlias = Generator[None, None, Value]  # work that gives other requests a turn at each yield


class BusyError(FusionclfError):
    """The queue is full, or the server stops."""


class ModelWorker:
    """Runs a model on one thread: requests take turns, and at most one picture is decoded at a time.

    A long request takes many turns, so that a short one waits only for one turn.

    Args:
        predictor: of a finished run.

    Attributes:
        is_computing: whether the thread is computing.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.is_computing = predictor, False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._waiting, self._stopped = 0, False
        self._turns: set[asyncio.Future[tuple[bool, object]]] = set()

    def stop(self) -> None:
        """Refuse all requests from now on, including those that wait or run."""
        self._stopped = True
        for turn in self._turns:
            turn.cancel()

    async def predict_product(
        self, product: Product[bytes], top_k: int, min_probability: float | None
    ) -> Answers:
        """The answer for one product.

        Args:
            product: what is known of it.
            top_k, min_probability: as in `Predictor.predict`.

        Raises:
            PictureError: it is not a picture, or too large.
            BusyError: too many requests wait.
        """

        def steps() -> Steps[Answers]:
            yield from ()  # one turn
            return self.predictor.predict(
                [self._open(product.images)],
                [product.title],
                product.columns,
                top_k=top_k,
                min_probability=min_probability,
                errors="collect",
            )

        return await self._in_turns(steps())

    async def predict_fields(
        self, products: pd.DataFrame, top_k: int, min_probability: float | None
    ) -> Answers:
        """The answers for products without pictures; raises BusyError where too many requests wait.

        Args:
            products: the column `title`, and one for each further field that the model reads.
            top_k, min_probability: as in `Predictor.predict`.
        """
        further = self.predictor.fields.names

        def steps() -> Steps[Answers]:
            answers = []
            for rows in _chunks(products):
                chunk = products.iloc[rows]
                answers.append(
                    self.predictor.predict(
                        titles=chunk[TITLE].tolist(),
                        fields={name: chunk[name].tolist() for name in further},
                        top_k=top_k,
                        min_probability=min_probability,
                        errors="collect",
                    )
                )
                yield
            return join_answers(answers)

        return await self._in_turns(steps())

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

    async def _in_turns(self, steps: Steps[Value]) -> Value:
        """The return value of `steps`; between two steps, every waiting request has a turn."""
        if self._waiting >= WAITING:
            raise BusyError(f"{WAITING} requests are waiting for the model; try again in a moment")
        self._waiting += 1
        try:
            while True:
                done, value = await self._turn(lambda: self._advance(steps))
                if done:
                    return value  # pyright: ignore[reportReturnType]
        finally:
            self._waiting -= 1

    async def _turn(self, advance: Callable[[], tuple[bool, object]]) -> tuple[bool, object]:
        if self._stopped:
            raise BusyError("the server stops; try again when it runs")
        turn = asyncio.get_running_loop().run_in_executor(self._thread, advance)
        self._turns.add(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if self._stopped:
                raise BusyError("the server stops; try again when it runs") from None
            raise
        finally:
            self._turns.discard(turn)

    def _advance(self, steps: Steps[Value]) -> tuple[bool, Value | None]:
        """Take one step: (whether it was the last, return value)."""
        self.is_computing = True
        try:
            next(steps)
        except StopIteration as end:
            return True, end.value
        finally:
            self.is_computing = False
        return False, None


def _chunks(products: pd.DataFrame) -> Iterator[slice]:
    """Rows of the products in order, at most CHUNK_TITLES and CHUNK_CHARACTERS at a time."""
    lengths = np.sum([products[name].str.len() for name in products], axis=0).tolist()
    start = characters = 0
    for row, length in enumerate(lengths):
        if row > start and (row - start == CHUNK_TITLES or characters + length > CHUNK_CHARACTERS):
            yield slice(start, row)
            start, characters = row, 0
        characters += length
    yield slice(start, len(products))
