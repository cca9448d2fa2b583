"""Charts: where things are drawn, what is read out for them, and that no text of a run becomes markup."""

import re

import pytest

from fusionclf.report.charts import (
    Point,
    against_cost,
    by_training_rows,
    coverage,
    curves,
    interval_row,
    reliability,
    zoom,
)
from fusionclf.report.svg import FEW, LARGE, MEDIUM, SMALL, Axes, mark, ticks


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0, 100, [0, 20, 40, 60, 80, 100]), (84.2, 93.1, [86, 88, 90, 92]), (0, 0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5])],
)  # fmt: skip
def test_ticks_are_round(low: float, high: float, found: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(found)


def test_axes_map_data_to_pixels() -> None:
    axes = Axes((1, 100), (0, 50), log_x=True)
    assert axes.px(1) == LARGE.left
    assert axes.px(100) == LARGE.width - LARGE.right
    assert axes.px(10) == pytest.approx((axes.px(1) + axes.px(100)) / 2)
    assert axes.py(50) < axes.py(25) < axes.py(0)


def test_zoom_leaves_runs_far_below_the_best_out() -> None:
    low, high = zoom([90.0, 86.0, 28.0], [95.0])
    assert 84 < low < 86 and 95 < high < 97
    assert zoom([0.0, 0.0]) == (0.0, 1.0)


def curve(run: str, colour: int = 0, *values: float | None) -> dict:
    rows = [{"epoch": n, "val_top1": value, "train_loss": 2.0} for n, value in enumerate(values, 1)]
    return {"run": run, "colour": colour, "rows": rows}


TOP1 = [("val_top1", False)]
BIN = {"n": 20, "confidence": 90.0, "accuracy": 80.0}
ROWS = {"first": 1, "last": 4, "classes": 2, "n": 7, "top1": 50.0}


def test_names_are_escaped_in_every_chart() -> None:
    evil = "<script>\"x'</script>"
    charts = [
        against_cost([Point(evil, 0, 1.0, 90.0)], evil, evil),
        curves([curve(evil, 0, 2.0)], TOP1, evil)[0].chart,
        reliability([{"run": evil, "colour": 0, "bins": [BIN]}], evil)[0].chart,
        coverage([{"run": evil, "colour": 0, "shares": [100], "accuracy": [80.0]}], evil)[0].chart,
        by_training_rows([{"run": evil, "colour": 0, "bins": [ROWS]}], evil)[0].chart,
    ]
    for chart in charts:
        assert "<script" not in chart and "&lt;script&gt;" in chart
        assert "\"x'" not in chart  # a quote would end the label


def test_chart_shows_its_values_also_to_screen_readers() -> None:
    (panel,) = curves([curve("a", 1, 50.0, 75.5)], TOP1, "top20: validation top-1 by epoch")
    assert "<title>a, epoch 2: validation top-1 75.5</title>" in panel.chart
    assert 'aria-label="top20: validation top-1 by epoch. a: 50.00 to 75.50"' in panel.chart
    (panel,) = reliability([{"run": "a", "colour": 0, "bins": [BIN]}], "t")
    assert "<title>a at 90.0 % confidence: 80.0 % of 20 right</title>" in panel.chart
    (panel,) = by_training_rows([{"run": "a", "colour": 0, "bins": [ROWS]}], "t")
    assert "a: 50.00 % of 7 products of 2 classes with 1\N{EN DASH}4 training rows" in panel.chart


def test_many_runs_get_small_charts_with_others_in_grey() -> None:
    few = curves([curve(f"run {n}", n, 50.0, 60.0) for n in range(FEW)], TOP1, "t")
    assert [list(panel.runs) for panel in few] == [[f"run {n}" for n in range(FEW)]] and few[0].chart.count(
        "<polyline"
    ) == FEW
    many = curves([curve(f"run {n}", n, 50.0, 60.0) for n in range(FEW + 1)], TOP1, "t")
    assert [panel.runs for panel in many] == [{f"run {n}": n} for n in range(FEW + 1)]
    for panel in many:
        assert panel.chart.count('class="behind"') == FEW
        assert f'viewBox="0 0 {SMALL.width} {SMALL.height}"' in panel.chart
        assert "run 3: " not in panel.chart or "run 3" in panel.runs


def test_curves_skip_missing_values() -> None:
    (panel,) = curves([curve("a", 3, None, 0.5), curve("b", 4)], TOP1, "t")
    assert panel.chart.count("<polyline") == 1
    assert "epoch 1" not in panel.chart and "epoch 2" in panel.chart
    assert curves([curve("a", 0, None)], TOP1, "empty") == []


def test_bins_of_few_products_are_not_drawn() -> None:
    assert reliability([{"run": "a", "colour": 0, "bins": [{**BIN, "n": 9}]}], "t") == []


def test_coverage_skips_values_far_below() -> None:
    rows = [
        {"run": "good", "colour": 0, "shares": [50, 100], "accuracy": [99.0, 90.0]},
        {"run": "poor", "colour": 1, "shares": [50, 100], "accuracy": [20.0, 10.0]},
    ]
    (panel,) = coverage(rows, "t")
    assert panel.chart.count("<polyline") == 1 and "poor" not in panel.chart


def test_repeated_colours_have_another_shape() -> None:
    shapes = {mark(colour, 10, 10, 3) for colour in range(8)}
    assert len(shapes) == 8
    assert mark(0, 10, 10, 3) != mark(8, 10, 10, 3)


def test_labels_of_near_dots_do_not_cover_each_other() -> None:
    points = [Point(f"run {n}", n, 100.0 + n, 90.0 + n / 50) for n in range(6)]
    chart = against_cost(points, "seconds", "chart")
    places = re.findall(r'<text x="([\d.]+)" y="([\d.]+)">(run \d)<', chart)
    assert len(places) >= 4
    boxes = [(float(x), float(y)) for x, y, _ in places]
    for n, (x, y) in enumerate(boxes):
        assert 0 <= x <= MEDIUM.width and 0 <= y <= MEDIUM.height
        assert all(abs(y - v) >= 14 or abs(x - u) >= 6.3 * 5 for u, v in boxes[:n])


def test_run_far_below_is_hollow_with_its_value() -> None:
    chart = against_cost([Point("good", 0, 10.0, 90.0), Point("majority", 1, 1.0, 20.92)], "s", "t")
    assert chart.count('class="dot hollow"') == 1
    assert ">majority 20.9<" in chart


def test_interval_row_draws_value_interval_and_marks() -> None:
    row = interval_row(75.0, (70.0, 80.0), (50.0, 100.0), [90.0, 40.0], 9)
    assert 'class="row s1"' in row
    assert '<rect class="range" x="40.00" y="5" width="20.00"' in row
    assert 'class="value" x1="50.00"' in row
    assert row.count('class="mark"') == 1  # the other lies outside
    assert "75.00 %, 95 % interval 70.00 to 80.00" in row
    assert "polyline" in interval_row(10.0, None, (50.0, 100.0), [], 0)
