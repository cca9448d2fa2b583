"""`fusionclf suggest` and `predict --review`: files to fill in, and the way back into the catalog."""

import csv
import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from fusionclf.catalog import Catalog, read_catalog
from fusionclf.cli import app
from tests.runs import Runs


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def shop(sample: Catalog, sample_dir: Path, tmp_path: Path) -> Path:
    """The sample with labels of every third product alone, and one further product without title and picture."""
    table = sample.table.assign(label=sample.table["label"].where(sample.table.index % 3 == 0, ""))
    table = table.rename(columns={"label": "articleType", "title": "productDisplayName"}).drop(
        columns="picture"
    )
    table = pd.concat([table.astype("str"), pd.DataFrame({"id": ["no-input"]})]).fillna("")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "images").symlink_to(sample_dir / "images")
    table.to_csv(tmp_path / "shop" / "styles.csv", index=False)
    return tmp_path / "shop" / "styles.csv"


@pytest.mark.parametrize("name", ["linear", "fusion"])
def test_unlabelled_products_are_suggested(name: str, runs: Runs, shop: Path, tmp_path: Path) -> None:
    words = ("--part", "joint") if name == "linear" else ()
    done = call(
        "suggest", "--run", runs(name), "--input", shop, "--out", tmp_path / "next", "--count", 15, *words
    )
    assert done.exit_code == 0, done.output
    found, table = rows(tmp_path / "next" / "corrections.csv"), pd.read_csv(shop, dtype=str)
    assert len({row["id"] for row in found}) == 15 and all(row["correction"] == "" for row in found)
    unlabelled = set(table["id"][table["articleType"].isna()])
    assert {row["id"] for row in found} <= unlabelled - {"no-input"}
    titles = dict(zip(table["id"], table["productDisplayName"].fillna(""), strict=True))
    assert all(row["title"] == titles[row["id"]] for row in found)
    tasks = json.loads((tmp_path / "next" / "label-studio.json").read_text())
    assert [task["data"]["products"] for task in tasks] == [[row["id"]] for row in found]
    assert sum(task["data"]["picture"].startswith("data:image/jpeg") for task in tasks) > 10


def test_answers_lead_back_into_the_catalog(runs: Runs, shop: Path, sample: Catalog, tmp_path: Path) -> None:
    out = tmp_path / "next"
    call("suggest", "--run", runs("linear"), "--input", shop, "--out", out, "--count", 5)
    truth = dict(zip(sample.table["id"], sample.table["label"], strict=True))
    given = [row | {"correction": truth[row["id"]]} for row in rows(out / "corrections.csv")]
    pd.DataFrame(given).to_csv(out / "corrections.csv", index=False)
    done = call("data", "apply", out / "corrections.csv", "--data", shop)
    assert done.exit_code == 0 and "5 labels changed, 0 confirmed" in done.stderr, done.output
    corrected = read_catalog(shop.with_name("styles.corrected.csv"))
    labels = dict(zip(corrected.table["id"], corrected.table["label"], strict=True))
    assert all(labels[row["id"]] == row["correction"] for row in given)
    assert len(corrected) == len(read_catalog(shop)) + 5


def test_labelled_products_alone_are_refused(runs: Runs, sample_dir: Path, tmp_path: Path) -> None:
    words = ("--input", sample_dir / "styles.csv", "--out", tmp_path / "next")
    done = call("suggest", "--run", runs("linear"), *words)
    assert done.exit_code == 2 and "whose column 'articleType' is empty" in done.stderr
    assert not (tmp_path / "next").exists()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_is_not_accepted_is_written_for_review(
    suffix: str, runs: Runs, shop: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"answers{suffix}"
    words = ("--input", shop, "--out", out, "--min-probability", 0.5, "--review", tmp_path / "review")
    done = call("predict", "--run", runs("linear"), *words)
    assert done.exit_code == 0, done.output
    read = pd.read_csv if suffix == ".csv" else partial(pd.read_json, lines=True)
    answers = read(out, dtype={"id": str})
    unsure = answers[answers["decision"] == "abstain"]
    found = rows(tmp_path / "review" / "corrections.csv")
    assert 0 < len(found) < len(answers) and {row["id"] for row in found} == set(unsure["id"])
    shares = [float(row["probability"]) for row in found]
    assert shares == sorted(shares, reverse=True) and shares[0] <= 0.5
    assert {row["reason"] for row in found} == {"abstain"}
