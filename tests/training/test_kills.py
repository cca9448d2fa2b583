"""A run that is killed at twelve moments, checkpoint writes included, ends with the weights of an uncut one."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from fusionclf.training import StageSpec, make_accelerator, train_stage
from fusionclf.training.checkpoints import load_checkpoint
from tests.training.small_stage import TRAIN, VALIDATION, differing, fusion, settings

KILLS = 12
CHANGES: dict[str, Any] = {
    "epochs": 4,
    "ema_decay": 0.9,
    "sampler": "balanced",
    "patience": 4,
    "freeze_epochs": 1,
}


def work(folder: Path) -> None:
    """Train the stage from wherever `folder` stands; a checkpoint after every step."""
    torch.set_num_threads(1)
    model, source = fusion()
    spec = StageSpec("all", folder, TRAIN, VALIDATION, save_every_s=0.0)
    train_stage(model, source, spec, settings(**CHANGES), make_accelerator("fp32", cpu=True))


def start(folder: Path) -> Any:
    # A fork server loads torch once, and what an optimiser imports; each child then starts in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.small_stage", "torch._dynamo"])
    process = context.Process(target=work, args=(folder,))
    process.start()
    return process


def kill_while_writing(process: Any, folder: Path, patience_s: float = 20.0) -> bool:
    """Kill as soon as a checkpoint is half written."""
    end = time.monotonic() + patience_s
    while process.is_alive() and time.monotonic() < end:
        if (folder / ".writing").exists():
            os.kill(process.pid, signal.SIGKILL)
            return True
    return False


def progress_of(folder: Path) -> tuple[int, int]:
    checkpoint = load_checkpoint(folder)
    return (0, 0) if checkpoint is None else (checkpoint.state["epoch"], checkpoint.state["step"])


def assert_same_end(whole: Path, cut: Path) -> None:
    """Weights, optimiser, averages and random states are equal bit for bit."""
    checkpoint = load_checkpoint(whole)
    assert checkpoint is not None
    assert set(checkpoint.tensors) == {"model", "optimiser", "average", "random"}
    assert differing(whole, cut) == []


@pytest.mark.slow
def test_twelve_kills_and_resumes_end_with_the_same_weights(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut-0"
    start(tmp_path / "first").join()  # the fork server loads torch, which takes longer than the stage
    process = start(whole)
    began = time.monotonic()
    process.join()
    seconds = time.monotonic() - began
    assert process.exitcode == 0
    chance = random.Random(0)
    killed, in_writing, moved, before = 0, 0, 0, (0, 0)
    # On a busy machine the moments may miss: more of them follow until there are enough of each kind.
    while killed < KILLS or (min(in_writing, moved) < KILLS // 4 and killed < 4 * KILLS):
        if killed % 2:  # what an earlier kill left half written is no sign of this process's writing
            shutil.rmtree(cut / ".writing", ignore_errors=True)
        process = start(cut)
        if killed % 2:
            in_writing += kill_while_writing(process, cut)
        else:
            process.join(chance.uniform(0.0, seconds))
            process.kill()
        process.join()
        if (
            process.exitcode == 0
        ):  # it was done before the moment came: begin anew for the moments that are left
            assert_same_end(whole, cut)
            cut, before = tmp_path / f"cut-{killed}", (0, 0)
            continue
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        now = progress_of(cut)
        moved += now > before
        before = now
    process = start(cut)
    process.join()
    assert process.exitcode == 0
    assert_same_end(whole, cut)
    assert in_writing >= KILLS // 4 and moved >= KILLS // 4
    print(f"killed {killed} times, {in_writing} of them while a checkpoint was written")
