"""Disputed labels, best first."""

import pandas as pd
import pytest

from fusionclf.evaluation import find_label_issues


def run(rows: list[tuple[str, str, float, str, float]], second: dict[str, tuple[str, float]] | None = None):
    """id, label, probability of the label, first answer and its probability; by id also a second answer."""
    second = second or {}
    frame = pd.DataFrame(rows, columns=["id", "label", "prob_label", "label_1", "prob_1"])
    frame["label_train_count"] = 10
    more = [second.get(product, (None, float("nan"))) for product in frame["id"]]
    frame["label_2"] = pd.Series([label for label, _ in more], dtype="str")
    frame["prob_2"] = [prob for _, prob in more]
    for rank in (3, 4, 5):
        frame[f"label_{rank}"], frame[f"prob_{rank}"] = (
            pd.Series([None] * len(frame), dtype="str"),
            float("nan"),
        )
    return frame


GOOD = [(f"a{n}", "A", 0.9, "A", 0.9) for n in range(9)] + [(f"b{n}", "B", 0.8, "B", 0.8) for n in range(9)]


def test_a_sure_other_answer_disputes_a_label() -> None:
    found = find_label_issues([run([*GOOD, ("x", "A", 0.05, "B", 0.95)])])
    assert found["id"].tolist() == ["x"]
    (row,) = found.to_dict("records")
    assert (row["label"], row["suggestion"], row["agreeing"], row["scored"]) == ("A", "B", 1, 1)
    assert row["score"] == pytest.approx((0.95 - 0.05) * (9 * 0.9 + 0.05) / 10)


def test_an_answer_less_sure_than_is_usual_for_its_class_disputes_nothing() -> None:
    assert find_label_issues([run([*GOOD, ("x", "A", 0.25, "B", 0.7)])]).empty  # B is usually at 0.8
    assert find_label_issues([run(GOOD)]).empty


def test_a_class_that_is_never_found_counts_but_comes_last() -> None:
    """A label without a training row: each of its products is answered with another class."""
    unseen = [(f"u{n}", "U", 0.02, "B", 0.96) for n in range(6)]
    found = find_label_issues([run([*GOOD, *unseen, ("x", "A", 0.1, "B", 0.85)])])
    assert found["id"].tolist() == ["x", *(f"u{n}" for n in range(6))]


def test_probabilities_are_averaged_over_runs() -> None:
    sure = run([*GOOD, ("x", "A", 0.0, "B", 1.0), ("y", "A", 0.0, "B", 1.0)])
    doubting = run([*GOOD, ("x", "A", 0.1, "B", 0.9), ("y", "A", 0.9, "A", 0.9)], {"y": ("B", 0.1)})
    found = find_label_issues([sure, doubting])
    assert found["id"].tolist() == ["x"]  # y: 0.55 for B, usually at 0.8
    (row,) = found.to_dict("records")
    assert (row["prob_label"], row["prob_suggestion"]) == (pytest.approx(0.05), pytest.approx(0.95))
    assert (row["agreeing"], row["scored"]) == (2, 2)


def test_a_product_that_fewer_runs_answered_comes_later() -> None:
    both = ("x", "A", 0.05, "B", 0.95)
    found = find_label_issues([run([*GOOD, both, ("y", "A", 0.0, "B", 1.0)]), run([*GOOD, both])])
    assert found["id"].tolist() == ["x", "y"]
    assert found["scored"].tolist() == [2, 1]
