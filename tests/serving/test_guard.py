"""What the endpoint refuses: too large bodies, other hosts, too many requests; and its strict headers."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException

from fusionclf.catalog.fields import Fields
from fusionclf.serving import guard, limits, worker
from fusionclf.serving import schemas as values
from fusionclf.serving.worker import ModelWorker
from tests.serving.conftest import Serve, refused


def test_a_declared_length_over_the_limit_is_refused_unread(fusion: TestClient) -> None:
    large = b"a" * (values.PICTURE_BYTES + 2**17)
    assert "larger than 20 MiB;" in refused(fusion.post("/predict", files={"picture": large}), 413)
    assert "larger than 64 KiB;" in refused(
        fusion.post("/health", content=b"a" * (limits.FORM_BYTES + 1)), 413
    )


@pytest.mark.parametrize("path", ["/predict", "/explain", "/predict/batch"])
def test_a_body_without_a_length_is_counted(fusion: TestClient, path: str) -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
        while sent < 100:
            sent += 1
            yield b"a" * 2**20

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert "larger than" in refused(fusion.post(path, content=endless(), headers=kind), 413)


def test_bytes_of_all_messages_are_limited() -> None:
    """Without the test client, which sends a body in one message."""
    received, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": b"a" * 40, "more_body": received < 10}

    async def send(message: Any) -> None:
        sent.append(message)

    async def reads_all(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    limited = limits.Limits(reads_all, {"/few": 100, "/many": 400})
    scope = {"type": "http", "path": "/many", "headers": []}
    asyncio.run(limited(scope, receive, send))
    assert received == 10
    received = 0
    with pytest.raises(HTTPException, match="larger than"):
        asyncio.run(limited({**scope, "path": "/few"}, receive, send))
    assert received == 3 and sent == []


@pytest.mark.parametrize("complete", [False, True])
def test_only_a_body_that_is_late_is_refused(complete: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.05)
    messages = [{"type": "http.request", "body": b"a", "more_body": not complete}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.sleep(0.2)
            return {"type": "http.disconnect"}
        return messages.pop()

    async def reads_twice(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"

    async def send(message: Any) -> None:
        raise AssertionError(message)

    limited = limits.Limits(reads_twice, {})
    response = limited({"type": "http", "path": "/predict", "headers": []}, receive, send)
    if complete:
        asyncio.run(response)
    else:
        with pytest.raises(HTTPException, match="the body took longer than"):
            asyncio.run(response)


def test_a_form_of_many_parts_is_refused(fusion: TestClient) -> None:
    many = [("picture", ("a.png", b"a")) for _ in range(9)]
    assert "Too many files" in refused(fusion.post("/predict", files=many), 400)
    assert "Too many fields" in refused(fusion.post("/predict", data={f"f{n}": "a" for n in range(9)}), 400)


def test_a_websocket_is_refused(serve: Serve) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), serve("linear").websocket_connect("/predict"):
        pass


def test_an_explanation_has_the_limit_of_a_picture(fusion: TestClient) -> None:
    large = {"picture": b"a" * (values.PICTURE_BYTES + 2**17)}
    assert "larger than 20 MiB;" in refused(fusion.post("/explain", files=large), 413)


def test_an_explanation_waits_its_turn(fusion: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WAITING", 0)
    busy = fusion.post("/explain", data={"title": "Red"})
    assert "requests are waiting" in refused(busy, 503) and busy.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("path", "status"), [("/nothing", 404), ("/predict", 405), ("/../pyproject.toml", 404)]
)
def test_other_paths_and_methods_are_refused_as_json(fusion: TestClient, path: str, status: int) -> None:
    assert refused(fusion.get(path), status)


@pytest.mark.parametrize("path", ["/", "/page.js", "/health", "/nothing"])
def test_every_answer_carries_the_strict_headers(fusion: TestClient, path: str) -> None:
    headers = fusion.get(path).headers
    assert {name: headers[name] for name in guard.HEADERS} == guard.HEADERS
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


def test_the_page_asks_for_nothing_from_elsewhere(fusion: TestClient) -> None:
    page = fusion.get("/").text
    assert "//" not in page and "<script>" not in page and "style=" not in page


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "0.0.0.0", "localhost."])
def test_another_host_name_is_refused(fusion: TestClient, host: str) -> None:
    assert "not served under that host name" in refused(fusion.get("/health", headers={"Host": host}), 421)


@pytest.mark.parametrize(
    "host",
    ["", "[", "x@127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:8000:8000",
     "127.0.0.1/x", "127.0.0.1?x", "127.0.0.1#x", "127.0.0.1, evil.example", "127.0.0.1\t", "[::1%25lo]",
     "127.0.0.1:+80", "löcalhost".encode().decode("latin-1")],
)  # fmt: skip
def test_a_malformed_host_is_refused(fusion: TestClient, host: str) -> None:
    header = host.encode("latin-1")
    assert "Host header" in refused(fusion.get("/health", headers={b"Host": header}), 400)  # type: ignore[dict-item]


def test_a_malformed_host_is_refused_where_any_name_is_served(serve: Serve) -> None:
    client: Any = TestClient(guard.Guard(serve("linear").app, None), "http://127.0.0.1")
    assert "Host header" in refused(client.get("/health", headers={"Host": "x@127.0.0.1"}), 400)


def test_several_hosts_are_refused(fusion: TestClient) -> None:
    headers = [("Host", "127.0.0.1"), ("Host", "localhost")]
    assert "Host header" in refused(fusion.get("/health", headers=headers), 400)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:8000", "LOCALHOST:80"])
def test_its_own_host_names_are_not(fusion: TestClient, host: str) -> None:
    assert fusion.get("/health", headers={"Host": host}).status_code == 200


class Slow:
    """Replaces a predictor: predicts after a signal, and counts the calls that run."""

    reads_pictures, reads_titles, classes, part = False, True, ("a",), "joint"
    fields, model = Fields(), SimpleNamespace(decision=None)

    def __init__(self) -> None:
        self.go, self.entered = threading.Event(), threading.Event()
        self.inside, self.most = 0, 0

    def read(self, *_: Any, **__: Any) -> Any:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.set()
        assert self.go.wait(30)
        self.inside -= 1
        raise ValueError("secret of the inside")


def test_one_request_runs_at_a_time_and_a_full_queue_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fusionclf.serving.app import make_app

    monkeypatch.setattr(worker, "WAITING", 3)
    slow: Any = Slow()
    found: list[Any] = []
    slow_worker = ModelWorker(slow)
    with TestClient(make_app(slow_worker, "slow"), raise_server_exceptions=False) as client:

        def ask() -> None:
            found.append(client.post("/predict", data={"title": "Red"}))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert slow.entered.wait(30)
        while slow_worker._waiting < 3:
            pass
        fourth = client.post("/predict", data={"title": "Red"})
        assert "3 requests are waiting" in refused(fourth, 503) and fourth.headers["Retry-After"] == "1"
        assert client.get("/health").status_code == 200  # while the model is at work
        slow.go.set()
        for thread in threads:
            thread.join()
    assert slow.most == 1
    assert all(
        response.headers.get(name) == guard.HEADERS[name] for response in found for name in guard.HEADERS
    )
    assert all("secret" not in refused(response, 500) for response in found) and len(found) == 3
