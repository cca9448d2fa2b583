"""What every request passes before it reaches the endpoint: known hosts, bounded bodies, strict headers."""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FORM_BYTES = 2**16  # of a body that is for no endpoint with a limit of its own


class Guard:
    """ASGI middleware.

    Args:
        app: what is guarded.
        hosts: names under which the server may be asked, so that another site cannot reach it by a name of its own that
            points here; None for any.
        most_bytes: path → bytes of a request's body.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, most_bytes: Mapping[str, int]) -> None:
        self.app, self.hosts, self.most_bytes = app, hosts, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is not allowed, count the bytes of the rest."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        most = self.most_bytes.get(scope["path"], FORM_BYTES)
        told = headers.get("content-length", "")
        if self.hosts is not None and _host(headers) not in self.hosts:
            refusal = _refusal(421, "asked under another host name than it is served at; see --host")
            await refusal(scope, receive, send_strictly)
        elif told.isdecimal() and int(told) > most:
            await _refusal(413, _too_large(most))(scope, receive, send_strictly)
        else:
            await self.app(scope, _counted(receive, most), send_strictly)


def _counted(receive: Receive, most: int) -> Receive:
    """What a client sends, up to `most` bytes: it need not tell its length, or tell it truly."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, _too_large(most))
        return message

    return counted


def _too_large(most: int) -> str:
    size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most // 2**10} KiB"
    return f"the request is larger than {size}; send less"


def _refusal(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)


def _host(headers: Headers) -> str | None:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return None
