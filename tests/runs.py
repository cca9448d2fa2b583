"""Small finished runs on the sample catalog, one of each kind, that tests share."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from typer.testing import CliRunner, Result

from fusionclf.catalog import Catalog, read_catalog
from fusionclf.cli import app
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.train import train
from tests.small import IMAGE, TEXT, short_fitting

QUICK = ("train.epochs=1", "scheme=single_stage")
FUSION = (*IMAGE, *TEXT, *QUICK, "model.hidden=16", "model.fuser=gated")
# With a transformer in bfloat16 an answer depends on which titles share its batch, in the third digit.
OPEN = (*IMAGE, *QUICK, "train.precision=fp32", "model.fuser=late", "model.vocabulary=open",
        "model.text.kind=both", "model.text.buckets=4096", "model.text.model={bert}")  # fmt: skip
RUNS = {
    "linear": ("linear", ()),
    "image": ("image", (*IMAGE, "train.epochs=1", "stage2.epochs=1")),
    # An untrained network's answers are near ties, which bfloat16 breaks in another way than float32.
    "frozen": (
        "image",
        (*IMAGE, *QUICK, "train.precision=fp32", "model.image.frozen=true", "model.image.normalise=true"),
    ),
    "multitask": (
        "multitask",
        (*IMAGE, *QUICK, "pictures.fit=stretch", "pictures.normalisation=inception"),
    ),
    # The base model reads the picture alone, so its heads have no answer for a title alone.
    "columns": (
        "fusion",
        (
            *IMAGE,
            *QUICK,
            "train.precision=fp32",
            "model.fuser=late",
            "model.text.buckets=4096",
            "model.auxiliary={baseColour: 0.5, gender: 0.5}",
        ),
    ),
    "text": ("text", (*TEXT, *QUICK)),
    "sentences": ("text", (*QUICK, "model.text.kind=transformer", "model.text.model={bert}")),
    "fusion": ("fusion", FUSION),
    "open": ("fusion", OPEN),
}
COLUMNS = ("catalog.id=sku", "catalog.title=name")


class Runs:
    """Trains each run at its first use, once for all processes of the tests."""

    def __init__(self, folder: Path, data: Path, bert: Path) -> None:
        self.folder, self.data, self.bert = folder, data, bert

    def __call__(self, name: str) -> Path:
        """The folder of a finished run."""
        out = self.folder / "runs" / name
        with FileLock(self.folder / f"{name}.lock"):
            if not out.exists():
                variant, words = RUNS[name]
                overrides = tuple(word.format(bert=self.bert) if "{bert}" in word else word for word in words)
                if variant == "linear":
                    run_baseline(variant, self.data, out)
                else:
                    with pytest.MonkeyPatch.context() as patch:
                        short_fitting(patch)
                        train(variant, self.data, out, overrides=overrides, cpu=True)
        return out

    def predictions(self, name: str, part: str) -> pd.DataFrame:
        """What a run answered about its own test products."""
        return pd.read_parquet(self(name) / "predictions" / f"{part}.parquet")


@pytest.fixture(scope="session")
def runs(sample_dir: Path, tiny_bert: Path, shared_dir: Path) -> Runs:
    return Runs(shared_dir, sample_dir, tiny_bert)


@pytest.fixture(scope="session")
def sample(sample_dir: Path) -> Catalog:
    """The sample catalog as the runs read it."""
    return read_catalog(sample_dir)


@pytest.fixture
def titles(tmp_path: Path, sample: Catalog) -> Path:
    """A file of 40 products with other column names than the catalog's."""
    file = tmp_path / "in" / "products.csv"
    file.parent.mkdir()
    table = sample.table[["id", "title"]].iloc[:40].set_axis(["sku", "name"], axis=1)
    table.to_csv(file, index=False)
    return file


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def done(*words: object) -> str:
    """Standard error of a command that succeeds."""
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result.stderr


def refused(*words: object) -> str:
    result = call(*words)
    assert result.exit_code == 2, result.output
    return result.stderr.splitlines()[-1]


def faults(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def ids(file: Path) -> list[str]:
    """The ids of a file of answers, in its order."""
    readers = {".csv": lambda: pd.read_csv(file, dtype=str), ".parquet": lambda: pd.read_parquet(file)}
    read = readers.get(file.suffix, lambda: pd.read_json(file, lines=True, dtype={"id": "str"}))
    return read()["id"].tolist()
