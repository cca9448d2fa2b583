"""Synonyms from a language model: a local server that speaks the protocol, in good and in bad ways."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fusionclf.catalog.drafting import Endpoint, EndpointError, suggest

Answer = Callable[["Handler"], None]
CLASSES = {"Deodorant": "Fragrance", "Kite": "Toys"}


class Handler(BaseHTTPRequestHandler):
    """Answers as the test says, and keeps the requests."""

    answers: list[Answer]
    requests: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
        (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def says(content: Any) -> Answer:
    body = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
    return lambda handler: handler.reply(body)


def fails(status: int, **headers: str) -> Answer:
    return lambda handler: handler.reply(b"no", status, **headers)


@pytest.fixture
def server() -> Iterator[tuple[str, type[Handler]]]:
    handler = type("OwnHandler", (Handler,), {"answers": [], "requests": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/v1", handler
    running.shutdown()
    running.server_close()


def ask(server: tuple[str, type[Handler]], *answers: Answer, **more: Any) -> list[tuple[str, str, str]]:
    url, handler = server
    handler.answers.extend(answers)
    found = suggest(CLASSES, Endpoint(url, "tiny", **{"backoff": 0.0, "seconds": 5.0, **more}))
    return [(name, each.text, each.source) for name, each in found]


def test_names_come_with_the_model_as_source(server: tuple[str, type[Handler]]) -> None:
    text = 'Sure:\n```json\n{"Deodorant": ["deo", " body spray "], "Kite": []}\n```'
    found = ask(server, says(text), key="secret")
    assert found == [
        ("Deodorant", "deo", "language model tiny"),
        ("Deodorant", "body spray", "language model tiny"),
    ]
    (request,) = server[1].requests
    assert (request["path"], request["key"], request["model"]) == (
        "/v1/chat/completions",
        "Bearer secret",
        "tiny",
    )
    assert '"Deodorant" (Fragrance)' in request["messages"][0]["content"]


def test_what_is_no_name_is_left_out_and_counted(
    server: tuple[str, type[Handler]], capsys: pytest.CaptureFixture[str]
) -> None:
    from fusionclf.console import Console

    text = json.dumps(
        {"Deodorant": ["deo", 3, "", "a\nb", "x" * 201, {"a": 1}], "Kite": "glider", "Rocket": ["x"]}
    )
    server[1].answers.append(says(text))
    found = list(suggest(CLASSES, Endpoint(server[0], "tiny"), Console()))
    assert [each.text for _, each in found] == ["deo"]
    assert "7 parts of its answers left out" in " ".join(capsys.readouterr().err.split())


def test_no_key_sends_no_header(server: tuple[str, type[Handler]]) -> None:
    ask(server, says('{"Kite": ["glider"]}'))
    assert server[1].requests[0]["key"] is None


def test_a_busy_server_is_asked_again(server: tuple[str, type[Handler]]) -> None:
    found = ask(server, fails(503), fails(429), says('{"Kite": ["glider"]}'))
    assert [text for _, text, _ in found] == ["glider"] and len(server[1].requests) == 3


@pytest.mark.parametrize(
    ("answer", "message", "requests"),
    [
        (fails(401), "HTTP 401; check the URL", 1),
        (fails(500), "HTTP 500", 3),
        (fails(302, Location="http://127.0.0.1:9/"), "HTTP 302", 1),
        (says(None), "no choices", 1),
        (lambda handler: handler.reply(b"<html>"), "no choices", 1),
        (lambda handler: handler.reply(b"[" * 100_000), "no choices", 1),
        (lambda handler: handler.reply(b"x" * (2**20 + 1)), "more than 1,048,576 bytes", 1),
        (says("I cannot do that."), "no answer is a JSON object", 1),
        (says("[1]"), "no answer is a JSON object", 1),
        (says("{" * 100_000 + "}"), "no answer is a JSON object", 1),
    ],
    ids=range(10),
)
def test_a_bad_answer_is_one_line(
    answer: Answer, message: str, requests: int, server: tuple[str, type[Handler]]
) -> None:
    with pytest.raises(EndpointError, match=message) as caught:
        ask(server, answer)
    assert len(server[1].requests) == requests and "\n" not in str(caught.value)


def test_a_silent_server_is_given_up(server: tuple[str, type[Handler]]) -> None:
    with pytest.raises(EndpointError, match=r"no answer within 0\.1 s"):
        ask(server, lambda _: time.sleep(0.3), seconds=0.1)


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("ftp://host/v1", "", "give http:// or https://"),
        ("localhost:8000", "", "give http:// or https://"),
        ("http://", "", "give http:// or https://"),
        ("https://me:secret@host/v1", "", "give http:// or https://"),
        ("http://models.example/v1", "secret", "would send the key unencrypted; use https"),
        ("http://[::1", "", "not a URL"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused(url: str, key: str, message: str) -> None:
    with pytest.raises(EndpointError, match=message):
        Endpoint(url, "tiny", key).check()


def test_the_key_is_in_no_message(server: tuple[str, type[Handler]]) -> None:
    with pytest.raises(EndpointError) as caught:
        ask(server, fails(401), key="topsecret")
    assert "topsecret" not in str(caught.value) and "topsecret" not in repr(
        Endpoint(server[0], "tiny", "topsecret")
    )
