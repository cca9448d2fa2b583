"""One picture of a URL: requested, tried again where that may help, limited in bytes and time, checked."""

import random
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO

import httpx2
from PIL import Image

from fusionclf.catalog.decoding import FORMATS, JPEG, open_picture
from fusionclf.catalog.fetching.addresses import AddressError, CheckedTransport, IsAllowed, is_public
from fusionclf.catalog.fetching.streams import limited_by
from fusionclf.errors import FusionclfError, PictureError

TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # HTTP status codes
MOST_REDIRECTS = 5
SUFFIXES = {
    "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "AVIF": ".avif", "TIFF": ".tif",
    "BMP": ".bmp", "JPEG2000": ".jp2",
}  # fmt: skip


@dataclass(frozen=True)
class FetchLimits:
    """Limits of a download.

    Attributes:
        picture_bytes: of one picture.
        total_bytes: of all pictures.
        seconds: for one try of one picture, redirects included; a third of it for each answer to begin or go on.
        tries: of one picture.
        backoff: seconds before the second try; each further one waits twice as long.
        longest_wait: seconds that a server may ask for by Retry-After.
        connections, host_connections: at the same time, in all and to one host.
        is_allowed: IP address → whether it may be connected to.
    """

    picture_bytes: int = 20 * 2**20
    total_bytes: int = 10 * 2**30
    seconds: float = 60.0
    tries: int = 4
    backoff: float = 1.0
    longest_wait: float = 60.0
    connections: int = 16
    host_connections: int = 4
    is_allowed: IsAllowed = is_public


class FetchError(FusionclfError):
    """A picture cannot be downloaded. `reason` is the kind of fault; the text has its details.

    Attributes:
        reason: such as "HTTP 404".
        wait: seconds after which another try may help; None where none does.
    """

    def __init__(self, reason: str, detail: str = "", wait: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.wait = reason, wait


class StoppedError(FetchError):
    """The command is ending."""


def open_client(limits: FetchLimits, agent: str) -> httpx2.Client:
    """A client that keeps the limits; close it."""
    return httpx2.Client(
        transport=CheckedTransport(limits.is_allowed, limits.connections),
        timeout=limits.seconds / 3,
        trust_env=False,
        headers={"User-Agent": agent, "Accept": "image/*", "Accept-Encoding": "identity"},
    )


def download(
    client: httpx2.Client, url: str, limits: FetchLimits, stopped: threading.Event
) -> tuple[bytes, str]:
    """A picture's file and its suffix by its content.

    Args:
        client: from `open_client`.
        url: of the picture.
        limits: bytes, time and tries.
        stopped: set where the command is ending.

    Raises:
        FetchError: it cannot be downloaded, or is no picture that is read.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise FetchError("not http or https")
    for number in range(limits.tries):
        try:
            content = _try(client, url, limits, stopped)
            return content, _suffix(content)
        except FetchError as error:
            last = number + 1 == limits.tries
            if error.wait is None or last or error.wait > limits.longest_wait:
                raise
            delay = limits.backoff * 2**number * random.uniform(0.5, 1.0)
            if stopped.wait(max(error.wait, delay)):
                raise StoppedError("stopped") from None
    raise AssertionError("unreachable")


def _try(client: httpx2.Client, url: str, limits: FetchLimits, stopped: threading.Event) -> bytes:
    """The body of a successful answer; redirects are followed."""
    until = time.monotonic() + limits.seconds

    def check() -> None:
        if stopped.is_set():
            raise StoppedError("stopped")
        if time.monotonic() > until:
            raise FetchError("too slow", f"more than {limits.seconds:g} s", wait=0.0)

    try:
        with limited_by(check):
            return _followed(client, url, limits)
    except AddressError as error:
        raise FetchError("private address", f"{error}; --allow-private allows it") from error
    except httpx2.TimeoutException as error:
        raise FetchError("too slow", wait=0.0) from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError, ValueError) as error:
        raise FetchError("not a valid URL", str(error)[:100]) from error
    except httpx2.HTTPError as error:
        raise FetchError("connection failed", str(error)[:100], wait=0.0) from error


def _followed(client: httpx2.Client, url: str, limits: FetchLimits) -> bytes:
    request: httpx2.Request | None = client.build_request("GET", url)
    for _ in range(MOST_REDIRECTS + 1):
        with closing(client.send(request, stream=True)) as response:
            if not response.has_redirect_location:
                return _answer(response, limits.picture_bytes)
            request = response.next_request  # its own body, of any length, stays unread
        if request is None:
            raise FetchError("not a valid URL", "of a redirect")
    raise FetchError("too many redirects")


def _answer(response: httpx2.Response, most: int) -> bytes:
    if (code := response.status_code) != 200:
        raise FetchError(f"HTTP {code}", wait=_retry_after(response) if code in TRY_AGAIN else None)
    return _body(response, most)


def _body(response: httpx2.Response, most: int) -> bytes:
    declared = response.headers.get("Content-Length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > most):
        raise FetchError("too large", f"{declared[:18]} bytes, at most {most:,} are read")
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > most:
            raise FetchError("too large", f"more than {most:,} bytes")
    return bytes(content)


def _retry_after(response: httpx2.Response) -> float:
    """Seconds that the server asks to wait; 0 where it does not."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _suffix(content: bytes) -> str:
    """The suffix of a picture's format, after it was decoded as every picture is."""
    try:
        open_picture(content)
    except PictureError as error:
        raise FetchError("not a picture that is read", str(error).removeprefix("picture: ")) from error
    if content.startswith(JPEG):  # `open_picture` also reads some that Pillow does not
        return SUFFIXES["JPEG"]
    with Image.open(BytesIO(content), formats=FORMATS) as picture:
        return SUFFIXES[str(picture.format)]
