"""A small fusion and two other runs, served to a test client that stands in for a browser or a program."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

import fusionclf
from fusionclf.serving.app import make_app
from fusionclf.serving.server import LOCAL
from tests.prediction.conftest import Runs, runs, sample

__all__ = ["runs", "sample"]
Serve = Callable[..., TestClient]


@pytest.fixture(scope="session")
def serve(runs: Runs) -> Iterator[Serve]:
    """A function that serves one of the small runs."""
    clients: dict[tuple[str, str | None], TestClient] = {}

    def client(name: str, part: str | None = None) -> TestClient:
        if (name, part) not in clients:
            app: Any = make_app(fusionclf.load(runs(name), part=part, device="cpu"), name, hosts=LOCAL)
            clients[name, part] = TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False)
        return clients[name, part]

    yield client


@pytest.fixture(scope="session")
def fusion(serve: Serve) -> TestClient:
    return serve("fusion")
