"""uvicorn with time limits: for slow clients, and for requests that run when the server stops."""

import asyncio
import socket

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from fusionclf.serving.worker import ModelWorker

CONNECTIONS = 128  # at the same time
FINISH_SECONDS = 4  # for requests that run when a signal stops the server
HEAD_SECONDS = 10.0  # to send the head of a request
AFTER_SECONDS = 60.0  # to read a response, and to send the rest of a refused request


class TimedProtocol(H11Protocol):
    """Closes the connection of a client that is too slow.

    uvicorn alone waits without a limit, and connections are limited: a few slow clients could block all others.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._close_after(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._close_after(None)  # the application limits the time of the body
        elif self._deadline is None and self.conn.their_state is h11.IDLE:
            self._close_after(HEAD_SECONDS)

    def on_response_complete(self) -> None:
        super().on_response_complete()  # may start the next pipelined request
        self._close_after(AFTER_SECONDS if self.cycle.response_complete else None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_after(None)
        super().connection_lost(exc)

    def _close_after(self, seconds: float | None) -> None:
        """Close the connection after some seconds; None: never."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


class Server(uvicorn.Server):
    """Serves an application until a signal stops it; the signal is raised again afterwards.

    Requests that run then have FINISH_SECONDS; after that they are refused, and slow connections closed.

    Args:
        app: the application.
        worker: runs the model for its requests.
    """

    def __init__(self, app: ASGIApp, worker: ModelWorker) -> None:
        super().__init__(
            uvicorn.Config(
                app, http=TimedProtocol, ws="none", proxy_headers=False, server_header=False, access_log=False,
                log_level="warning", limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=FINISH_SECONDS + 2,
            )
        )  # fmt: skip
        self.worker = worker

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(FINISH_SECONDS, self.worker.stop)
        loop.call_later(FINISH_SECONDS + 0.5, self._close_all)  # after the refusals are sent
        await super().shutdown(sockets)

    def _close_all(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
