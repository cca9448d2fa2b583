"""The endpoint: answers as `predict` gives them, and one clear line for what it refuses."""

import asyncio
import io
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from starlette.exceptions import HTTPException

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.serving import asker, guard, values
from tests.prediction.conftest import Runs
from tests.serving.conftest import Serve

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


def test_a_product_gets_the_answer_that_the_run_gives(
    fusion: TestClient, runs: Runs, sample: Catalog
) -> None:
    title = sample.table["title"].iloc[0]
    answer = fusion.post("/predict", files={"picture": picture_bytes(sample)}, data={"title": title}).json()
    expected = fusionclf.load(runs("fusion"), device="cpu").predict(
        [sample.root / sample.table["picture"].iloc[0]], [title]
    )
    assert answer["labels"] == expected.labels[0] and len(answer["labels"]) == 5
    assert np.allclose(answer["probabilities"], expected.probabilities[0], atol=1e-5)
    assert tuple(answer["path"]) == expected.paths[0] != ()
    assert answer["decision"] == "accept"
    assert (answer["picture_status"], answer["title_status"]) == ("used", "used")


def test_one_of_both_is_enough_and_the_threshold_holds(fusion: TestClient, sample: Catalog) -> None:
    only_title = fusion.post(
        "/predict", data={"title": "Red Shirts", "top_k": 2, "min_probability": 1}
    ).json()
    assert (only_title["picture_status"], only_title["decision"]) == ("missing", "abstain")
    assert len(only_title["labels"]) == 2
    only_picture = fusion.post("/predict", files={"picture": picture_bytes(sample)}).json()
    assert (only_picture["picture_status"], only_picture["title_status"]) == ("used", "missing")


@pytest.mark.parametrize(("name", "wanted"), [("fusion", "a picture or a title"), ("linear", "a title")])
def test_nothing_to_go_by_is_refused(serve: Serve, name: str, wanted: str) -> None:
    for data in ({"top_k": "5"}, {"title": "  "}):
        assert refused(serve(name).post("/predict", data=data), 422).endswith(f": give {wanted}")


def test_a_model_of_titles_opens_no_picture(serve: Serve) -> None:
    answer = serve("linear").post("/predict", files={"picture": b"none"}, data={"title": "Red Shirts"}).json()
    assert answer["picture_status"] == "ignored" and answer["labels"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not a picture", "picture: not a picture"),
        (b"", "picture: not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "picture: not a picture"),
        (png(20_000, 5_001), "at most 100 megapixels"),
        (png(20_000, 20_000), "more than 100 megapixels"),
    ],
)
def test_what_is_no_picture_or_too_many_pixels_is_refused(
    fusion: TestClient, content: bytes, why: str
) -> None:
    response = fusion.post("/predict", files={"picture": content}, data={"title": "Red Shirts"})
    assert why in refused(response, 422)


def test_a_cut_off_picture_is_refused(fusion: TestClient, sample: Catalog) -> None:
    whole = picture_bytes(sample)
    assert "damaged picture" in refused(
        fusion.post("/predict", files={"picture": whole[: len(whole) // 2]}), 422
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"title": "a" * (values.TITLE_LENGTH + 1)}, "title"),
        ({"title": "Red", "top_k": "0"}, 'top_k="0"'),
        ({"title": "Red", "top_k": "many"}, 'top_k="many"'),
        ({"title": "Red", "min_probability": "1.5"}, "min_probability"),
        ({"title": "Red", "min_probability": "nan"}, "min_probability"),
        ({"picture": "a text"}, "picture"),
    ],
)
def test_bad_values_are_named(fusion: TestClient, data: dict[str, str], why: str) -> None:
    line = refused(fusion.post("/predict", data=data), 422)
    assert line.startswith(why) and len(line) < 300


