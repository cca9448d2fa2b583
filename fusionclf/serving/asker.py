"""One thread that opens pictures and asks the model, for all requests."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from fusionclf.catalog import open_picture
from fusionclf.errors import FusionclfError, PredictionError
from fusionclf.prediction import Answers, Predictor
from fusionclf.prediction.explain import Explanation

WAITING = 32  # requests that may wait for the model
Value = TypeVar("Value")


class BusyError(FusionclfError):
    """As many requests as may wait do so already."""


class Asker:
    """Asks a model on one thread: requests take turns, and at most one picture is decoded at a time.

    Args:
        predictor: of a finished run.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._waiting = 0

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

        def ask() -> Answers:
            return self.predictor.predict(
                [self._opened(picture)],
                [title],
                top_k=top_k,
                min_probability=min_probability,
                errors="collect",
            )

        return await self._in_turn(ask)

    async def many(self, titles: Sequence[str], top_k: int, min_probability: float) -> Answers:
        """Answer products by their titles alone; BusyError where too many requests are waiting."""
        return await self._in_turn(
            lambda: self.predictor.predict(
                titles=titles, top_k=top_k, min_probability=min_probability, errors="collect"
            )
        )

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

        def ask() -> Explanation:
            image = self._opened(picture)
            reason = self.predictor.read([image], [title or ""]).reasons[0]
            if reason:
                raise PredictionError(f"{reason}: give {self.wanted}")
            return self.predictor.explain(image, title)

        return await self._in_turn(ask)

    @property
    def wanted(self) -> str:
        """What a product needs, in words."""
        names = {"a picture": self.predictor.reads_pictures, "a title": self.predictor.reads_titles}
        return " or ".join(name for name, read in names.items() if read)

    def _opened(self, picture: bytes | None) -> Image.Image | None:
        """The picture, for a model that reads pictures."""
        return open_picture(picture) if picture is not None and self.predictor.reads_pictures else None

    async def _in_turn(self, ask: Callable[[], Value]) -> Value:
        if self._waiting >= WAITING:
            raise BusyError(f"{WAITING} requests are waiting for the model; ask again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, ask)
        finally:
            self._waiting -= 1
