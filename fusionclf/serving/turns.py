"""Products of several requests that are predicted together, and how they are divided and joined."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock

from fusionclf.prediction.io.products import Product
from fusionclf.serving.schemas import Answer

TURN_PRODUCTS, TURN_CHARACTERS = 32, 8000  # predicted in one turn


@dataclass(frozen=True)
class Choice:
    """How probabilities become an answer; requests that agree in it may share a turn.

    Attributes:
        top_k, min_probability: as in `Predictor.predict`.
        strict: a picture that cannot be read is an error, even where there is a title.
    """

    top_k: int
    min_probability: float | None
    strict: bool = False


@dataclass(frozen=True)
class Chunk:
    """Products of one request, at most a turn's; their answers come by `answers`."""

    products: Sequence[Product[bytes]]
    choice: Choice
    answers: "Future[list[Answer]]" = field(default_factory=Future)

    @property
    def characters(self) -> int:
        """Length of all its texts."""
        return sum(map(_characters, self.products))


class Queue:
    """Chunks that wait for the model, in their order; two threads may use it."""

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self._lock = Lock()

    def put(self, chunk: Chunk) -> None:
        """Add a chunk at the end."""
        with self._lock:
            self._chunks.append(chunk)

    def take(self) -> list[Chunk]:
        """The first chunk, and those after it that agree in their choice and fit into the same turn; [] where none is.

        Chunks that nobody waits for any more are dropped.
        """
        taken, left = list[Chunk](), deque[Chunk]()
        products = characters = 0
        with self._lock:
            for chunk in self._chunks:
                more, longer = products + len(chunk.products), characters + chunk.characters
                fits = more <= TURN_PRODUCTS and longer <= TURN_CHARACTERS
                if taken and not (fits and chunk.choice == taken[0].choice):
                    left.append(chunk)
                elif chunk.answers.set_running_or_notify_cancel():
                    taken.append(chunk)
                    products, characters = more, longer
            self._chunks = left
        return taken


def split(products: Sequence[Product[bytes]]) -> Iterator[Sequence[Product[bytes]]]:
    """The products in order, at most TURN_PRODUCTS and TURN_CHARACTERS at a time, one at least."""
    start = characters = 0
    for place, product in enumerate(products):
        length = _characters(product)
        if place > start and (place - start == TURN_PRODUCTS or characters + length > TURN_CHARACTERS):
            yield products[start:place]
            start, characters = place, 0
        characters += length
    yield products[start:]


def _characters(product: Product[bytes]) -> int:
    return len(product.title or "") + sum(map(len, product.fields.values()))
