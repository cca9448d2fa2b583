"""One thread that opens pictures and asks the model, for all requests."""

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

from PIL import Image

from fusionclf.catalog import open_picture
from fusionclf.errors import FusionclfError, PredictionError
from fusionclf.explanation.attribution import Explanation, explain_in_steps
from fusionclf.prediction import Answers, Predictor
from fusionclf.prediction.answers import join_answers

WAITING = 32  # requests that may wait for the model
CHUNK_TITLES, CHUNK_CHARACTERS = 32, 8000  # of a batch, answered in one turn
Value = TypeVar("Value")
Steps: TypeAlias = Generator[None, None, Value]  # work that lets others go first wherever it yields


class BusyError(FusionclfError):
    """As many requests as may wait do so already, or the server stops."""


class ModelWorker:
    """Asks a model on one thread: requests take turns, and at most one picture is decoded at a time.

    A long request takes many turns, so that a short one waits for a part of it alone.

    Args:
        predictor: of a finished run.

    Attributes:
        is_computing: whether the thread is at work.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.is_computing = predictor, False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._waiting, self._stopped = 0, False
        self._turns: set[asyncio.Future[tuple[bool, object]]] = set()

    def stop(self) -> None:
        """Refuse all requests from now on, those that wait or run included."""
        self._stopped = True
        for turn in self._turns:
            turn.cancel()

    async def one(
        self, picture: bytes | None, title: str | None, top_k: int, min_probability: float
    ) -> Answers:
        """Answer one product.

        Args:
            picture: the bytes of its file.
            title: its title.
            top_k, min_probability: as of `Predictor.predict`.

        Raises:
            PictureError: it is no picture, or a too large one.
            BusyError: too many requests are waiting.
        """

        def ask() -> Steps[Answers]:
            yield from ()  # in one turn
            return self.predictor.predict(
                [self._opened(picture)],
                [title],
                top_k=top_k,
                min_probability=min_probability,
                errors="collect",
            )

        return await self._in_turns(ask())

    async def many(self, titles: Sequence[str], top_k: int, min_probability: float) -> Answers:
        """Answer products by their titles alone; BusyError where too many requests are waiting."""

        def ask() -> Steps[Answers]:
            answers = []
            for chunk in _chunks(titles):
                answers.append(
                    self.predictor.predict(
                        titles=chunk, top_k=top_k, min_probability=min_probability, errors="collect"
                    )
                )
                yield
            return join_answers(answers)

        return await self._in_turns(ask())

    async def explain(self, picture: bytes | None, title: str | None) -> Explanation:
        """What carried the answer about one product.

        Args:
            picture: the bytes of its file.
            title: its title.

        Raises:
            PictureError: it is no picture, or a too large one.
            PredictionError: there is nothing that the model reads.
            BusyError: too many requests are waiting.
        """

        def ask() -> Steps[Explanation]:
            image = self._opened(picture)
            reason = self.predictor.read([image], [title or ""]).reasons[0]
            if reason:
                raise PredictionError(f"{reason}: give {self.wanted}")
            return (yield from explain_in_steps(self.predictor, image, title))

        return await self._in_turns(ask())

    @property
    def wanted(self) -> str:
        """What a product needs, in words."""
        names = {"a picture": self.predictor.reads_pictures, "a title": self.predictor.reads_titles}
        return " or ".join(name for name, read in names.items() if read)

    def _opened(self, picture: bytes | None) -> Image.Image | None:
        """The picture, for a model that reads pictures."""
        return open_picture(picture) if picture is not None and self.predictor.reads_pictures else None

    async def _in_turns(self, steps: Steps[Value]) -> Value:
        """What `steps` return; between two of them, everyone who waits has a turn."""
        if self._waiting >= WAITING:
            raise BusyError(f"{WAITING} requests are waiting for the model; ask again in a moment")
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
            raise BusyError("the server stops; ask again when it runs")
        turn = asyncio.get_running_loop().run_in_executor(self._thread, advance)
        self._turns.add(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if self._stopped:
                raise BusyError("the server stops; ask again when it runs") from None
            raise
        finally:
            self._turns.discard(turn)

    def _advance(self, steps: Steps[Value]) -> tuple[bool, Value | None]:
        """Take one step; whether it was the last one, and what came of it."""
        self.is_computing = True
        try:
            next(steps)
        except StopIteration as end:
            return True, end.value
        finally:
            self.is_computing = False
        return False, None


def _chunks(titles: Sequence[str]) -> Iterator[list[str]]:
    """The titles in order, CHUNK_TITLES at a time; fewer where they are long."""
    chunk: list[str] = []
    characters = 0
    for title in titles:
        if chunk and (len(chunk) == CHUNK_TITLES or characters + len(title) > CHUNK_CHARACTERS):
            yield chunk
            chunk, characters = [], 0
        chunk.append(title)
        characters += len(title)
    yield chunk
