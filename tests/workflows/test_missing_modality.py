"""Products without a picture or a title: which models learn from them, and what the others warn of."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fusionclf.console import Console
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.train import TrainOptions, train
from tests.small import IMAGE, short_fitting, small_late_fusion

COLUMNS = (
    "catalog.file=products.csv", "catalog.id=sku", "catalog.title=name", "catalog.label=type",
    "catalog.picture={file}", "catalog.categories=", "catalog.metadata=", "catalog.year=null", "split.rule=random",
    "catalog.missing_picture=keep", "scheme=single_stage",
)  # fmt: skip
SMALL = (
    *IMAGE, "train.class_weights=none", "train.batch_size=16", "train.optimiser={name: adamw, learning_rate: 0.01}",
)  # fmt: skip
COLOURS = {"Shirts": (200, 30, 30), "Shoes": (30, 200, 30)}


@pytest.fixture(scope="module")
def no_watch_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 products of three classes whose titles name the class; no Watch has a picture."""
    folder = tmp_path_factory.mktemp("watches")
    lines = ["sku,name,type,file"]
    for number in range(90):
        name = ("Shirts", "Shoes", "Watches")[number % 3]
        file = f"{number}.png" if name in COLOURS else ""
        if file:
            red, green, blue = COLOURS[name]
            Image.new("RGB", (32, 32), (red, green, blue + number)).save(folder / file)
        lines.append(f"p{number},Brand {number % 7} {name} {number},{name},{file}")
    (folder / "products.csv").write_text("\n".join(lines) + "\n")
    return folder


def fusion(data: Path, out: Path, *overrides: str) -> dict[str, Any]:
    settings = (
        *COLUMNS,
        *SMALL,
        "model.hidden=16",
        "model.text.buckets=4096",
        "model.text.dim=16",
        *overrides,
    )
    return train(
        "fusion", data, out, overrides=settings, cpu=True, options=TrainOptions(console=Console(quiet=True))
    )


def recall(out: Path, name: str) -> float:
    frame = pd.read_parquet(out / "predictions" / "joint.parquet")
    own = (frame["label"] == name).to_numpy(bool)
    return float(np.mean((frame["label_1"] == name).to_numpy(bool)[own]))


@pytest.mark.slow
@pytest.mark.parametrize("wide", ["true", "false"])
def test_fusion_learns_rows_without_picture_by_title(
    no_watch_pictures: Path, tmp_path: Path, wide: str
) -> None:
    fusion(no_watch_pictures, tmp_path / "run", "train.epochs=8", f"model.wide={wide}")
    assert recall(tmp_path / "run", "Watches") == 1.0


@pytest.mark.slow
def test_late_fusion_learns_rows_without_picture(
    no_watch_pictures: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    small = ("model.fuser=late", "model.vocabulary=closed", "train.epochs=2")
    fusion(no_watch_pictures, tmp_path / "run", *small)
    assert recall(tmp_path / "run", "Watches") == 1.0


@pytest.mark.slow
def test_open_fusion_learns_rows_without_picture(
    no_watch_pictures: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_fitting(monkeypatch)
    more = (
        "catalog.missing_picture=keep",
        "train.epochs=2",
        "model.vocabulary=open",
        "model.image.frozen=true",
    )
    for fuser in ("late", "concat"):
        out = tmp_path / fuser
        words = (*COLUMNS, *small_late_fusion(tiny_bert), *more, f"model.fuser={fuser}", "model.hidden=16")
        train(
            "fusion",
            no_watch_pictures,
            out,
            overrides=words,
            cpu=True,
            options=TrainOptions(console=Console(quiet=True)),
        )
        assert recall(out, "Watches") == 1.0
        held_out = pd.read_parquet(out / "held_out" / "joint.parquet")
        assert held_out["label"].tolist().count("Watches") >= 20  # of 24; some folds hold the class out


@pytest.mark.slow
def test_image_model_warns_of_rows_without_picture(
    no_watch_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(
        "image", no_watch_pictures, tmp_path / "run", overrides=(*COLUMNS, *SMALL, "train.epochs=1"), cpu=True
    )
    message = " ".join(capsys.readouterr().err.split())
    assert "24 of 72 train rows have no picture that can be read (p14, p17, p2, …)" in message
    assert "1 class(es) left without a train row (Watches)" in message
    kept = json.loads((tmp_path / "run" / "environment.json").read_text())["unused_train_rows"]
    assert kept["rows"] == 24 and kept["lost_classes"] == {"Watches": 24}


def test_baseline_skips_rows_without_title(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        "sku,name,type",
        *(f"p{n},{'' if n % 3 == 2 else f'word{n % 3} {n}'},c{n % 3}" for n in range(60)),
    ]
    (tmp_path / "products.csv").write_text("\n".join(lines) + "\n")
    words = (*COLUMNS[:4], "catalog.picture=./{sku}.png", *COLUMNS[5:-1])
    run_baseline("linear", tmp_path, tmp_path / "run", overrides=words)
    assert "16 of 48 train rows have no title" in " ".join(capsys.readouterr().err.split())
    labels = json.loads((tmp_path / "run" / "model" / "labels.json").read_text())
    assert labels["joint"]["classes"]["label"] == ["c0", "c1"]
