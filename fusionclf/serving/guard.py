"""Accepted host names and origins; strict security headers for every response."""

import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fusionclf.errors import SettingsError

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
READING = ("GET", "HEAD")  # methods without an effect; a page of another origin cannot see the response
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
LAST_PORT = 2**16 - 1
STANDARD_PORTS = {"http": 80, "https": 443}  # which browsers leave out


class Guard:
    """ASGI middleware that refuses requests for other hosts, of other origins, and WebSockets.

    Args:
        app: the application.
        hosts: accepted host names, so that another site cannot reach the server by a name of its own that resolves to
            this address (DNS rebinding); None for any.
        origins: other origins whose pages may use the server, from `parse_origin`.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, origins: Collection[str] = ()) -> None:
        self.app, self.hosts, self.origins = app, hosts, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no WebSockets here"})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        response = self._refusal(scope, Headers(scope=scope)) or self.app
        await response(scope, receive, send_strictly)

    def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        """The error response to a forbidden request; None for an allowed one."""
        hosts = headers.getlist("host")
        host = _host_name(hosts)
        if not scope["path"].startswith("/"):
            return _refuse(400, "the request target is not a path; send it to this server, not to a proxy")
        if host is None and (hosts or self.hosts is not None):
            return _refuse(
                400, "the Host header is missing, malformed or repeated; send one, such as localhost:8000"
            )
        if self.hosts is not None and host not in self.hosts:
            return _refuse(421, "this server is not served under that host name; see --host")
        if scope["method"] not in READING and self._is_cross_origin(headers):
            origin = headers.get("origin", "not given")[:100]
            return _refuse(403, f"sent by a page of another origin ({origin}); --allow-origin allows one")
        return None

    def _is_cross_origin(self, headers: Headers) -> bool:
        """Whether a browser sent this for a page of an origin that is neither the server's own nor allowed.

        Source: Go's net/http CrossOriginProtection. A page cannot set these headers; programs send neither.
        """
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        if len(origins) == 1 and origins[0] in self.origins:
            return False
        if sites:
            return sites not in (["same-origin"], ["none"])
        host = headers.get("host", "").lower()
        return bool(origins) and origins not in ([f"http://{host}"], [f"https://{host}"])


def parse_origin(text: str) -> str:
    """An origin as browsers send it, from text that a person wrote.

    Raises:
        SettingsError: it is not an origin of http or https.

    >>> parse_origin("https://Shop.example:443/")
    'https://shop.example'
    """
    scheme, _, rest = text.removesuffix("/").partition("://")
    match = HOST.fullmatch(rest)
    port = match and _port(match)
    if scheme not in STANDARD_PORTS or match is None or port is None:
        raise SettingsError(
            f"--allow-origin {text[:100]!r}: not an origin; give scheme, host and port alone, such as "
            "https://shop.example or http://localhost:3000 (a name with other letters as xn--…)"
        )
    shown = f":{port}" if port and port != STANDARD_PORTS[scheme] else ""
    return f"{scheme}://{match[1].lower()}{shown}"


def _host_name(values: list[str]) -> str | None:
    """The name in the Host header, without port and brackets; None where it is missing, malformed or repeated."""
    match = HOST.fullmatch(values[0]) if len(values) == 1 else None
    return None if match is None or _port(match) is None else match[1].strip("[]").lower()


def _port(match: re.Match[str]) -> int | None:
    """The port of a match of HOST, 0 where none is given; None where no port has that number."""
    if match[2] is None:
        return 0
    return int(match[2]) if 0 < int(match[2]) <= LAST_PORT else None


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)
