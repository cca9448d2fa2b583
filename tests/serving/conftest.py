"""A small fusion and two other runs, served to a test client that stands in for a browser or a program."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.serving.access import LOCAL
from fusionclf.serving.app import make_app
from fusionclf.serving.worker import ModelWorker
from tests.runs import Runs

Serve = Callable[..., TestClient]
HOSTILE = "<script>alert(1)</script>\u202e'\"><img src=x onerror=alert(2)>"


def picture_bytes(sample: Catalog, row: int = 0) -> bytes:
    return (sample.root / sample.table["picture"].iloc[row]).read_bytes()


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def refused(response: Any, status: int) -> str:
    """The one line of a refusal."""
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"] and "\n" not in response.json()["error"]
    return response.json()["error"]


@pytest.fixture(scope="session")
def serve(runs: Runs) -> Iterator[Serve]:
    """A function that serves one of the small runs."""
    clients: dict[tuple[str, str | None], TestClient] = {}

    def client(name: str, part: str | None = None) -> TestClient:
        if (name, part) not in clients:
            app: Any = make_app(
                ModelWorker(fusionclf.load(runs(name), part=part, device="cpu")), name, hosts=LOCAL
            )
            clients[name, part] = TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False)
        return clients[name, part]

    yield client


@pytest.fixture(scope="session")
def fusion(serve: Serve) -> TestClient:
    return serve("fusion")
