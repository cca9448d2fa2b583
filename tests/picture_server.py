"""A server of pictures on 127.0.0.1 whose paths say how it behaves."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import unquote

from PIL import Image


def picture(level: int = 7, kind: str = "PNG") -> bytes:
    """A small picture's file."""
    stream = BytesIO()
    Image.new("RGB", (12, 9), (level, 9, 40)).save(stream, kind)
    return stream.getvalue()


class PictureServer(ThreadingHTTPServer):
    """Answers by the first word of a path: good, jpeg, missing, once, busy, slow, drip, large, long, text, cut, to,
    later, heavy, cropped.

    Attributes:
        requests: path → number of its requests.
        most_open: requests that waited for an answer at the same time.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()
        self.open = self.most_open = 0
        self.lock = threading.Lock()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class _Handler(BaseHTTPRequestHandler):
    server: PictureServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.requests[self.path[1:]] += 1
            self.server.open += 1
            self.server.most_open = max(self.server.most_open, self.server.open)
        time.sleep(0.01)
        with self.server.lock:  # before the answer, after which the client may send the next request
            self.server.open -= 1
        try:
            kind, _, rest = self.path[1:].partition("/")
            getattr(self, f"answer_{kind}")(rest)
        except OSError:
            pass  # the client has left

    def send(self, code: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(length or len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_good(self, rest: str) -> None:
        self.send(200, picture(len(rest)))

    def answer_jpeg(self, _: str) -> None:
        self.send(200, picture(kind="JPEG"), Content_Type="text/html")

    def answer_missing(self, _: str) -> None:
        self.send(404)

    def answer_once(self, _: str) -> None:
        code = 500 if self.server.requests[self.path[1:]] == 1 else 200
        self.send(code, picture() if code == 200 else b"")

    def answer_busy(self, rest: str) -> None:
        code = 503 if self.server.requests[self.path[1:]] == 1 else 200
        if code == 503:
            self.send(code, Retry_After=unquote(rest))
        else:
            self.send(code, picture())

    def answer_slow(self, _: str) -> None:
        self.send(200, b"", length=1000)
        for _step in range(40):
            time.sleep(0.02)
            self.wfile.write(b".")

    def answer_drip(self, _: str) -> None:
        """Headers that never end."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        for _step in range(100):
            time.sleep(0.02)
            self.wfile.write(b".")

    def answer_large(self, _: str) -> None:
        self.send(200, b"x" * 100, length=10**9)

    def answer_long(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()  # without a length
        self.wfile.write(b"\x89PNG" * 100_000)

    def answer_text(self, _: str) -> None:
        self.send(200, b"<html>no picture</html>", Content_Type="image/png")

    def answer_cut(self, _: str) -> None:
        self.send(200, picture()[:40], length=len(picture()))

    def answer_to(self, rest: str) -> None:
        self.send(302, Location=rest if "://" in rest else f"/{rest}")

    def answer_later(self, rest: str) -> None:
        time.sleep(0.15)
        self.answer_to(rest)

    def answer_heavy(self, rest: str) -> None:
        """A redirect with a body that never arrives whole."""
        self.send(302, b"x" * 1000, length=10**9, Location=f"/{rest}")

    def answer_cropped(self, _: str) -> None:
        """A whole JPEG with half an Adobe segment, which Pillow cannot open."""
        jpeg = picture(kind="JPEG")
        self.send(200, jpeg[:2] + b"\xff\xee\x00\x07Adobe" + jpeg[2:])

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def picture_server() -> Iterator[PictureServer]:
    """A running server."""
    with PictureServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
