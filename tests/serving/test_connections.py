"""`fusionclf serve` at its socket: malformed requests, slow clients, and how long it takes to stop."""

import contextlib
import json
import multiprocessing
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fusionclf.cli import main
from tests.runs import Runs

pytestmark = pytest.mark.slow
# Its model takes half a minute for each prediction.
SLOW = """
import time
from fusionclf.catalog.fields import Fields
from fusionclf.prediction import RunModel
from fusionclf.serving.worker import ModelWorker
class Slow:
    reads_pictures, reads_titles, classes, part = False, True, ("a",), "joint"
    fields = Fields()
    def predict(self, *_, **__):
        time.sleep(30)
    read = predict
    def warm_up(self, *_, **__):
        pass
ModelWorker.warm_up = Slow.warm_up
RunModel.load = lambda *_, **__: Slow()
"""
SHORT = """
from fusionclf.serving import connections
connections.HEAD_SECONDS = connections.AFTER_SECONDS = 1.0
"""
HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Server:
    """`fusionclf serve` in a process that a fork server starts, which has imported what takes seconds."""

    def __init__(self, run: Path, before: str, stderr: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            [__name__, "fusionclf.serving.server", "baselines.linear_text", "uvicorn"]
        )
        os.mkfifo(stderr)
        self.process = context.Process(target=serve, args=(run, before, stderr))
        self.process.start()
        self.stderr = stderr.open()
        line = self.stderr.readline()
        found = re.search(r"at http://127\.0\.0\.1:(\d+); Ctrl-C", line)
        assert found, line
        self.port = int(found[1])


def serve(run: Path, before: str, stderr: Path) -> None:
    """In the process: run `before`, then the command."""
    with stderr.open("w") as stream:
        os.dup2(stream.fileno(), sys.stderr.fileno())
    exec(before, {})
    sys.argv = ["fusionclf", "serve", "--run", str(run), "--port", "0", "--cpu"]
    main()


@contextlib.contextmanager
def served(run: Path, before: str = "") -> Iterator[tuple[Server, int]]:
    """A server and its port; `before` runs in its process first."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(run, before, Path(folder, "stderr"))
        try:
            yield server, server.port
        finally:
            server.process.kill()
            server.process.join()
            server.stderr.close()


def connect(port: int, content: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(content)
    return client


def stop(server: Server) -> str:
    """Standard error of a server that stops within 10 s after a signal."""
    server.process.terminate()
    server.process.join(timeout=10)
    assert server.process.exitcode == 143
    return server.stderr.read()


def whole(client: socket.socket) -> bytes:
    """All that the server sends until it closes the connection."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(2**16):
            found += part
    return found


def status(port: int, content: bytes) -> int:
    """Of the response to a request, on a connection of its own."""
    with connect(port, content) as client:
        found = client.recv(2**16)
    return int(found.split(b" ", 2)[1]) if found else 0


def post(path: str, body: bytes, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    ).encode() + body


def test_malformed_requests_are_refused_quietly(runs: Runs) -> None:
    get, host = b"GET /health HTTP/1.1\r\n", b"Host: 127.0.0.1\r\n"
    with served(runs("linear")) as (server, port):
        assert status(port, HEALTH) == 200
        for content, expected in (
            (get + b"Host: x@127.0.0.1\r\n\r\n", 400),
            (get + host + b"Host: localhost\r\n\r\n", 400),
            (get + b"\r\n", 400),
            (b"GET /health HTTP/1.0\r\n\r\n", 400),
            (b"GET http://127.0.0.1/health HTTP/1.1\r\n" + host + b"\r\n", 400),
            (b"GET http://evil.example/health HTTP/1.1\r\n" + host + b"\r\n", 400),
            (b"OPTIONS * HTTP/1.1\r\n" + host + b"\r\n", 400),
            (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + host + b"\r\n", 400),
            (b"GET /health/ HTTP/1.1\r\n" + host + b"\r\n", 404),
            (b"HEAD /health HTTP/1.1\r\n" + host + b"\r\n", 405),
            (b"TRACE /health HTTP/1.1\r\n" + host + b"\r\n", 405),
            (get + host + b"X: " + b"a" * 2**17 + b"\r\n\r\n", 400),
            (get + host + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
            (get + host + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
            (get + host + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
            (get + host + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 200),
            (post("/predict", b"", 2**80), 400),
        ):
            assert status(port, content) == expected, content[:100]
        assert "Traceback" not in stop(server)


def test_a_client_that_leaves_leaves_no_traceback(runs: Runs) -> None:
    with served(runs("linear")) as (server, port):
        for path in ("/predict", "/explain", "/predict/batch"):
            connect(port, post(path, b"title=Red", 1000)).close()
        time.sleep(0.5)
        assert status(port, HEALTH) == 200
        assert stop(server) == "stopped\n"


def test_slow_clients_do_not_block_others(runs: Runs) -> None:
    with served(runs("linear"), SHORT) as (_, port), contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(port, b"GET /hea")) for _ in range(128)]
        assert status(port, HEALTH) == 503
        until = time.monotonic() + 5
        while time.monotonic() < until and status(port, HEALTH) != 200:
            for client in slow:
                with contextlib.suppress(OSError):
                    client.sendall(b"l")  # to send a little now and then does not help
            time.sleep(0.2)
        assert status(port, HEALTH) == 200


def test_bytes_after_a_refusal_are_read_for_a_limited_time(runs: Runs) -> None:
    with served(runs("linear"), SHORT) as (_, port):
        with connect(port, post("/predict", b"", 2**30)) as client:
            assert b" 413 " in client.recv(2**16)
            started = time.monotonic()
            with pytest.raises(OSError):
                while time.monotonic() < started + 5:
                    client.sendall(b"a")
                    time.sleep(0.1)


def test_it_stops_while_a_slow_client_sends_a_body(runs: Runs) -> None:
    with served(runs("linear")) as (server, port):
        body = post("/predict/batch", b'{"title": ', 1000)
        with connect(port, body), connect(port, b"GET /hea"):
            time.sleep(0.5)
            assert stop(server) == "stopped\n"


@pytest.mark.parametrize("path", ["/predict", "/explain", "/predict/batch"])
def test_it_stops_while_the_model_computes(path: str, runs: Runs) -> None:
    body = b'{"title": "Red"}' if path == "/predict/batch" else b"title=Red"
    with served(runs("linear"), SLOW) as (server, port):
        clients = [connect(port, post(path, body)) for _ in range(3)]  # one runs, two wait
        time.sleep(0.5)
        assert stop(server) == "stopped; a request was not finished\n"
        for client in clients:
            with client:
                head, _, content = whole(client).partition(b"\r\n\r\n")
            assert b" 503 " in head and "the server is shutting down" in json.loads(content)["error"]
