"""Charts: where things are drawn, and that no text of a run becomes markup."""

import re

import pytest

from fusionclf.report.figures import (
    HEIGHT,
    LEFT,
    WIDTH,
    Axes,
    Line,
    Point,
    _ticks,
    against_cost,
    curves,
    interval_row,
    lines_of,
    reliability,
    zoom,
)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 100, [0, 20, 40, 60, 80, 100]), (84.2, 93.1, [86, 88, 90, 92]), (0, 0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5])],
)  # fmt: skip
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert _ticks(low, high) == pytest.approx(ticks)


def test_axes_map_data_to_pixels() -> None:
    axes = Axes((1, 100), (0, 50), log_x=True)
    assert axes.px(1) == LEFT
    assert axes.px(10) == pytest.approx((axes.px(1) + axes.px(100)) / 2)
    assert axes.py(50) < axes.py(25) < axes.py(0)


def test_zoom_leaves_runs_far_below_the_best_out() -> None:
    low, high = zoom([90.0, 86.0, 28.0], [95.0])
    assert 84 < low < 86 and 95 < high < 97
    assert zoom([0.0, 0.0]) == (0.0, 1.0)


def test_names_are_escaped_in_every_chart() -> None:
    evil = '<script>"x"</script>'
    charts = [
        against_cost([Point(evil, 0, 1.0, 90.0)], evil, evil),
        curves([Line(0, [(1, 2.0)])], evil),
        reliability([Line(0, [(1, 2.0)])], evil),
    ]
    for chart in charts:
        assert "<script" not in chart and "&lt;script&gt;" in chart


def test_labels_of_near_dots_do_not_cover_each_other() -> None:
    points = [Point(f"run {n}", n, 100.0 + n, 90.0 + n / 50) for n in range(6)]
    chart = against_cost(points, "seconds", "chart")
    places = re.findall(r'<text x="([\d.]+)" y="([\d.]+)">(run \d)<', chart)
    assert len(places) >= 4
    boxes = [(float(x), float(y)) for x, y, _ in places]
    for n, (x, y) in enumerate(boxes):
        assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
        assert all(abs(y - v) >= 14 or abs(x - u) >= 6.3 * 5 for u, v in boxes[:n])


def test_a_run_far_below_is_a_ring_with_its_figure() -> None:
    chart = against_cost([Point("good", 0, 10.0, 90.0), Point("majority", 1, 1.0, 20.92)], "s", "t")
    assert chart.count('class="ring"') == 1
    assert ">majority 20.9<" in chart


def test_interval_row_draws_value_interval_and_marks() -> None:
    row = interval_row(75.0, (70.0, 80.0), (50.0, 100.0), [90.0, 40.0], 9)
    assert 'class="row s1"' in row
    assert '<rect class="range" x="40.00" y="5" width="20.00"' in row
    assert 'class="value" x1="50.00"' in row
    assert row.count('class="mark"') == 1  # the other lies outside
    assert "polyline" in interval_row(10.0, None, (50.0, 100.0), [], 0)


def test_missing_figures_are_left_out_of_curves() -> None:
    rows = [{"epoch": 1, "val_loss": None}, {"epoch": 2, "val_loss": 0.5}, {"epoch": None, "val_loss": 1.0}]
    lines = lines_of([{"colour": 3, "rows": rows}], "val_loss")
    assert lines == [Line(3, [(2, 0.5)])]
    assert curves([Line(0, [])], "empty") == ""
