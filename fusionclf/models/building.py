"""How a model is built whose weights are stored: without first weights, and where that is wanted without pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class StoredBuild:
    """What encoders need to know of a model that is built to take stored weights.

    Attributes:
        image_dim: width of the picture encoder's features, whose network is built later; None: it is built now.
    """

    image_dim: int | None = None


_BUILD: ContextVar[StoredBuild | None] = ContextVar("stored_build", default=None)


@contextmanager
def building_stored(image_dim: int | None = None) -> Iterator[None]:
    """Within it, encoders are built to take stored weights."""
    token = _BUILD.set(StoredBuild(image_dim))
    try:
        yield
    finally:
        _BUILD.reset(token)


def stored_build() -> StoredBuild | None:
    """The build that is under way; None where first weights are needed."""
    return _BUILD.get()
