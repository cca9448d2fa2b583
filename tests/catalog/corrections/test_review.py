"""Tasks to review as CSV and for Label Studio."""

import base64
import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from fusionclf.catalog.corrections import ReviewTask, read_corrections, review_files


def test_files_hold_the_suggestion_and_lead_back(tmp_path: Path) -> None:
    Image.new("RGB", (800, 600), "red").save(tmp_path / "a.png")
    tasks = [
        ReviewTask(("1", "=2"), "Red <b>", "Ties", 'Big "B" & Co', 0.75, tmp_path / "a.png"),
        ReviewTask(("3",), " ", "", "Ties", None, tmp_path / "missing.png"),
    ]
    files = review_files(tasks, ['Big "B" & Co', "Ties"], "linear")
    rows = list(csv.DictReader(io.StringIO(files["corrections.csv"])))
    assert [row["id"] for row in rows] == ["1", "'=2", "3"]
    assert rows[0] == {
        "id": "1", "title": "Red <b>", "label": "Ties", "suggestion": 'Big "B" & Co', "probability": "0.7500",
        "reason": "", "correction": "",
    }  # fmt: skip
    first, second = json.loads(files["label-studio.json"])
    with Image.open(io.BytesIO(base64.b64decode(first["data"]["picture"].partition(",")[2]))) as picture:
        assert picture.size == (384, 288)
    assert second["data"]["title"] == "(no title)" and "no picture" in second["data"]["note"]
    (given,) = first["predictions"]
    assert given["score"] == 0.75 and "score" not in second["predictions"][0]
    interface = ElementTree.fromstring(files["label-studio.xml"])
    choices = interface.find("Choices")
    assert choices is not None and [each.get("value") for each in choices] == ['Big "B" & Co', "Ties"]
    (result,) = given["result"]
    assert (result["from_name"], result["to_name"]) == (choices.get("name"), choices.get("toName"))
    assert {each.get("name") for each in interface.iter("Text")} == {"title", "note"}
    # Label Studio exports an accepted pre-annotation as an annotation of the same form.
    (tmp_path / "export.json").write_text(json.dumps([first | {"annotations": given["result"] and [given]}]))
    assert set(read_corrections(tmp_path / "export.json").labels) == {"1", "=2"}
