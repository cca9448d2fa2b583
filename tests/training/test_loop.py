"""Training as a whole: resumes as if it had not stopped, keeps the best epoch, stops at a loss that is not finite."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionclf.batches import ProductSource, epoch_order
from fusionclf.config import TrainConfig
from fusionclf.errors import TrainingError
from fusionclf.models import ProductClassifier, base_model
from fusionclf.training import (
    Progress,
    StageSpec,
    iterate_logits,
    make_accelerator,
    predict_logits,
    train_stage,
)
from fusionclf.training.checkpoints import load_checkpoint
from fusionclf.training.prediction import EVALUATION_BATCH, batch_size
from tests.small import CLASSES, tiny_model
from tests.training.small_stage import picture_source

TITLES = [f"{('red shirt', 'blue shoe', 'gold watch', 'black bag')[n % 4]} {n}" for n in range(80)]
SETTINGS = TrainConfig.model_validate(
    {
        "epochs": 3,
        "batch_size": 8,
        "optimiser": {"name": "adamw", "learning_rate": 0.01},
        "class_weights": "none",
        "precision": "fp32",
        "select_by": "last",  # an early best epoch would hide what comes after it
    }
)


class Stop(Exception):
    """Stands for a machine that is switched off."""


def make() -> tuple[ProductClassifier, ProductSource]:
    model = base_model(tiny_model("text", dropout=0.3)[2])
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
    train_stage(model, source, spec(folder), settings, accelerator, Progress(step=step))
    return model


def spec(folder: Path, **more: Any) -> StageSpec:
    return StageSpec("all", folder, np.arange(64), np.arange(64, 80), **more)


def test_learns_and_logs_every_epoch(tmp_path: Path) -> None:
    run(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint is not None
    log = checkpoint.state["log"]
    assert [row["epoch"] for row in log] == [1, 2, 3]
    assert log[-1]["train_loss"] < log[0]["train_loss"]
    assert log[-1]["val_top1"] == 100.0
    assert checkpoint.state["best_score"] == max(row["val_top1"] for row in log)


def test_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a").state_dict(), run(tmp_path / "b").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_model_that_is_trained_again_keeps_the_precision(tmp_path: Path) -> None:
    model, source = make()
    assert model.text is not None
    seen: list[bool] = []
    model.text.register_forward_hook(
        lambda module, *_: seen.append(torch.is_autocast_enabled("cpu")) if module.training else None
    )
    settings = SETTINGS.model_copy(update={"freeze_epochs": 1, "precision": "bf16"})
    for name in ("first", "second"):
        train_stage(model, source, spec(tmp_path / name), settings, make_accelerator("bf16", cpu=True))
    assert seen == [True] * (2 * 3 * 8)


def test_a_run_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole").state_dict()
    with pytest.raises(Stop):
        run(tmp_path / "cut", stop_at=11)  # in epoch 2: epoch 1 is saved
    resumed = run(tmp_path / "cut").state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole").state_dict()
    with pytest.raises(Stop):
        run(tmp_path / "cut", stop_at=19)
    (tmp_path / "cut" / "last" / "model.safetensors").write_bytes(b"half")
    resumed = run(tmp_path / "cut").state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_loss_that_is_not_finite_stops_and_names_the_products(tmp_path: Path) -> None:
    model, source = make()
    targets = source.targets["label"]
    run(tmp_path / "before", SETTINGS.model_copy(update={"epochs": 1}))
    source = replace(source, ids=[f"id-{n}" for n in range(80)])

    class Broken(type(model.heads["label"])):
        """Gives no number in the fourth batch of the second epoch."""

        calls = 0

        def forward(self, input: torch.Tensor) -> torch.Tensor:
            self.calls += self.training
            return super().forward(input) * (float("nan") if self.calls == 12 else 1.0)

    head = model.heads["label"]
    model.heads["label"] = Broken(head.in_features, head.out_features)  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        TrainingError, match=r"not finite in epoch 2, step 4.*not-finite\.json.*learning_rate"
    ):
        train_stage(model, source, spec(tmp_path), SETTINGS, make_accelerator("fp32", cpu=True))
    saved = json.loads((tmp_path / "not-finite.json").read_text())
    order = epoch_order(np.arange(64), targets, 0, 2)[24:32, 0]
    assert saved["ids"] == [f"id-{row}" for row in order]
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint is not None and checkpoint.state["epoch"] == 2
    assert all(torch.isfinite(tensor).all() for tensor in checkpoint.tensors["model"].values())


def test_titles_of_similar_length_share_a_batch_in_order() -> None:
    model, source = make()

    class Lengths:
        """The same titles, of differing cost."""

        def batch(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
            assert source.titles is not None
            return source.titles.batch(rows)

        def lengths(self) -> np.ndarray:
            return np.arange(80)[::-1] % 7

    accelerator = make_accelerator("fp32", cpu=True)
    rows = np.arange(80)
    read = replace(source, titles=Lengths())
    places = np.concatenate([place for place, _ in iterate_logits(model, read, rows, accelerator)])
    assert not np.array_equal(places, rows) and np.array_equal(np.sort(places), rows)
    expected, found = (predict_logits(model, s, rows, accelerator) for s in (source, read))
    assert torch.allclose(expected, found, atol=1e-6)


@pytest.mark.parametrize(("size", "graphs", "expected"), [(224, False, 16), (80, False, 125), (32, False, 128),
                                                          (112, True, 10), (512, True, 1)])  # fmt: skip
def test_a_batch_on_a_cpu_is_bounded_by_pixels(size: int, graphs: bool, expected: int) -> None:
    assert batch_size(picture_source(size), torch.device("cpu"), in_threads=graphs) == expected
    assert batch_size(picture_source(size), torch.device("cuda")) == EVALUATION_BATCH


def test_predicts_every_row_once_and_in_order() -> None:
    model, source = make()
    accelerator = make_accelerator("fp32", cpu=True)
    rows = np.array([5, 3, 9, 3, 70])
    logits = predict_logits(model, source, rows, accelerator)
    one = [predict_logits(model, source, np.array([row]), accelerator)[0] for row in rows]
    assert torch.allclose(logits, torch.stack(one), atol=1e-6)
