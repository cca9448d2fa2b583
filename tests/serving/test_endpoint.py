"""The endpoint: answers as `predict` gives them, and one clear line for what it refuses."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.explanation import explain
from fusionclf.prediction.io.writers import as_json
from fusionclf.serving import schemas as values
from fusionclf.serving.access import LOCAL
from fusionclf.serving.app import make_app
from fusionclf.serving.worker import ModelWorker
from tests.runs import Runs
from tests.serving.conftest import HOSTILE, Serve, picture_bytes, png, refused


def test_a_product_gets_the_prediction_of_the_run(fusion: TestClient, runs: Runs, sample: Catalog) -> None:
    title = sample.table["title"].iloc[0]
    answer = fusion.post("/predict", files={"picture": picture_bytes(sample)}, data={"title": title}).json()
    expected = fusionclf.load(runs("fusion"), device="cpu").predict(
        [sample.root / sample.table["picture"].iloc[0]], [title]
    )
    assert answer["labels"] == expected.labels[0] and len(answer["labels"]) == 5
    assert np.allclose(answer["probabilities"], expected.probabilities[0], atol=1e-5)
    assert tuple(answer["path"]) == expected.paths[0] != ()
    assert list(answer) == list(as_json(expected, 0))  # what `predict --json` prints
    assert answer["answer"] == [*expected.paths[0], expected.labels[0][0]]
    assert answer["decision"] == "accept"
    assert (answer["picture_status"], answer["title_status"]) == ("used", "used")


def test_classes_with_ids_are_answered_with_them(runs: Runs) -> None:
    predictor = fusionclf.load(runs("linear"))
    predictor.ids = {"Tshirts": "212"}
    client = TestClient(make_app(ModelWorker(predictor), "linear", hosts=LOCAL), "http://127.0.0.1:8000")
    answer = client.post("/predict", data={"title": "Blue Tshirts"}).json()
    assert answer["class_ids"] == ["212" if name == "Tshirts" else "" for name in answer["labels"]]
    assert answer["labels"][0] == "Tshirts"


def test_several_uploads_are_pictures_of_one_product(fusion: TestClient, runs: Runs, sample: Catalog) -> None:
    paths = [path for path in sample.picture_paths(np.arange(3)) if path is not None]
    files = [("picture", path.read_bytes()) for path in paths]
    model, title = fusionclf.load(runs("fusion"), device="cpu"), "Blue"
    answer = fusion.post("/predict", files=files, data={"title": title}).json()
    assert np.allclose(answer["probabilities"], model.predict([paths], [title]).probabilities[0], atol=1e-5)
    found = fusion.post("/explain", files=files, data={"title": title}).json()
    assert [each["counted"] for each in found["pictures"]] == pytest.approx(
        explain(model, paths, title).pictures, abs=1e-4
    )


@pytest.mark.slow
def test_further_columns_are_in_the_response(serve: Serve, sample: Catalog) -> None:
    client = serve("columns")
    answer = client.post("/predict", files={"picture": picture_bytes(sample)}, data={"title": "Shirt"}).json()
    assert list(answer["answers"]) == ["baseColour", "gender"]
    assert answer["answers"]["gender"]["value"] in set(sample.table["gender"])
    assert 0 < answer["answers"]["gender"]["probability"] <= 1
    line = client.post("/predict/batch", content='{"title": "Red Shirts"}').json()
    assert line["labels"] and line["answers"]["gender"] == {"value": None, "probability": None}


def test_one_modality_is_enough_and_the_threshold_holds(fusion: TestClient, sample: Catalog) -> None:
    only_title = fusion.post(
        "/predict", data={"title": "Red Shirts", "top_k": 2, "min_probability": 1}
    ).json()
    assert (only_title["picture_status"], only_title["decision"]) == ("missing", "abstain")
    assert len(only_title["labels"]) == 2
    only_picture = fusion.post("/predict", files={"picture": picture_bytes(sample)}).json()
    assert (only_picture["picture_status"], only_picture["title_status"]) == ("used", "missing")


@pytest.mark.parametrize(("name", "wanted"), [("fusion", "a picture or a title"), ("linear", "a title")])
def test_a_request_without_input_is_refused(serve: Serve, name: str, wanted: str) -> None:
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
        (png(10_000, 5_400), "at most 53 megapixels"),
        (png(20_000, 20_000), "at most 53 megapixels"),
        (png(99_000, 1), "at most 32 times"),
    ],
)
def test_a_bad_or_too_large_picture_is_refused(fusion: TestClient, content: bytes, why: str) -> None:
    response = fusion.post("/predict", files={"picture": content}, data={"title": "Red Shirts"})
    assert why in refused(response, 422)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_a_picture_with_exif_rotation_is_predicted_upright(serve: Serve, sample: Catalog, kind: str) -> None:
    def sent(picture: Image.Image, orientation: int) -> Any:
        exif, file = Image.Exif(), io.BytesIO()
        exif[ExifTags.Base.Orientation] = orientation
        options: Any = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "AVIF" else {}
        picture.save(file, kind, exif=exif, **options)
        return serve("frozen").post("/predict", files={"picture": file.getvalue()}).json()

    with Image.open(io.BytesIO(picture_bytes(sample))) as picture:
        upright, turned = sent(picture, 1), sent(picture.transpose(Image.Transpose.ROTATE_90), 6)
    assert turned["labels"] == upright["labels"]
    within = 0.02 if kind == "AVIF" else 1e-6
    assert turned["probabilities"] == pytest.approx(upright["probabilities"], abs=within)


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


def test_an_explanation_is_what_the_run_gives(fusion: TestClient, runs: Runs, sample: Catalog) -> None:
    title = sample.table["title"].iloc[0]
    found = fusion.post("/explain", files={"picture": picture_bytes(sample)}, data={"title": title}).json()
    expected = explain(
        fusionclf.load(runs("fusion"), device="cpu"), sample.root / sample.table["picture"].iloc[0], title
    )
    assert set(found) == set(expected.to_json()) and found["meaning"]
    assert (found["label"], found["title"]) == (expected.label, title)
    assert expected.cells is not None and np.any(expected.cells)
    assert np.allclose(found["cells"], expected.cells, atol=1e-5)
    assert [word["text"] for word in found["words"]] == title.split()
    counted = [word["counted"] for word in found["words"]]
    assert counted == pytest.approx([word.drop for word in expected.words], abs=1e-5)
    assert set(found["modalities"]) == {"picture", "title"}
    assert found["modalities"]["title"]["label"] == expected.modalities["title"].label


def test_a_hostile_title_alone_is_explained_as_text(fusion: TestClient) -> None:
    found = fusion.post("/explain", data={"title": HOSTILE}).json()
    assert found["title"] == HOSTILE and found["cells"] is None
    assert [HOSTILE[word["start"] : word["end"]] for word in found["words"]] == HOSTILE.split()
    nothing_left = {"counted": None, "label": None, "probability": None}
    assert found["modalities"] == {"title": nothing_left}


def test_an_explanation_omits_inputs_that_are_not_read(serve: Serve) -> None:
    found = serve("linear").post("/explain", files={"picture": b"none"}, data={"title": "Red Shirts"}).json()
    assert found["cells"] is None and set(found["modalities"]) == {"title"}


@pytest.mark.parametrize(
    ("name", "files", "data", "why"),
    [
        ("fusion", {}, {"title": " "}, "no picture; no title: give a picture or a title"),
        ("linear", {"picture": b"none"}, {}, "no title: give a title"),
        ("fusion", {"picture": b"not a picture"}, {"title": "Red"}, "picture: not a picture"),
        ("fusion", {"picture": png(10_000, 5_400)}, {}, "at most 53 megapixels"),
        ("fusion", {}, {"title": "a" * (values.TITLE_LENGTH + 1)}, "title="),
    ],
)
def test_an_explanation_without_readable_input_is_refused(
    serve: Serve, name: str, files: dict[str, bytes], data: dict[str, str], why: str
) -> None:
    assert why in refused(serve(name).post("/explain", files=files or None, data=data), 422)


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
    assert "no title" in found[-1]["reason"] and found[-1]["answer"] == []
    for place, answer in enumerate(found[:-1]):
        assert list(answer) == [*as_json(expected, place), "reason"]
        assert (answer["answer"], answer["reason"]) == (list(expected.answered[place]), "")


def test_a_missing_title_of_a_batch_has_no_answer(serve: Serve) -> None:
    body = b'{"title": null}\n{"title": NaN}\n{"title": "nan"}\n{"title": ""}\n{"title": "Red Shirts"}'
    response = serve("linear").post("/predict/batch", content=body)
    found = [json.loads(line) for line in response.text.splitlines()]
    assert [answer["reason"] for answer in found] == ["no title"] * 4 + [""]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no products"),
        (b"\n \n", "no products"),
        (b'{"title": "Red"}\nRed', "line 2: not JSON"),
        (b'{"title": "Red"}\n\n["Red"]', "line 3: not an object"),
        (b'{"title": 7}', "line 1: the title is not a text"),
        (b'{"name": "Red"}', "line 1: no title"),
        (b'{"title": "\\ud800"}', "line 1: the title is not valid text"),
        (b'{"picture": "data:image/png;base64,AAAA"}', "line 1: a picture is not in base64"),
        (b'{"title": "Red"}\n{"picture": [7]}', "line 2: a picture is not in base64"),
        (b'{"picture": ["AAAA"%s]}' % (b', "AAAA"' * 8), "line 1: 9 pictures; give at most 8"),
        (b"[" * 100_000, "line 1: not JSON"),
        (b"\xff\xfe", "line 1: not JSON"),
        (b'{"title": "%s"}' % (b"a" * (values.TITLE_LENGTH + 1)), "line 1: a title of 2,001 characters"),
        (b'{"title": "Red"}\n' * (values.LINES + 1), "1,001 lines; send at most 1,000"),
    ],
)
def test_a_bad_batch_is_refused_by_its_line(serve: Serve, body: bytes, why: str) -> None:
    assert refused(serve("linear").post("/predict/batch", content=body), 422).startswith(why)


def test_a_batch_of_pictures_and_titles(fusion: TestClient, runs: Runs, sample: Catalog) -> None:
    contents = [picture_bytes(sample, row) for row in range(40)]
    titles = sample.table["title"].iloc[:40].tolist()
    lines: list[dict[str, Any]] = [
        {"title": title, "picture": base64.b64encode(content).decode()}
        for title, content in zip(titles, contents, strict=True)
    ]
    lines[1]["picture"] = [lines[0]["picture"], lines[1]["picture"]]  # two pictures of one product
    lines[2]["picture"] = base64.b64encode(contents[2][:200]).decode()
    response = fusion.post("/predict/batch?top_k=3", content="\n".join(map(json.dumps, lines)))
    found = [json.loads(line) for line in response.text.splitlines()]
    images = [contents[0], [contents[0], contents[1]], None, *contents[3:]]
    expected = fusionclf.load(runs("fusion"), device="cpu").predict(images, titles, top_k=3)
    assert [answer["labels"] for answer in found] == expected.labels
    assert np.allclose([answer["probabilities"] for answer in found], expected.probabilities, atol=1e-5)
    assert [answer["picture_status"] for answer in found] == ["used", "used", "unreadable"] + ["used"] * 37


def test_a_picture_model_answers_lines_with_pictures(serve: Serve, runs: Runs, sample: Catalog) -> None:
    client, content = serve("frozen"), picture_bytes(sample)
    body = f'{{"picture": "{base64.b64encode(content).decode()}"}}\n{{"title": "Red"}}'
    found = [json.loads(line) for line in client.post("/predict/batch", content=body).text.splitlines()]
    expected = fusionclf.load(runs("frozen"), device="cpu").predict([content])
    assert found[0]["labels"] == expected.labels[0]
    assert (found[1]["labels"], found[1]["reason"]) == ([], "no picture")
    assert client.get("/health").json()["reads_titles"] is False


def test_health_and_schema_describe_the_run(fusion: TestClient) -> None:
    health = fusion.get("/health").json()
    assert (health["status"], health["run"], health["part"]) == ("ok", "fusion", "joint")
    assert health["classes"] > 20 and health["limits"]["picture_bytes"] == values.PICTURE_BYTES
    schema = fusion.get("/openapi.json").json()
    assert set(schema["paths"]) == {
        "/health", "/ready", "/metrics", "/predict", "/explain", "/predict/batch",
    }  # fmt: skip
    for path in ("/predict", "/explain"):
        assert set(schema["paths"][path]["post"]["responses"]) == {"200", "413", "422", "503"}
    explanation = schema["components"]["schemas"]["Explanation"]
    assert set(explanation["required"]) == set(values.Explanation.model_fields)


def test_package_data_is_there() -> None:
    import fusionclf.serving

    names = {file.name for file in (Path(fusionclf.serving.__file__).parent / "page").iterdir()}
    assert names == {"index.html", "page.css", "page.js", "icon.svg"}