def test_a_told_length_beyond_the_limit_is_refused_unread(fusion: TestClient) -> None:
    large = b"a" * (values.PICTURE_BYTES + 2**17)
    assert "larger than 20 MiB;" in refused(fusion.post("/predict", files={"picture": large}), 413)
    assert "larger than 64 KiB;" in refused(
        fusion.post("/health", content=b"a" * (guard.FORM_BYTES + 1)), 413
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


def test_bytes_are_counted_over_all_chunks_and_no_more_are_asked_for() -> None:
    """The test client hands a body over whole, so the middleware is asked without it."""
    asked, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"a" * 40, "more_body": asked < 10}

    async def send(message: Any) -> None:
        sent.append(message)

    async def reads_all(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    guarded = guard.Guard(reads_all, None, {"/few": 100, "/many": 400})
    scope = {"type": "http", "path": "/many", "headers": []}
    asyncio.run(guarded(scope, receive, send))
    assert asked == 10
    asked = 0
    with pytest.raises(HTTPException, match="larger than"):
        asyncio.run(guarded({**scope, "path": "/few"}, receive, send))
    assert asked == 3 and sent == []


def test_an_explanation_is_what_the_run_gives(fusion: TestClient, runs: Runs, sample: Catalog) -> None:
    title = sample.table["title"].iloc[0]
    found = fusion.post("/explain", files={"picture": picture_bytes(sample)}, data={"title": title}).json()
    expected = fusionclf.load(runs("fusion"), device="cpu").explain(
        sample.root / sample.table["picture"].iloc[0], title
    )
    assert set(found) == set(expected.to_json()) and found["meaning"]
    assert (found["label"], found["title"]) == (expected.label, title)
    assert expected.cells is not None and np.any(expected.cells)
    assert np.allclose(found["cells"], expected.cells, atol=1e-5)
    assert [word["text"] for word in found["words"]] == title.split()
    counted = [word["counted"] for word in found["words"]]
    assert counted == pytest.approx([word.counted for word in expected.words], abs=1e-5)
    assert set(found["modalities"]) == {"picture", "title"}
    assert found["modalities"]["title"]["label"] == expected.modalities["title"].label


def test_a_hostile_title_alone_is_explained_as_text(fusion: TestClient) -> None:
    found = fusion.post("/explain", data={"title": HOSTILE}).json()
    assert found["title"] == HOSTILE and found["cells"] is None
    assert [HOSTILE[word["start"] : word["end"]] for word in found["words"]] == HOSTILE.split()
    nothing_left = {"counted": None, "label": None, "probability": None}
    assert found["modalities"] == {"title": nothing_left}


def test_what_is_not_read_takes_no_part_in_an_explanation(serve: Serve) -> None:
    found = serve("linear").post("/explain", files={"picture": b"none"}, data={"title": "Red Shirts"}).json()
    assert found["cells"] is None and set(found["modalities"]) == {"title"}


@pytest.mark.parametrize(
    ("name", "files", "data", "why"),
    [
        ("fusion", {}, {"title": " "}, "no picture; no title: give a picture or a title"),
        ("linear", {"picture": b"none"}, {}, "no title: give a title"),
        ("fusion", {"picture": b"not a picture"}, {"title": "Red"}, "picture: not a picture"),
        ("fusion", {"picture": png(20_000, 5_001)}, {}, "at most 100 megapixels"),
        ("fusion", {}, {"title": "a" * (values.TITLE_LENGTH + 1)}, "title="),
    ],
)
def test_what_cannot_be_answered_cannot_be_explained(
    serve: Serve, name: str, files: dict[str, bytes], data: dict[str, str], why: str
) -> None:
    assert why in refused(serve(name).post("/explain", files=files or None, data=data), 422)


def test_an_explanation_has_the_limit_of_a_picture(fusion: TestClient) -> None:
    large = {"picture": b"a" * (values.PICTURE_BYTES + 2**17)}
    assert "larger than 20 MiB;" in refused(fusion.post("/explain", files=large), 413)


def test_an_explanation_waits_its_turn(fusion: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker, "WAITING", 0)
    busy = fusion.post("/explain", data={"title": "Red"})
    assert "requests are waiting" in refused(busy, 503) and busy.headers["Retry-After"] == "1"


def test_a_batch_of_titles(fusion: TestClient, runs: Runs, sample: Catalog) -> None:
    titles = [*sample.table["title"].iloc[:30], HOSTILE, " "]
    body = "\n\n".join(json.dumps({"title": title, "sku": 1}) for title in titles)
    response = fusion.post("/predict/batch?top_k=3", content=body)
    assert response.headers["Content-Type"] == "application/x-ndjson"
    found = [json.loads(line) for line in response.text.splitlines()]
    expected = fusionclf.load(runs("fusion"), device="cpu").predict(titles=titles[:-1], top_k=3)
    assert [answer["labels"] for answer in found[:-1]] == expected.labels
    assert np.allclose([answer["probabilities"] for answer in found[:-1]], expected.probabilities, atol=1e-5)
    assert (found[-1]["labels"], found[-1]["probabilities"], found[-1]["decision"]) == ([], [], "none")
    assert "no title" in found[-1]["reason"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no products"),
        (b"\n \n", "no products"),
        (b'{"title": "Red"}\nRed', "line 2: not JSON"),
        (b'{"title": "Red"}\n\n["Red"]', "line 3: no title"),
        (b'{"title": 7}', "line 1: no title"),
        (b'{"title": "\\ud800"}', "line 1: the title holds what is no text"),
        (b"[" * 100_000, "line 1: not JSON"),
        (b"\xff\xfe", "line 1: not JSON"),
        (b'{"title": "%s"}' % (b"a" * (values.TITLE_LENGTH + 1)), "line 1: a title of 2,001 characters"),
        (b'{"title": "Red"}\n' * (values.LINES + 1), "1,001 lines; send at most 1,000"),
    ],
)
def test_a_bad_batch_is_refused_by_its_line(serve: Serve, body: bytes, why: str) -> None:
    assert refused(serve("linear").post("/predict/batch", content=body), 422).startswith(why)


