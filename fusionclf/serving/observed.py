"""What happens to each request: its id, its time, and a line of the log."""

import json
import re
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fusionclf.serving.metrics import Metrics

REQUEST_ID = "X-Request-ID"
PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CLIENT_LEFT = 499  # no response was sent; as nginx calls it
LONGEST_PATH = 200  # characters of a path that the log has


class Observed:
    """ASGI middleware that counts requests, times them, and writes a line of JSON for each.

    A response has the header X-Request-ID: the request's own, if it is plain, or a new one.

    Args:
        app: receives the requests.
        metrics: where they are counted.
        paths: that get counters of their own; all others share one.
        log: gets a line without its end for each request; None: no log.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, paths: Collection[str], log: Callable[[str], None] | None = None
    ) -> None:
        self.app, self.metrics, self.paths, self.log = app, metrics, frozenset(paths), log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, request_id = time.perf_counter(), CLIENT_LEFT, _request_id(scope)
        state = scope.setdefault("state", {})
        state.update(decisions=[], error="")

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            seconds, path = time.perf_counter() - started, scope["path"]
            known = path if path in self.paths else "other"
            self.metrics.count(known, status, seconds, state["decisions"])
            if self.log is not None:
                line = {
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "request_id": request_id,
                    "method": scope["method"],
                    "path": path[:LONGEST_PATH],
                    "status": status,
                    "seconds": round(seconds, 4),
                    "products": len(state["decisions"]),
                    "decisions": dict(Counter(state["decisions"])),
                }
                self.log(json.dumps(line | ({"error": state["error"]} if state["error"] else {})))


def note_decisions(request: Request, decisions: list[str]) -> None:
    """Count the decisions for a request's products."""
    request.state.decisions = decisions


def note_error(request: Request, reason: str) -> None:
    """Log why a request was refused."""
    request.state.error = reason


def print_line(line: str) -> None:
    """Write a line to standard output at once; a log that nobody reads any more stops no request."""
    with suppress(OSError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _request_id(scope: Scope) -> Any:
    given = Headers(scope=scope).get(REQUEST_ID, "")
    return given if PLAIN_ID.fullmatch(given) else uuid.uuid4().hex
