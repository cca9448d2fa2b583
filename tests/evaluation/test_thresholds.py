"""Thresholds for a target precision, and what is decided by them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation import CategoryGraph, Thresholds, decide, make_predictions, thresholds_of_run
from fusionclf.evaluation.predictions import CONTEXT, write_predictions
from fusionclf.evaluation.thresholds import decision_metrics, fit_thresholds

GRAPH = CategoryGraph(
    ("master", "sub", "type"),
    ("A", "B", "C", "D"),
    (("M", "S", "A"), ("M", "S", "B"), ("M", "T", "C"), ("N", "U", "D")),
    (9, 9, 9, 9),
)
NUMBER = {name: n for n, name in enumerate(GRAPH.classes)}
PATH = {path[-1]: path for path in GRAPH.paths}


def predictions(rows: list[tuple[str, dict[str, float]]]) -> pd.DataFrame:
    """Products by label and stated probabilities."""
    zero = {name: False if name in ("title_names_label", "leaked_title") else 0 for name in CONTEXT}
    known = {name: [value] * len(rows) for name, value in zero.items()} | {
        "id": [str(n) for n in range(len(rows))]
    }
    paths = [PATH[label] for label, _ in rows]
    names = ("true_category_1", "true_category_2", "label")
    context = pd.DataFrame(known | {name: [path[n] for path in paths] for n, name in enumerate(names)})
    table = np.zeros((len(rows), 4))
    for row, (_, stated) in enumerate(rows):
        for name, prob in stated.items():
            table[row, NUMBER[name]] = prob
    return make_predictions(context, GRAPH.classes, table, graph=GRAPH)


def spread(
    answer: str, label: str, count: int, low: float, high: float
) -> list[tuple[str, dict[str, float]]]:
    """`count` products of a label that get one answer, with probabilities from low to high."""
    return [(label, {answer: float(prob)}) for prob in np.linspace(low, high, count)]


# A: right from 0.6 on, wrong below. B: few, all right. C: half wrong everywhere. D: never answered.
HELD = predictions(
    [
        *spread("A", "A", 300, 0.6, 0.99), *spread("A", "B", 30, 0.3, 0.59),
        *spread("B", "B", 4, 0.7, 0.98),
        *spread("C", "C", 50, 0.5, 0.97), *spread("C", "D", 50, 0.5, 0.97),
    ]
)  # fmt: skip


def test_class_is_accepted_where_its_predictions_are_right() -> None:
    found = fit_thresholds(HELD, 0.98)
    least = found.classes["A"]
    assert least is not None
    answers = HELD[(HELD["label_1"] == "A") & (HELD["prob_1"] >= least)]
    assert 0.58 <= least <= 0.66
    assert np.mean(answers["label"] == "A") >= 0.98
    assert found.rows == len(HELD) and found.target == 0.98


def test_variants_of_one_product_count_as_one_prediction() -> None:
    rows = [
        *spread("A", "A", 300, 0.6, 0.99),
        *spread("B", "B", 40, 0.5, 0.52),
        *spread("C", "D", 50, 0.5, 0.97),
    ]
    frame = predictions(rows)
    alone = fit_thresholds(frame.assign(group=np.arange(len(frame))), 0.95)
    assert alone == fit_thresholds(frame, 0.95)
    one_style = np.where(frame["label"] == "B", -1, np.arange(len(frame)))
    styles = fit_thresholds(frame.assign(group=one_style), 0.95)
    assert alone.classes["B"] is not None and alone.classes["B"] < 0.53
    assert styles.classes["B"] is None or styles.classes["B"] > 0.6


def test_a_class_that_cannot_reach_the_target_is_never_accepted() -> None:
    assert fit_thresholds(HELD, 0.98).classes["C"] is None


def test_few_predictions_accept_nothing_where_others_fail() -> None:
    alone = predictions([*spread("B", "B", 4, 0.7, 0.9)])
    assert fit_thresholds(alone, 0.98).classes["B"] == 0.7
    # Among others that are right less often at 0.7 to 0.9, those four do not count for much.
    found = fit_thresholds(pd.concat([HELD.loc[HELD["label_1"] != "B"], alone]), 0.98)
    assert found.classes["B"] == found.others and found.others is not None and found.others > 0.9


def test_predictions_mostly_wrong_are_rejected() -> None:
    found = fit_thresholds(HELD, 0.98)
    assert 0.5 <= found.reject_below <= 0.62
    never = predictions([*spread("A", "A", 10, 0.2, 0.9)])
    assert fit_thresholds(never, 0.98).reject_below == 0.0
    always = predictions([*spread("A", "B", 10, 0.2, 0.9)])
    assert fit_thresholds(always, 0.98).reject_below == 1.0


def test_an_uncertain_class_backs_off_to_its_category() -> None:
    # Of A and B, which share a subcategory, the wrong one is answered half of the time; of C and D likewise.
    doubt = [(label, {"A": 0.5, "B": 0.49}) for label in ("A", "B") * 100]
    other = [(label, {"C": 0.5, "D": 0.49}) for label in ("C", "D") * 100]
    found = fit_thresholds(predictions([*doubt, *other, *spread("A", "A", 400, 0.98, 0.99)]), 0.95)
    assert found.levels == (0.95, 0.95)
    probabilities = np.array([[0.5, 0.49, 0, 0], [0, 0, 0.5, 0.49], [0.99, 0, 0, 0], [np.nan] * 4])
    decisions = decide(GRAPH, found, probabilities, GRAPH.classes)
    assert decisions.paths == [("M", "S"), (), ("M", "S", "A"), ()]
    assert decisions.levels.tolist() == [2, 0, 3, 0]
    assert decisions.decisions.tolist()[2:] == ["accept", "reject"]
    assert "accept" not in decisions.decisions.tolist()[:2]
    assert decisions.probabilities.tolist() == pytest.approx([0.99, np.nan, 0.99, np.nan], nan_ok=True)


def test_right_predictions_do_not_lower_it_to_where_others_fail() -> None:
    rows = [
        *spread("A", "A", 300, 0.3, 0.5),
        *spread("B", "C", 900, 0.3, 0.5),
        *spread("D", "D", 300, 0.6, 0.9),
    ]
    least = fit_thresholds(predictions(rows), 0.9).classes["A"]
    assert least is None or least > 0.5


def test_category_threshold_is_fitted_on_rows_without_deeper_one() -> None:
    """Many sure classes and subcategories must not vouch for the doubtful rest."""
    sure = spread("A", "A", 400, 0.97, 0.999)
    doubt = [(label, {"A": 0.5, "B": 0.48}) for label in ("A", "B") * 500]  # the subcategory is right
    # The master category M is 0.96 likely and wrong half of the time.
    bad = [(label, {"A": 0.48, "C": 0.48}) for label in ("C", "D") * 30]
    found = fit_thresholds(predictions([*sure, *doubt, *bad]), 0.95)
    assert found.levels[1] == 0.95
    assert found.levels[0] is None or found.levels[0] > 0.96
    # The same for what the classes leave: subcategories at 0.96 that are wrong half of the time.
    wrong = [(label, {"A": 0.48, "B": 0.48}) for label in ("A", "C") * 15]
    least = fit_thresholds(predictions([*sure, *wrong]), 0.95).levels[1]
    assert least is None or least > 0.96


def test_class_never_predicted_uses_the_threshold_of_others() -> None:
    found = Thresholds(0.9, 10, {"A": 0.95}, 0.7, (None, None), 0.4)
    decisions = decide(GRAPH, found, np.array([[0, 0, 0, 0.8], [0.8, 0, 0, 0]]), GRAPH.classes)
    assert decisions.decisions.tolist() == ["accept", "review"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from("ABCD"), st.floats(0.3, 1)), min_size=1),
    st.floats(0.5, 1),
)
def test_accepted_predictions_reach_the_target(rows: list, target: float) -> None:
    """Pseudo-rows aside: what is accepted reaches the target precision, where a class has many answers."""
    frame = predictions([(label, {answer: prob}) for answer, label, prob in rows for _ in range(40)])
    found = fit_thresholds(frame, target)
    for name, least in found.classes.items():
        own = frame[(frame["label_1"] == name) & (frame["prob_1"] >= (2 if least is None else least))]
        if len(own):
            # Ten pseudo-rows, all right, can lift the share by no more than this.
            assert np.mean(own["label"] == name) >= target - 10 * (1 - target) / len(own) - 1e-9
    assert all(least is None or least >= target for least in found.levels)


def test_metrics_of_decisions() -> None:
    found = Thresholds(0.9, 10, {"A": 0.8, "C": None}, 0.7, (0.9, 0.95), 0.4)
    frame = predictions(
        [
            ("A", {"A": 0.85}),  # accepted, right
            ("B", {"A": 0.9}),  # accepted, wrong
            ("B", {"A": 0.6, "B": 0.38}),  # review; sub 0.98, right
            ("D", {"C": 0.5, "A": 0.42}),  # review; sub 0.5, master 0.92, wrong
            ("D", {"D": 0.3}),  # reject; nothing
        ]
    )
    assert decision_metrics(frame, found, GRAPH) == {
        "target": 90.0, "accepted": 40.0, "precision": 50.0, "review": 40.0, "rejected": 20.0, "unanswered": 20.0,
        "levels": [
            {"column": "master", "answered": 20.0, "precision": 0.0},
            {"column": "sub", "answered": 20.0, "precision": 100.0},
            {"column": "type", "answered": 40.0, "precision": 50.0},
        ],
    }  # fmt: skip


def test_thresholds_of_another_graph_are_refused() -> None:
    found = Thresholds(0.9, 10, {}, 0.7, (0.9,), 0.4)
    with pytest.raises(RunError, match="1 category levels, the predictions have 2"):
        decide(GRAPH, found, np.ones((1, 4)) / 4, GRAPH.classes)


@pytest.mark.parametrize("target", [0, -0.5, 1.01])
def test_a_target_out_of_range_is_refused(target: float) -> None:
    with pytest.raises(SettingsError, match=r"such as 0\.98"):
        fit_thresholds(HELD, target)


def test_thresholds_come_from_the_runs_held_out_predictions(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no held-out predictions to fit"):
        thresholds_of_run(tmp_path, "joint", 0.98)
    write_predictions(tmp_path / "held_out" / "joint.parquet", HELD)
    assert thresholds_of_run(tmp_path, "joint", 0.98) == fit_thresholds(HELD, 0.98)
    with pytest.raises(RunError, match="did you mean 'joint'"):
        thresholds_of_run(tmp_path, "joints", 0.98)
    write_predictions(tmp_path / "held_out" / "joint.parquet", HELD.iloc[:0])
    with pytest.raises(RunError, match="no held-out predictions"):
        thresholds_of_run(tmp_path, "joint", 0.98)
