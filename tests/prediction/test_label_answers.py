"""Answers with several labels: files, tables, one product, the endpoint."""

import json
from pathlib import Path

import pandas as pd
import pytest
from fastapi.testclient import TestClient

import fusionclf
from fusionclf.console import SILENT
from fusionclf.errors import SettingsError
from fusionclf.prediction import RunModel, load
from fusionclf.serving.access import LOCAL
from fusionclf.serving.app import make_app
from fusionclf.serving.worker import ModelWorker
from fusionclf.workflows.suggest import SuggestRequest, suggest
from tests.runs import call, done, refused


@pytest.fixture
def products(tmp_path: Path) -> Path:
    file = tmp_path / "in.csv"
    file.write_text("id,title\n1,red dress no 4 for the night\n2,\n3,fine shoe no 3\n")
    return file


def test_file_lists_labels_as_json(tags_run: Path, products: Path) -> None:
    out = products.with_name("out.csv")
    done("--run", tags_run, "--input", products, "--out", out, "--top-k", 2)
    table = pd.read_csv(out, dtype=str)
    assert list(table) == [
        "id", "labels", "probabilities", "label_1", "prob_1", "label_2", "prob_2", "decision", "picture_status",
        "title_status",
    ]  # fmt: skip
    assert table["id"].tolist() == ["1", "3"]  # the second has no title
    row = table.iloc[0].to_dict()
    first = json.loads(row["labels"])
    assert {"red", "dress", "party"} <= set(first) and first[0] == row["label_1"]
    assert len(json.loads(row["probabilities"])) == len(first)


def test_json_lines_hold_labels_and_probabilities(tags_run: Path, products: Path) -> None:
    out = products.with_name("out.jsonl")
    done("--run", tags_run, "--input", products, "--out", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    answers = load(tags_run).predict(titles=["red dress no 4 for the night"])
    assert rows[0]["labels"] == answers.labels[0]
    assert rows[0]["probabilities"] == pytest.approx(answers.label_probabilities[0], abs=1e-5)


def test_one_product_is_printed(tags_run: Path) -> None:
    result = call("--run", tags_run, "--title", "red dress no 4 for the night", "--json")
    value = json.loads(result.stdout)
    assert {"red", "dress", "party"} <= set(value["labels"]) and value["decision"] == "accept"
    shown = call("--run", tags_run, "--title", "red dress no 4 for the night").stdout
    assert "party" in shown and "decision: accept" in shown


def test_a_product_without_a_predicted_label_is_explained(tags_run: Path) -> None:
    model = load(tags_run)
    assert model.predict(titles=["zzz"], min_probability=0.99).labels == [[]]
    found = fusionclf.explain(model, title="zzz")
    assert found.label in model.classes


def test_target_precision_is_refused_before_reading(tags_run: Path, products: Path) -> None:
    line = refused("--run", tags_run, "--input", products, "--target-precision", 0.9)
    assert "needs one label per product" in line


def test_review_and_suggest_are_refused(tags_run: Path, products: Path, tmp_path: Path) -> None:
    line = refused("--run", tags_run, "--input", products, "--review", tmp_path / "review")
    assert "--review: needs one label per product" in line
    request = SuggestRequest(RunModel(tags_run), products, tmp_path / "suggested")
    with pytest.raises(SettingsError, match="suggest: needs one label per product"):
        suggest(request, SILENT)


def test_chunks_are_joined(tags_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    titles = [f"red dress no {n}" for n in range(5)] + ["fine shoe no 9"]
    whole = load(tags_run).predict(titles=titles)
    monkeypatch.setattr("fusionclf.prediction.predictor.CHUNK", 2)
    parts = load(tags_run).predict(titles=titles)
    assert parts.labels == whole.labels and parts.label_probabilities == whole.label_probabilities
    assert parts.to_frame().equals(whole.to_frame())


def test_batches_hold_a_row_for_each_product(tags_run: Path) -> None:
    predict = fusionclf.predict_batches(tags_run, catalog={"picture": None})
    table = predict(pd.DataFrame({"id": ["1", "2"], "title": ["red dress no 4", None]}))
    assert table["id"].tolist() == ["1", "2"]
    first, second = table.to_dict("records")
    assert "dress" in json.loads(first["labels"]) and second["reason"] == "no title"


def test_endpoint_answers_with_all_labels(tags_run: Path) -> None:
    client = TestClient(make_app(ModelWorker(load(tags_run)), "tags", hosts=LOCAL), "http://127.0.0.1:8000")
    assert client.get("/health").json()["several_labels"] is True
    title = "red dress no 4 for the night"
    expected = load(tags_run).predict(titles=[title]).labels[0]
    answer = client.post("/predict", data={"title": title}).json()
    assert answer["labels"] == expected and len(answer["probabilities"]) == len(expected)
    lines = client.post("/predict/batch", content=json.dumps({"title": title})).text
    assert json.loads(lines)["labels"] == expected
    none = client.post("/predict", data={"title": title, "min_probability": "1"}).json()
    assert none["labels"] == [] and none["decision"] == "abstain"
