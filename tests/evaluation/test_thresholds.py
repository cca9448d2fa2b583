"""Thresholds for a target precision, and what is decided by them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation import CategoryGraph, Thresholds, decide, make_predictions, thresholds_of_run
from fusionclf.evaluation.held_out import HeldOut
from fusionclf.evaluation.predictions import CONTEXT, write_predictions
from fusionclf.evaluation.thresholds import CannotGuaranteeError, decision_metrics, fit_thresholds

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
        "id": [str(n) for n in range(len(rows))],
        "title_group": range(len(rows)),
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


# Right from 0.7 on, wrong below, where few are.
HELD = predictions(
    [*spread("A", "A", 300, 0.7, 0.99), *spread("B", "B", 100, 0.7, 0.99), *spread("A", "B", 30, 0.3, 0.69)]
)


def fit(frame: pd.DataFrame, target: float) -> Thresholds:
    return fit_thresholds(HeldOut(frame), target)


def accepts(target: float, rows: list[tuple[str, dict[str, float]]]) -> float:
    """The probability from which a class is accepted."""
    least = fit(predictions(rows), target).accept_from
    assert least is not None
    return least


def test_class_is_accepted_where_predictions_are_right() -> None:
    found = fit(HELD, 0.98)
    assert found.accept_from is not None
    accepted = HELD[HELD["prob_1"] >= found.accept_from]
    assert 0.6 <= found.accept_from <= 0.75
    assert np.mean(accepted["label"] == accepted["label_1"]) >= 0.98
    assert found.groups == len(HELD) and found.target == 0.98


def test_lower_target_accepts_more() -> None:
    assert accepts(0.9, [*spread("A", "A", 300, 0.7, 0.99), *spread("A", "B", 60, 0.5, 0.69)]) < 0.68
    assert accepts(0.98, [*spread("A", "A", 300, 0.7, 0.99), *spread("A", "B", 60, 0.5, 0.69)]) > 0.68


def test_variants_of_one_product_count_as_one_prediction() -> None:
    rows = [*spread("A", "A", 50, 0.6, 0.99), *spread("B", "B", 200, 0.6, 0.99)]
    frame = predictions(rows)
    alone = fit(frame.assign(group=np.arange(len(frame))), 0.98)
    assert alone == fit(frame, 0.98)
    one_style = np.where(frame["label"] == "B", -1, np.arange(len(frame)))
    with pytest.raises(
        CannotGuaranteeError,
        match=r"at most 0\.9\d* can be guaranteed from the 250 held-out products in 51 groups",
    ):
        fit(frame.assign(group=one_style), 0.98)


def test_equal_titles_are_one_group_where_the_split_has_none() -> None:
    frame = predictions(spread("A", "A", 200, 0.6, 0.99))
    fit(frame, 0.98)
    with pytest.raises(CannotGuaranteeError, match="in 20 groups"):
        fit(frame.assign(title_group=np.arange(200) // 10), 0.98)


def test_unreachable_target_is_refused_with_what_is_possible() -> None:
    frame = predictions([*spread("A", "A", 147, 0.75, 0.99), *spread("A", "B", 5, 0.75, 0.99)])
    with pytest.raises(CannotGuaranteeError) as refused:
        fit(frame, 0.98)
    assert str(refused.value) == (
        "target_precision=0.98: at most 0.9 can be guaranteed from the 152 held-out products; give --target-precision "
        "0.9 or less, or train on more products, or with a larger split.validation_fraction (no help if the vocabulary "
        "is open or named)"
    )
    assert refused.value.largest == 0.9 and refused.value.exit_code == 2
    fit(frame, 0.9)
    with pytest.raises(CannotGuaranteeError):
        fit(frame, 0.92)


def test_predictions_that_are_mostly_wrong_guarantee_nothing() -> None:
    with pytest.raises(
        CannotGuaranteeError, match=r"no precision can be guaranteed from .*; train on more products"
    ):
        fit(predictions(spread("A", "B", 100, 0.6, 0.99)), 0.6)


def test_products_whose_title_is_in_train_do_not_count() -> None:
    frame = predictions([*spread("A", "A", 300, 0.7, 0.99), *spread("A", "B", 20, 0.6, 0.7)])
    leaked = np.arange(320) >= 30  # few others are left
    fit(frame, 0.95)
    with pytest.raises(CannotGuaranteeError, match=r"30 held-out products \(290 more do not count"):
        fit(frame.assign(leaked_title=leaked), 0.95)
    with pytest.raises(CannotGuaranteeError, match="no precision"):
        fit(frame.assign(leaked_title=True), 0.9)


def test_predictions_mostly_wrong_are_rejected() -> None:
    found = fit(HELD, 0.98)
    assert 0.65 <= found.reject_below <= 0.72
    alone = predictions(spread("A", "A", 200, 0.2, 0.9))
    assert fit(alone, 0.9).reject_below == 0.0


def test_an_uncertain_class_backs_off_to_its_category() -> None:
    # Of A and B, which share a subcategory, the wrong one is answered half of the time; of C and D likewise.
    doubt = [(label, {"A": 0.5, "B": 0.49}) for label in ("A", "B") * 100]
    other = [(label, {"C": 0.5, "D": 0.49}) for label in ("C", "D") * 100]
    found = fit(predictions([*doubt, *other, *spread("A", "A", 400, 0.98, 0.99)]), 0.95)
    assert found.levels == (None, 0.95)
    probabilities = np.array([[0.5, 0.49, 0, 0], [0, 0, 0.5, 0.49], [0.99, 0, 0, 0], [np.nan] * 4])
    decisions = decide(GRAPH, found, probabilities, GRAPH.classes)
    assert decisions.paths == [("M", "S"), (), ("M", "S", "A"), ()]
    assert decisions.levels.tolist() == [2, 0, 3, 0]
    assert decisions.decisions.tolist()[2:] == ["accept", "reject"]
    assert "accept" not in decisions.decisions.tolist()[:2]
    assert decisions.probabilities.tolist() == pytest.approx([0.99, np.nan, 0.99, np.nan], nan_ok=True)


def test_category_threshold_is_fitted_on_rows_without_deeper_one() -> None:
    """Many sure classes and subcategories must not vouch for the doubtful rest."""
    sure = spread("A", "A", 800, 0.97, 0.999)
    doubt = [(label, {"A": 0.5, "B": 0.48}) for label in ("A", "B") * 500]  # the subcategory is right
    # The master category M is 0.96 likely and wrong half of the time.
    bad = [(label, {"A": 0.48, "C": 0.48}) for label in ("C", "D") * 30]
    found = fit(predictions([*sure, *doubt, *bad]), 0.95)
    assert found.levels[1] == 0.95
    assert found.levels[0] is None or found.levels[0] > 0.96
    # The same for what the classes leave: subcategories at 0.96 that are wrong half of the time.
    wrong = [(label, {"A": 0.48, "B": 0.48}) for label in ("A", "C") * 15]
    least = fit(predictions([*sure, *wrong]), 0.95).levels[1]
    assert least is None or least > 0.96


def test_added_class_is_never_accepted() -> None:
    found = Thresholds(0.9, 10, 0.7, (None, None), 0.4).without(["A"]).without(["B"])
    table = np.array([[0, 0, 0, 0.8], [0.8, 0, 0, 0], [0, 0.8, 0, 0]])
    assert decide(GRAPH, found, table, GRAPH.classes).decisions.tolist() == ["accept", "review", "review"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from("ABCD"), st.floats(0.3, 1)), min_size=1),
    st.floats(0.5, 1),
)
def test_accepted_predictions_reach_the_target(rows: list, target: float) -> None:
    frame = predictions([(label, {answer: prob}) for answer, label, prob in rows for _ in range(40)])
    try:
        found = fit(frame, target)
    except CannotGuaranteeError as refused:
        assert refused.largest is None or refused.largest < target
        return
    accepted = frame[frame["prob_1"] >= (found.accept_from or 0)]
    assert len(accepted) and np.mean(accepted["label"] == accepted["label_1"]) >= target
    assert all(least is None or least >= target for least in found.levels)


def test_metrics_of_decisions() -> None:
    held = predictions(
        [
            *spread("A", "A", 60, 0.8, 0.99),
            *[(label, {"A": 0.49, "B": 0.49}) for label in ("A", "B") * 50],  # the subcategory is right
        ]
    )
    frame = predictions(
        [
            ("A", {"A": 0.85}),  # accepted, right
            ("B", {"A": 0.9}),  # accepted, wrong
            ("B", {"A": 0.49, "B": 0.48}),  # sub 0.97, right
            ("C", {"A": 0.49, "B": 0.48}),  # sub 0.97, wrong
            ("D", {"D": 0.3}),  # nothing
        ]
    )
    assert decision_metrics(frame, HeldOut(held), 0.95, GRAPH) == {
        "target": 95.0, "largest": None,
        "accepted": 40.0, "precision": 50.0, "review": 60.0, "rejected": 0.0, "unanswered": 20.0,
        "levels": [
            {"column": "master", "answered": 0.0, "precision": None},
            {"column": "sub", "answered": 40.0, "precision": 50.0},
            {"column": "type", "answered": 40.0, "precision": 50.0},
        ],
    }  # fmt: skip


def test_metrics_name_the_largest_guarantee_where_one_is_refused() -> None:
    found = decision_metrics(HELD, HeldOut(predictions(spread("A", "A", 50, 0.6, 0.99))), 0.98, GRAPH)
    assert found.pop("target") == 98.0 and found.pop("largest") == 95.0 and found.pop("levels") == []
    assert set(found.values()) == {None}


def test_thresholds_of_another_graph_are_refused() -> None:
    found = Thresholds(0.9, 10, 0.7, (0.9,), 0.4)
    with pytest.raises(RunError, match="1 category levels, predictions have 2"):
        decide(GRAPH, found, np.ones((1, 4)) / 4, GRAPH.classes)


@pytest.mark.parametrize("target", [0, -0.5, 1.01])
def test_a_target_out_of_range_is_refused(target: float) -> None:
    with pytest.raises(SettingsError, match=r"such as 0\.98"):
        fit(HELD, target)


def test_thresholds_come_from_the_runs_held_out_predictions(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no held-out predictions to fit"):
        thresholds_of_run(tmp_path, "joint", 0.98)
    write_predictions(tmp_path / "held_out" / "joint.parquet", HELD)
    assert thresholds_of_run(tmp_path, "joint", 0.98) == fit(HELD, 0.98)
    with pytest.raises(RunError, match="did you mean 'joint'"):
        thresholds_of_run(tmp_path, "joints", 0.98)
    write_predictions(tmp_path / "held_out" / "joint.parquet", HELD.iloc[:0])
    with pytest.raises(RunError, match="no held-out predictions"):
        thresholds_of_run(tmp_path, "joint", 0.98)


# Three classes held out, with wrong answers below 0.9.
SURE = predictions(spread("A", "A", 600, 0.7, 0.99))
AS_UNSEEN = predictions(
    [
        row
        for label in "BCD"
        for row in (*spread("A", label, 20, 0.7, 0.89), *spread(label, label, 20, 0.91, 0.99))
    ]
)


def test_expected_unseen_classes_raise_the_threshold() -> None:
    alone = fit(SURE, 0.9).accept_from
    few, more = (fit_thresholds(HeldOut(SURE, AS_UNSEEN, share), 0.9).accept_from for share in (0.05, 0.2))
    assert fit(SURE, 0.9).unseen_share == 0.0
    assert fit_thresholds(HeldOut(SURE, AS_UNSEEN, 0.2), 0.9).unseen_share == 0.2
    assert alone == few and more is not None and 0.85 < more < 0.9
    with pytest.raises(
        CannotGuaranteeError
    ):  # three classes are too few where half of the products are of such
        fit_thresholds(HeldOut(SURE, AS_UNSEEN), 0.9)


def test_refusal_names_the_share_of_unseen_classes() -> None:
    wrong = predictions([row for label in "BCD" for row in spread("A", label, 40, 0.7, 0.99)])
    with pytest.raises(
        CannotGuaranteeError, match=r"with 50 % of the products of classes without a .*unseen_share"
    ):
        fit_thresholds(HeldOut(SURE, wrong), 0.9)
    few = fit_thresholds(HeldOut(SURE, wrong, 0.01), 0.9)
    assert few.accept_from is not None


def test_share_of_unseen_classes_comes_from_the_settings(tmp_path: Path) -> None:
    write_predictions(tmp_path / "held_out" / "joint.parquet", SURE)
    write_predictions(tmp_path / "as_unseen" / "joint.parquet", AS_UNSEEN)
    settings = {"variant": "fusion", "data": "shop", "seed": 0, "catalog": {}, "split": {}}
    for share, model in ((0.5, {}), (0.2, {"unseen_share": 0.2})):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings | {"model": model}))
        assert thresholds_of_run(tmp_path, "joint", 0.7) == fit_thresholds(
            HeldOut(SURE, AS_UNSEEN, share), 0.7
        )
