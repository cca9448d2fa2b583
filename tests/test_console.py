"""Progress of long work: numbers and time left on a bar, or plain lines without a terminal."""

import io

import pytest
import rich.console

from fusionclf import console as module
from fusionclf.console import Console, one_line, printable

ROW = {"epoch": 1, "train_loss": 0.5, "val_loss": 0.4, "val_top1": 81.5, "seconds": 60.0, "pictures_per_second": 120.0,
       "stage": "top20"}  # fmt: skip


def console_of(width: int = 140, terminal: bool = False) -> tuple[Console, io.StringIO]:
    console, out = Console(), io.StringIO()
    console.rich = rich.console.Console(file=out, width=width, force_terminal=terminal, highlight=False)
    return console, out


def test_plain_lines_show_epoch_loss_score_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_terminal_gets_a_bar_with_the_same_numbers() -> None:
    console, out = console_of(terminal=True)
    with console.training("top20", 2) as lines:
        lines.epoch(ROW)
        lines.step(2, 5, 10, 0.6, 121.0)
        lines.progress.refresh()
    assert "epoch 2/2, loss 0.6000, top-1 81.50 %, 121 products/s" in out.getvalue()


def test_tracker_gets_numbers_by_stage() -> None:
    console, _ = console_of()
    tracked: list[tuple[dict[str, float], int]] = []
    with console.training("rest", 2, lambda values, step: tracked.append((values, step))) as lines:
        lines.epoch(ROW)
    assert tracked[0][0]["rest/val_top1"] == 81.5 and tracked[0][1] == 1
    assert not any(isinstance(value, str) for value in tracked[0][0].values())


def test_printable_text_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[31mb\x07\n\u202ec\x9b") == "a?[31mb???c?"
    assert printable("\u200b\u2028\ufeff\xad\x7f\ud800\udcff") == "???????"


@pytest.mark.parametrize("text", ["Café, 日本", "قميص أزرق", "חולצה", "साड़ी", "👕🏽", "❤️", "ﬁ ½ €"])
def test_ordinary_text_and_emoji_are_unchanged(text: str) -> None:
    assert printable(text) == text


def test_a_space_of_another_width_becomes_a_space() -> None:
    assert printable("10\xa0000\u2009€\u3000日本") == "10 000 € 日本"


def test_one_line_cuts_the_middle_of_a_long_text() -> None:
    assert one_line("a\n b\t\x1bc") == "a b ?c"
    short = one_line("begin " + "x" * 5000 + " remedy")
    assert len(short) == 400 and short.startswith("begin x") and short.endswith("x remedy") and " … " in short
    assert one_line("y" * 400) == "y" * 400


HOSTILE = "[red]a[/red] :heart: \x1b[31m\u202eb\ud800 \\"
SHOWN = "[red]a[/red] :heart: ?[31m?b? \\"


@pytest.mark.parametrize("terminal", [False, True])
def test_messages_cannot_steer_a_terminal(terminal: bool) -> None:
    console, out = console_of(terminal=terminal)
    console.info(HOSTILE)
    console.warn(HOSTILE)
    message, warned = out.getvalue().splitlines()
    assert message == SHOWN and warned.endswith(f": {SHOWN}") and "warning" in warned


def test_titles_of_bars_cannot_steer_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLAIN_EVERY_S", -1.0)
    console, out = console_of()
    with console.bar(HOSTILE) as step:
        step(1, 2)
    assert out.getvalue() == f"{SHOWN}: 1 of 2, about 0.0 min left\n"
    console, out = console_of(terminal=True)
    with console.bar(HOSTILE, 2) as step:
        step(1, 2)
    with console.training(HOSTILE, 2) as lines:
        lines.step(2, 5, 10, 0.6, 121.0)
        lines.progress.refresh()
    assert SHOWN in out.getvalue() and "\x1b[31ma" not in out.getvalue() and "\u202e" not in out.getvalue()
