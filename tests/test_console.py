"""What long work shows: figures and time left on a bar, and plain lines where there is no terminal."""

import io

import pytest
import rich.console

from fusionclf import console as module
from fusionclf.console import Console

ROW = {"epoch": 1, "train_loss": 0.5, "val_loss": 0.4, "val_top1": 81.5, "seconds": 60.0, "pictures_per_second": 120.0,
       "stage": "top20"}  # fmt: skip


def console_of(width: int = 140, terminal: bool = False) -> tuple[Console, io.StringIO]:
    console, out = Console(), io.StringIO()
    console.rich = rich.console.Console(file=out, width=width, force_terminal=terminal, highlight=False)
    return console, out


def test_plain_lines_tell_epoch_loss_score_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLAIN_EVERY_S", -1.0)
    console, out = console_of()
    with console.training("top20", 3) as lines:
        lines.step(1, 5, 10, 0.7, 118.0)
        lines.epoch(ROW)
        lines.step(2, 1, 10, 0.6, 121.0)
    first, second, third = out.getvalue().splitlines()
    assert first == "top20 step 5/10, epoch 1/3, loss 0.7000, 118 products/s"
    assert second.startswith("top20 epoch 1/3: loss 0.5000") and "about 2.0 min left" in second
    assert third == "top20 step 1/10, epoch 2/3, loss 0.6000, top-1 81.50 %, 121 products/s"


def test_a_terminal_gets_a_bar_with_the_same_figures() -> None:
    console, out = console_of(terminal=True)
    with console.training("top20", 2) as lines:
        lines.epoch(ROW)
        lines.step(2, 5, 10, 0.6, 121.0)
        lines.progress.refresh()
    assert "epoch 2/2, loss 0.6000, top-1 81.50 %, 121 products/s" in out.getvalue()


def test_a_tracker_is_told_the_figures_by_stage() -> None:
    console, _ = console_of()
    told: list[tuple[dict[str, float], int]] = []
    with console.training("rest", 2, lambda values, step: told.append((values, step))) as lines:
        lines.epoch(ROW)
    assert told[0][0]["rest/val_top1"] == 81.5 and told[0][1] == 1
    assert not any(isinstance(value, str) for value in told[0][0].values())
