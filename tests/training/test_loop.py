"""Training as a whole: resumes as if it had not stopped, keeps the best epoch, stops at a loss that is not finite."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fusionclf.batches import ProductSource
from fusionclf.config import TrainConfig
from fusionclf.errors import TrainingError
from fusionclf.models import ProductClassifier
from fusionclf.training import Progress, make_accelerator, predict_logits, train_stage
from fusionclf.training.checkpoints import load_checkpoint
from tests.small import CLASSES, tiny_model

TITLES = [f"{('red shirt', 'blue shoe', 'gold watch', 'black bag')[n % 4]} {n}" for n in range(80)]
SETTINGS = TrainConfig.model_validate(
    {
        "epochs": 3,
        "batch_size": 8,
        "optimiser": {"name": "adamw", "learning_rate": 0.01},
        "class_weights": "none",
        "precision": "fp32",
    }
)


class Stop(Exception):
    """Stands for a machine that is switched off."""


def make() -> tuple[ProductClassifier, ProductSource]:
    _, _, model = tiny_model("text", dropout=0.3)
    assert model.text is not None
    model.text.fit(TITLES)
    return model, ProductSource(None, model.text.prepare(TITLES), {"label": np.arange(80) % CLASSES["label"]})


def run(folder: Path, settings: TrainConfig = SETTINGS, stop_at: int | None = None) -> ProductClassifier:
    model, source = make()
    steps = 0

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == stop_at:
            raise Stop

    accelerator = make_accelerator("fp32", cpu=True)
    rows = np.arange(64), np.arange(64, 80)
    train_stage(
        model, source, *rows, settings, accelerator, folder, stage="all", progress=Progress(step=step)
    )
    return model


def test_learns_and_logs_every_epoch(tmp_path: Path) -> None:
    run(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint is not None
    log = checkpoint.figures["log"]
    assert [row["epoch"] for row in log] == [1, 2, 3]
    assert log[-1]["train_loss"] < log[0]["train_loss"]
    assert log[-1]["val_top1"] == 100.0
    assert checkpoint.figures["best_score"] == max(row["val_top1"] for row in log)


def test_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a").state_dict(), run(tmp_path / "b").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole").state_dict()
    with pytest.raises(Stop):
        run(tmp_path / "cut", stop_at=2)  # in epoch 2: epoch 1 is saved
    resumed = run(tmp_path / "cut").state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole").state_dict()
    with pytest.raises(Stop):
        run(tmp_path / "cut", stop_at=3)
    (tmp_path / "cut" / "last" / "model.safetensors").write_bytes(b"half")
    resumed = run(tmp_path / "cut").state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_loss_that_is_not_finite_stops_with_the_remedy(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 1})
    model, source = make()
    with torch.no_grad():
        next(iter(model.heads["label"].parameters())).fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"not finite in epoch 1.*learning_rate"):
        train_stage(
            model, source, np.arange(64), np.arange(64, 80), settings, make_accelerator("fp32", cpu=True), tmp_path,
            stage="all",
        )  # fmt: skip


def test_predicts_every_row_once_and_in_order() -> None:
    model, source = make()
    accelerator = make_accelerator("fp32", cpu=True)
    rows = np.array([5, 3, 9, 3, 70])
    logits = predict_logits(model, source, rows, accelerator)
    one = [predict_logits(model, source, np.array([row]), accelerator)[0] for row in rows]
    assert torch.allclose(logits, torch.stack(one), atol=1e-6)
