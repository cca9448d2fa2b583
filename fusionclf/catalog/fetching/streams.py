"""Streams that look at a limit before each wait for the network, also while a server sends its headers."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore2

_check: ContextVar[Callable[[], None]] = ContextVar("_check", default=lambda: None)


@contextmanager
def limited_by(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` before each wait of this thread for the network; its error ends the request."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def check_limit() -> None:
    """Raise the error of the limit that this thread has reached."""
    _check.get()()


class LimitedStream(httpcore2.NetworkStream):
    """A stream that looks at the limit of `limited_by` before it waits for the server.

    Args:
        stream: the one that reads and writes.
    """

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        check_limit()
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        check_limit()
        return LimitedStream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
