"""The requests of docs/how-to/serve.md, sent to a server that its command starts."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fusionclf.catalog import Catalog
from tests.docs.pages import DOCS, code_blocks, read
from tests.runs import Runs

GUIDE = read(DOCS / "how-to" / "serve.md")


def test_the_example_of_the_log_is_json() -> None:
    (line,) = code_blocks(GUIDE, "json")
    assert {"request_id", "status", "seconds", "products"} < set(json.loads(line))


@pytest.mark.slow
def test_the_requests_of_the_guide_are_answered(runs: Runs, sample: Catalog, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    shutil.copytree(runs("fusion"), tmp_path / "runs/fusion")
    shutil.copy(sample.root / sample.table["picture"].iloc[0], tmp_path / "shoe.jpg")
    (tmp_path / "titles.jsonl").write_text('{"title": "Red Shirts"}\n')
    _, requests, watch = code_blocks(GUIDE, "bash")[:3]
    (client,) = code_blocks(GUIDE, "python")
    command, metrics = watch.splitlines()
    words = [sys.executable, "-m", *command.split(), "--port", "0", "--cpu"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        (port,) = re.findall(r"at http://127\.0\.0\.1:(\d+); Ctrl-C", server.stderr.readline())

        def run(*words: str) -> str:
            words = tuple(word.replace(":8000", f":{port}") for word in words)
            return subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

        lines = run(sys.executable, "-c", client).splitlines()
        assert [re.sub(r"\['.+'\]", "[class]", line).split(maxsplit=1)[1] for line in lines] == [
            "accept used ", "accept missing ", "none missing no picture; no title",
        ]  # fmt: skip
        if shutil.which("curl"):
            answers = run("bash", "-ec", requests.replace("curl", "curl -s -w '\\n'"))
            labels = [json.loads(line)["labels"] for line in filter(None, answers.split("\n"))]
            assert len(labels) == 2 and all(labels)
            assert 'fusionclf_products_total{decision="accept"}' in run("bash", "-ec", metrics)
    finally:
        server.terminate()
        server.communicate()
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert logged[0]["decisions"] == {"accept": 2, "none": 1}