def test_a_run_that_reads_no_titles_takes_no_batch(serve: Serve) -> None:
    client = serve("frozen")
    assert "reads no titles" in refused(client.post("/predict/batch", content=b'{"title": "Red"}'), 422)
    assert client.get("/health").json()["reads_titles"] is False


def test_health_and_schema_say_what_is_served(fusion: TestClient) -> None:
    health = fusion.get("/health").json()
    assert (health["status"], health["run"], health["part"]) == ("ok", "fusion", "joint")
    assert health["classes"] > 20 and health["limits"]["picture_bytes"] == values.PICTURE_BYTES
    schema = fusion.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/health", "/predict", "/explain", "/predict/batch"}
    for path in ("/predict", "/explain"):
        assert set(schema["paths"][path]["post"]["responses"]) == {"200", "413", "422", "503"}
    told = schema["components"]["schemas"]["Explanation"]
    assert set(told["required"]) == set(values.Explanation.model_fields)


@pytest.mark.parametrize(
    ("path", "status"), [("/nothing", 404), ("/predict", 405), ("/../pyproject.toml", 404)]
)
def test_other_paths_and_methods_are_refused_as_json(fusion: TestClient, path: str, status: int) -> None:
    refused(fusion.get(path), status)


@pytest.mark.parametrize("path", ["/", "/page.js", "/health", "/nothing"])
def test_every_answer_carries_the_strict_headers(fusion: TestClient, path: str) -> None:
    headers = fusion.get(path).headers
    assert {name: headers[name] for name in guard.HEADERS} == guard.HEADERS
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


def test_the_page_asks_for_nothing_from_elsewhere(fusion: TestClient) -> None:
    page = fusion.get("/").text
    assert "//" not in page and "<script>" not in page and "style=" not in page


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "", "[", "0.0.0.0"])
def test_another_host_name_is_refused(fusion: TestClient, host: str) -> None:
    assert "another host name" in refused(fusion.get("/health", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:8000", "LOCALHOST:80"])
def test_its_own_host_names_are_not(fusion: TestClient, host: str) -> None:
    assert fusion.get("/health", headers={"Host": host}).status_code == 200


class Slow:
    """Stands in for a predictor: answers when told to, and counts who is in it."""

    reads_pictures, reads_titles, classes, part = False, True, ("a",), "joint"

    def __init__(self) -> None:
        self.go, self.entered = threading.Event(), threading.Event()
        self.inside, self.most = 0, 0

    def predict(self, *_: Any, **__: Any) -> Any:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.set()
        assert self.go.wait(30)
        self.inside -= 1
        raise ValueError("secret of the inside")


def test_the_model_is_asked_by_one_at_a_time_and_a_full_queue_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fusionclf.serving.app import make_app

    monkeypatch.setattr(asker, "WAITING", 3)
    slow: Any = Slow()
    found: list[Any] = []
    with TestClient(make_app(slow, "slow"), raise_server_exceptions=False) as client:

        def ask() -> None:
            found.append(client.post("/predict", data={"title": "Red"}))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert slow.entered.wait(30)
        while client.app.state.asker._waiting < 3:  # type: ignore[attr-defined]
            pass
        fourth = client.post("/predict", data={"title": "Red"})
        assert "3 requests are waiting" in refused(fourth, 503) and fourth.headers["Retry-After"] == "1"
        assert client.get("/health").status_code == 200  # while the model is at work
        slow.go.set()
        for thread in threads:
            thread.join()
    assert slow.most == 1
    assert all("secret" not in refused(response, 500) for response in found) and len(found) == 3


def test_package_data_is_there() -> None:
    import fusionclf.serving

    names = {file.name for file in (Path(fusionclf.serving.__file__).parent / "page").iterdir()}
    assert names == {"index.html", "page.css", "page.js", "icon.svg"}
