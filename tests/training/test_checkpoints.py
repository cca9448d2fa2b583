"""What is on disk stays whole: damage is noticed, a full disk and a signal lose nothing."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fusionclf.errors import RunError, Stopped, TrainingError
from fusionclf.models.weights import load_weights, save_weights
from fusionclf.training import Progress, StageState, checkpointer, checkpoints, make_accelerator
from fusionclf.training.checkpointer import Checkpointer
from fusionclf.training.checkpoints import load_checkpoint, save_checkpoint
from tests.training.small_stage import differing, equal_weights, train_pictures

TENSORS = {"model": {"weight": torch.arange(6.0).view(2, 3)}, "random": {"cpu.0": torch.get_rng_state()}}


def save(folder: Path, epoch: int) -> None:
    save_checkpoint(folder, TENSORS, {"epoch": epoch})


def test_comes_back_as_it_was_and_keeps_the_last_two(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        save(tmp_path, epoch)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint is not None and checkpoint.state == {"epoch": 3}
    for group, named in TENSORS.items():
        for name, tensor in named.items():
            assert torch.equal(checkpoint.tensors[group][name], tensor)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "previous"]


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "json", "figure"])
def test_any_damage_is_noticed_and_falls_back(damage: str, tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    file = tmp_path / "last" / ("values.json" if damage in ("json", "value") else "model.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1  # one bit of one weight, or the closing bracket
    if damage == "gone":
        file.unlink()
    elif damage == "value":
        file.write_text(file.read_text().replace('epoch\\": 2', 'epoch\\": 7'))
        assert "7" in file.read_text()
    else:
        file.write_bytes(content[:-9] if damage == "cut" else content)
    warnings: list[str] = []
    checkpoint = load_checkpoint(tmp_path, warnings.append)
    assert checkpoint is not None and checkpoint.state == {"epoch": 1}
    assert len(warnings) == 1 and "falling back to the one before" in warnings[0]


def test_says_so_where_nothing_is_whole(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "last" / "values.json").write_text("{")
    warnings: list[str] = []
    assert load_checkpoint(tmp_path, warnings.append) is None
    assert "the stage begins anew" in warnings[0]


@pytest.mark.parametrize("content", ["null", "[]", '{"epoch": 1}', "{"])
def test_figures_that_are_none_fall_back(content: str, tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "last" / "values.json").write_text(content)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint is not None and checkpoint.state == {"epoch": 1}
    save(tmp_path, 3)  # the whole one is not pushed out for the damaged one
    (tmp_path / "last" / "values.json").write_text(content)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint is not None and checkpoint.state == {"epoch": 1}


def test_another_versions_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "LAYOUT", checkpoints.LAYOUT - 1)
    save(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(RunError, match="another version"):
        load_checkpoint(tmp_path)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """What a full disk does to a write: it fails half-way."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_full_disk_is_one_line_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    def fill(epoch: int, step: int, *_: Any) -> None:
        if (epoch, step) == (2, 5):
            limit.__enter__()

    limit = no_file_larger_than(512)
    try:
        with pytest.raises(TrainingError, match=r"cannot be written.*free space, then use --resume"):
            train_pictures(tmp_path / "cut", progress=Progress(step=fill), save_every_s=0.0)
    finally:
        limit.__exit__(None, None, None)
    checkpoint = load_checkpoint(tmp_path / "cut")
    assert checkpoint is not None
    assert (checkpoint.state["epoch"], checkpoint.state["step"]) == (2, 4)
    assert not (tmp_path / "cut" / ".writing").exists()
    resumed, _ = train_pictures(tmp_path / "cut")
    whole, _ = train_pictures(tmp_path / "whole")
    assert equal_weights(resumed, whole)


