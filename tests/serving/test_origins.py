"""Which pages may use the endpoint: its own, and those of origins that are allowed."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

import fusionclf
from fusionclf.errors import SettingsError
from fusionclf.serving import guard
from fusionclf.serving.access import LOCAL
from fusionclf.serving.app import make_app
from fusionclf.serving.guard import parse_origin
from fusionclf.serving.schemas import LINES_BYTES
from fusionclf.serving.worker import ModelWorker
from tests.runs import Runs
from tests.serving.conftest import Serve, refused

SHOP, EVIL = "https://shop.example", "https://evil.example"
PATHS = ("/predict", "/explain", "/predict/batch")
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.fixture(scope="module")
def shop(runs: Runs) -> TestClient:
    """A server that allows the origin SHOP."""
    worker = ModelWorker(fusionclf.load(runs("linear"), device="cpu"))
    app: Any = make_app(worker, "linear", hosts=LOCAL, origins=[SHOP])
    return TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False)


def post(client: TestClient, path: str, headers: Any) -> Any:
    if path == "/predict/batch":  # text/plain makes it a request that browsers send without a preflight
        return client.post(
            path, content=b'{"title": "Red"}', headers=[*headers, ("Content-Type", "text/plain")]
        )
    return client.post(path, data={"title": "Red"}, headers=headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", EVIL)],
        [("Origin", "null")],
        [("Origin", "http://localhost:3000"), ("Sec-Fetch-Site", "same-site")],
        [("Origin", EVIL), ("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Origin", "http://127.0.0.1:8000"), ("Origin", EVIL)],
        [("Origin", "http://127.0.0.1:8000.evil.example")],
        [("Origin", SHOP)],
    ],
)
def test_a_page_of_another_origin_is_refused(serve: Serve, path: str, headers: Any) -> None:
    response = post(serve("linear"), path, headers)
    assert "another origin" in refused(response, 403)
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Origin", "http://127.0.0.1:8000")],
        [("Origin", "http://127.0.0.1:8000"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "none")],
    ],
)
def test_programs_and_its_own_page_are_answered(serve: Serve, path: str, headers: Any) -> None:
    assert post(serve("linear"), path, headers).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_an_allowed_origin_is_answered(shop: TestClient, path: str) -> None:
    response = post(shop, path, [("Origin", SHOP), ("Sec-Fetch-Site", "cross-site")])
    assert response.status_code == 200 and response.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Origin" in response.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("origin", [EVIL, f"{SHOP}:444", "http://shop.example", f"{SHOP}.evil.example"])
def test_other_origins_stay_refused_beside_it(shop: TestClient, origin: str) -> None:
    response = post(shop, "/predict", [("Origin", origin), ("Sec-Fetch-Site", "cross-site")])
    assert "another origin" in refused(response, 403)
    assert "Access-Control-Allow-Origin" not in response.headers


def test_refusals_can_be_read_by_an_allowed_page(shop: TestClient) -> None:
    for response, status in (
        (shop.post("/predict", headers={"Origin": SHOP}), 422),
        (shop.post("/nothing", headers={"Origin": SHOP}), 404),
        (shop.post("/predict/batch", content=b"a" * (LINES_BYTES + 1), headers={"Origin": SHOP}), 413),
    ):
        assert refused(response, status)
        assert response.headers["Access-Control-Allow-Origin"] == SHOP


def test_a_preflight_of_an_allowed_page_is_answered(shop: TestClient) -> None:
    private = {"Access-Control-Request-Private-Network": "true"}
    response = shop.options("/predict", headers={"Origin": SHOP, **PREFLIGHT, **private})
    headers = response.headers
    assert response.status_code == 200 and headers["Access-Control-Allow-Origin"] == SHOP
    assert headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert headers["Access-Control-Allow-Private-Network"] == "true"
    assert {name: headers[name] for name in guard.HEADERS} == guard.HEADERS


def test_a_preflight_of_another_page_is_refused(shop: TestClient, serve: Serve) -> None:
    for client, origin in ((shop, EVIL), (serve("linear"), SHOP)):
        response = client.options("/predict", headers={"Origin": origin, **PREFLIGHT})
        assert refused(response, 403)
        assert not [name for name in response.headers if name.startswith("access-control-allow")]


def test_responses_to_other_pages_are_not_shared(serve: Serve, shop: TestClient) -> None:
    for client in (serve("linear"), shop):
        response = client.get("/health", headers={"Origin": EVIL, "Sec-Fetch-Site": "cross-site"})
        assert response.status_code == 200 and "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Shop.example/", SHOP),
        ("https://shop.example:443", SHOP),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(text: str, origin: str) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    ["*", "null", "", "shop.example", "https://", "https://shop.example/app", "https://x@shop.example",
     "https://shop.example:0", "https://shop.example:65536", "https://shop.example?x", "ftp://shop.example",
     "https://*.shop.example", "https://schön.example", "https://shop.example//"],
)  # fmt: skip
def test_a_bad_origin_is_one_line(text: str) -> None:
    with pytest.raises(SettingsError, match="not an origin; give scheme, host and port alone"):
        parse_origin(text)
