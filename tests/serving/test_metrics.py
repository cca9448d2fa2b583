"""Readiness, metrics for Prometheus, request ids and the log."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

import fusionclf
from fusionclf.serving import worker as worker_module
from fusionclf.serving.access import LOCAL
from fusionclf.serving.app import make_app
from fusionclf.serving.worker import ModelWorker
from tests.runs import Runs

Watched = tuple[TestClient, ModelWorker, list[str]]


@pytest.fixture
def watched(runs: Runs) -> Watched:
    """A served linear run, its worker, and the lines of its log."""
    lines: list[str] = []
    worker = ModelWorker(fusionclf.load(runs("linear")))
    app: Any = make_app(worker, "linear", hosts=LOCAL, log=lines.append)
    return TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False), worker, lines


def sample_of(client: TestClient) -> Callable[..., float]:
    """A function that gives a sample of /metrics by its name and labels."""
    response = client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    samples = [each for family in text_string_to_metric_families(response.text) for each in family.samples]

    def value(name: str, **labels: str) -> float:
        (found,) = [
            each.value for each in samples if each.name == f"fusionclf_{name}" and each.labels == labels
        ]
        return found

    return value


def test_metrics_count_requests_products_and_turns(watched: Watched) -> None:
    client, _, _ = watched
    client.post("/predict", data={"title": "Red Shirts"})
    client.post(
        "/predict/batch?min_probability=1", content='{"title": "Red"}\n{"title": "Blue"}\n{"title": ""}'
    )
    client.post("/predict", data={"title": "Red", "top_k": "0"})
    client.get("/nothing/7")
    value = sample_of(client)
    assert value("requests_total", path="/predict", status="200") == 1
    assert value("requests_total", path="/predict", status="422") == 1
    assert value("requests_total", path="other", status="404") == 1
    assert value("products_total", decision="accept") == 1
    assert value("products_total", decision="abstain") == 2 and value("products_total", decision="none") == 1
    assert value("request_seconds_count", path="/predict") == 2
    assert 0 < value("request_seconds_sum", path="/predict") < 60
    assert (value("turn_products_count"), value("turn_products_sum")) == (2, 4)
    assert value("turn_products_bucket", le="1.0") == 1 and value("queue_length") == 0


def test_a_forbidden_host_is_counted_and_sees_no_metrics(watched: Watched) -> None:
    client, _, _ = watched
    assert client.get("/metrics", headers={"Host": "evil.example"}).status_code == 421
    assert sample_of(client)("requests_total", path="/metrics", status="421") == 1


def test_a_full_queue_and_a_stop_are_not_ready(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    client, worker, _ = watched
    assert client.get("/ready").json() == {"status": "ready"}
    with monkeypatch.context() as patch:
        patch.setattr(worker_module, "WAITING", 0)
        assert client.get("/ready").status_code == 503
    worker.stop()
    response = client.get("/ready")
    assert response.status_code == 503 and "the server is shutting down" in response.json()["error"]
    assert client.get("/health").status_code == 200  # alive


def test_the_log_has_a_line_of_json_for_each_request(watched: Watched) -> None:
    client, _, lines = watched
    client.post(
        "/predict/batch", content='{"title": "Red Shirts"}\n{"title": ""}', headers={"X-Request-ID": "a-1"}
    )
    refused = client.post("/predict", data={"title": "Red", "top_k": "many"})
    first, second = map(json.loads, lines)
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert 0 < first.pop("seconds") < 60
    assert first == {
        "request_id": "a-1", "method": "POST", "path": "/predict/batch", "status": 200, "products": 2,
        "decisions": {"accept": 1, "none": 1},
    }  # fmt: skip
    assert (second["status"], second["products"]) == (422, 0)
    assert second["error"] == refused.json()["error"] and second["error"].startswith('top_k="many"')


def test_the_reason_of_a_failure_is_not_sent_but_its_id_is(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, worker, lines = watched
    monkeypatch.setattr(worker.predictor, "predict_products", lambda *_: 1 / 0)
    response = client.post("/predict", data={"title": "Red"})
    assert response.status_code == 500 and "division" not in response.text
    line = json.loads(lines[0])
    assert line["request_id"] == response.headers["X-Request-ID"] and len(line["request_id"]) == 32
    assert (line["status"], line["products"]) == (500, 0)
    assert line["error"] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("given", ["", "a b", "a\u00e9", "a" * 65, '"}{'])
def test_an_odd_request_id_is_replaced(watched: Watched, given: str) -> None:
    client, _, lines = watched
    response = client.get("/health", headers=[(b"X-Request-ID", given.encode())])
    found = response.headers["X-Request-ID"]
    assert len(found) == 32 and found.isalnum() and json.loads(lines[0])["request_id"] == found
    assert client.get("/health").headers["X-Request-ID"] != found


def test_a_path_cannot_break_a_line_of_the_log(watched: Watched) -> None:
    client, _, lines = watched
    client.get("/a%0Ab\u2028" + "c" * 500)
    (line,) = lines
    assert "\n" not in line and line.isascii() and len(json.loads(line)["path"]) == 200