def test_short_epochs_share_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(row: dict[str, Any]) -> None:
        if row["epoch"] == 3:
            raise InterruptedError

    monkeypatch.setattr(
        checkpointer, "TRAINED_PER_SAVED", 1e9
    )  # as if a checkpoint took longer than all epochs
    changes = {"epochs": 4}
    with pytest.raises(InterruptedError):
        train_pictures(tmp_path / "cut", changes, progress=Progress(epoch=kill))
    checkpoint = load_checkpoint(tmp_path / "cut")
    assert (
        checkpoint is not None and checkpoint.state["epoch"] == 2
    )  # after the first; the second is done again
    train_pictures(tmp_path / "cut", changes)
    train_pictures(tmp_path / "whole", changes)
    assert differing(tmp_path / "cut", tmp_path / "whole") == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((TrainingError, RunError), match=r"file.*cannot be written"):
        train_pictures(tmp_path / "file" / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["step", "validation"])
def test_a_signal_saves_and_says_how_to_go_on(number: signal.Signals, moment: str, tmp_path: Path) -> None:
    def step(epoch: int, step: int, *_: Any) -> None:
        if moment == "step" and (epoch, step) == (2, 3):
            os.kill(os.getpid(), number)

    def epoch(row: dict[str, Any]) -> None:
        if moment == "validation" and row["epoch"] == 2:
            os.kill(os.getpid(), number)

    with pytest.raises(Stopped, match=r"all work so far is saved.*--resume") as caught:
        train_pictures(tmp_path / "cut", progress=Progress(step=step, epoch=epoch))
    assert caught.value.exit_code == 128 + number
    checkpoint = load_checkpoint(tmp_path / "cut")
    assert checkpoint is not None
    where = (checkpoint.state["epoch"], checkpoint.state["step"])
    assert where == ((2, 4) if moment == "step" else (3, 0))
    resumed, _ = train_pictures(tmp_path / "cut")
    whole, _ = train_pictures(tmp_path / "whole")
    assert equal_weights(resumed, whole)


def test_full_disk_at_the_best_weights_is_one_line(tmp_path: Path) -> None:
    train_pictures(tmp_path, {"epochs": 1})
    before = (tmp_path / "best.safetensors").read_bytes()
    with (
        no_file_larger_than(512),
        pytest.raises(RunError, match=r"best\.safetensors.*cannot be written.*free space"),
    ):
        save_weights(tmp_path / "best.safetensors", {"weight": torch.zeros(1000)})
    assert (tmp_path / "best.safetensors").read_bytes() == before
    assert not list(tmp_path.glob(".best*"))


@pytest.mark.parametrize("harm", ["zero", "flip"])
def test_damaged_best_weights_are_refused(harm: str, tmp_path: Path) -> None:
    train_pictures(tmp_path, {"epochs": 1})
    file = tmp_path / "best.safetensors"
    content = bytearray(file.read_bytes())
    content[-8:] = bytes(8) if harm == "zero" else bytes([content[-8] ^ 1]) + content[-7:]
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"best\.safetensors.*damaged.*--overwrite"):
        train_pictures(tmp_path, {"epochs": 1})


def test_weights_of_any_kind_come_back_equal(tmp_path: Path) -> None:
    tensors = {
        "half": torch.randn(3, 4).bfloat16().T,
        "channels last": torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "none": torch.zeros(0, 3),
        "one": torch.tensor(7),
        "seen": torch.tensor([True, False]),
    }
    save_weights(tmp_path / "all.safetensors", tensors)
    loaded = load_weights(tmp_path / "all.safetensors")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in tensors.items())


def test_weights_without_a_checksum_are_loaded(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "old.safetensors")
    assert load_weights(tmp_path / "old.safetensors")["weight"].tolist() == [1, 1]


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    def saver(width: int) -> Checkpointer:
        model = nn.Linear(width, 2)
        return Checkpointer(
            tmp_path, model, torch.optim.SGD(model.parameters()), None, make_accelerator("fp32", True), 1
        )

    saver(3).save(StageState())
    with pytest.raises(RunError, match=rf"{tmp_path}: is of another run .*train again with --overwrite"):
        saver(4).restore(print)
