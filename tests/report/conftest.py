"""Two tiny finished runs whose metrics can be computed by hand, and a way to make more."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog import Catalog, Split, make_split
from fusionclf.catalog.records import ReadReport
from fusionclf.config import BaselineConfig, CatalogConfig, SplitConfig
from fusionclf.evaluation import CategoryGraph, RunResult, make_predictions, product_context, save_run

VERSIONS = {"python": "3.11.7", "fusionclf": "0.1.0"}
# label → rows of even (train) and odd (test) years
ROWS = {"Shirts": (30, 12), "Shoes": (20, 8), "Belts": (4, 4), "Lipstick": (0, 4)}

MakeRun = Callable[..., Path]


def make_catalog(root: Path, names: Sequence[str] = tuple(ROWS)) -> Catalog:
    rows = []
    for name, (train, test) in zip(names, ROWS.values(), strict=True):
        for number in range(train + test):
            year = 2010 if number < train else 2011
            rows.append((f"{len(rows):03}", f"thing {number % 25} of {name}", name, year))
    table = pd.DataFrame(rows, columns=["id", "title", "label", "year"]).astype({"year": "Int64"})
    masters = dict(zip(names, ("Wear", "Wear", "Wear", "Care"), strict=True))
    subs = dict(zip(names, ("Clothes", "Footwear", "Clothes", "Make-up"), strict=True))
    table = table.assign(
        masterCategory=[masters[name] for name in table["label"]],
        subCategory=[subs[name] for name in table["label"]],
    )
    reading = ReadReport(83, repaired=["001"], dropped={"missing picture": ["999"]})
    return Catalog(
        root, CatalogConfig(), table.assign(picture="p.jpg"), table.filter(["title"]), reading, "c" * 64
    )


def predictions(
    catalog: Catalog,
    split: Split,
    part: str | None,
    wrong: set[int],
    subset: Literal["test", "validation"] = "test",
    copies: int | None = None,
) -> pd.DataFrame:
    """Right answers with probability 0.7, but for `wrong` places and for classes without a training row."""
    context = product_context(catalog, split, part, subset, pictures=_digests(catalog, split, copies))
    classes = split.class_names(part)
    table = np.full((len(context), len(classes)), 0.3 / (len(classes) - 1))
    for row, (label, count) in enumerate(zip(context["label"], context["label_train_count"], strict=True)):
        place = classes.index(label)
        if row in wrong or not count:
            place = (place + 1) % len(classes)
        table[row, place] = 0.7
    return make_predictions(context, classes, table, graph=CategoryGraph.from_split(catalog, split))


def _digests(catalog: Catalog, split: Split, copies: int | None) -> np.ndarray | None:
    """Of different pictures, but that the first test products of `top2` show one of a train product; None for None."""
    if copies is None:
        return None
    digests = np.arange(1, len(catalog) + 1, dtype=np.uint64)
    digests[split.rows(catalog, "top2", "test")[:copies]] = digests[split.rows(catalog, "rest", "train")[0]]
    return digests


@pytest.fixture(scope="session")
def made_runs() -> dict[str, Path]:
    """Runs that a test made, by how: others get copies."""
    return {}


@pytest.fixture
def make_run(tmp_path: Path, made_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """A function that makes a finished run below tmp_path/runs."""

    def make(name: str, **how: Any) -> Path:
        key = repr((name, sorted(how.items())))
        if key not in made_runs:
            made_runs[key] = _make_run(tmp_path_factory.mktemp("made"))(name, **how)
        run = made_runs[key]
        copy = Path(shutil.copytree(run, tmp_path / "runs" / name))
        for file in (copy / "config.yaml", copy / "environment.json"):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(str(run.parents[1]), str(tmp_path)), encoding="utf-8")
        return copy

    return make


def _make_run(tmp_path: Path) -> MakeRun:
    """A function that makes a finished run below tmp_path/runs."""

    def make(
        name: str,
        *,
        variant: str = "nb",
        wrong: int = 0,
        joint: bool = False,
        seed: int = 0,
        keep: int | None = None,
        log: Sequence[dict] = (),
        names: Sequence[str] = tuple(ROWS),
        spec: SplitConfig | None = None,
        command: str = "",
        held_out: bool = False,
        copies: int | None = None,
    ) -> Path:
        catalog = make_catalog(tmp_path, names)
        split = make_split(catalog, spec or SplitConfig(top_k=2))
        parts: dict[str, str | None] = {part: part for part in split.classes}
        frames = {
            key: predictions(catalog, split, part, set(range(wrong)), copies=copies).iloc[:keep]
            for key, part in (parts | ({"joint": None} if joint else {})).items()
        }
        folder = tmp_path / "runs" / name
        settings = BaselineConfig(variant=variant, data=str(tmp_path / "catalog"), seed=seed)
        environment = {
            "finished_at": "2026-01-01T00:00:00+00:00",
            "command": command or f"/opt/bin/fusionclf baseline {variant} --data {tmp_path} --out {folder}",
            "versions": VERSIONS,
            "platform": "Linux x86_64, 2 CPUs",
            "peak_memory_mib": 120.5,
            "seconds": 3.25,
            "train_seconds": 1.5,
            "predict_seconds": 0.5,
            "products_per_second": 56.0,
            "pictures_per_second": None,
            "parameters": 1234,
            "device": "CPU",
        }
        held = {
            key: predictions(catalog, split, part, set(), "validation")
            for key, part in parts.items()
            if held_out
        }
        save_run(folder, RunResult(variant, settings, catalog, split, frames, environment, held))
        if log:
            (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
        return folder

    return make


@pytest.fixture
def two_runs(make_run: MakeRun) -> list[Path]:
    """`good` gets every seen class right; `poor` errs on the first five products of each part."""
    epochs = [
        {"stage": "top2", "epoch": 1, "train_loss": 2.0, "val_loss": 1.5, "val_top1": 50.0},
        {"stage": "top2", "epoch": 2, "train_loss": 1.0, "val_loss": None, "val_top1": 75.0},
    ]
    return [
        make_run("poor", wrong=5),
        make_run("good", variant="fusion", joint=True, log=epochs, held_out=True, copies=3),
    ]
