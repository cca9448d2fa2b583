"""Limits on the size of a request's body, and on the time it takes to arrive."""

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FORM_BYTES = 2**16  # of a body for any path without its own limit
BODY_SECONDS = 120.0


class Limits:
    """ASGI middleware that limits bodies, also those whose Content-Length is wrong or missing.

    Args:
        app: receives the requests.
        most_bytes: path → most bytes of a request's body.
    """

    def __init__(self, app: ASGIApp, most_bytes: Mapping[str, int]) -> None:
        self.app, self.most_bytes = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.most_bytes.get(scope["path"], FORM_BYTES)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > most):
            await JSONResponse({"error": _too_large(most)}, 413)(scope, receive, send)
        else:
            await self.app(scope, _bounded(receive, most), send)


def _bounded(receive: Receive, most: int) -> Receive:
    """`receive` limited to `most` bytes of body within BODY_SECONDS."""
    received, complete = 0, False
    until = asyncio.get_running_loop().time() + BODY_SECONDS

    async def bounded() -> Message:
        nonlocal received, complete
        try:
            async with asyncio.timeout_at(None if complete else until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                408, f"the body took longer than {BODY_SECONDS:g} s; send less at once"
            ) from None
        complete = not message.get("more_body", False)
        received += len(message.get("body", b""))
        if received > most:
            raise HTTPException(413, _too_large(most))
        return message

    return bounded


def _too_large(most: int) -> str:
    size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most // 2**10} KiB"
    return f"the request is larger than {size}; send less"
