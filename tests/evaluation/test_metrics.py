"""Every metric against values worked out by hand, and against scikit-learn."""

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from fusionclf.evaluation import make_predictions
from fusionclf.evaluation.metrics import METRICS, intervals, per_class, run_metrics, score, slices


def predictions(
    labels: list[str], answers: list[list[str]], counts: list[int] | None = None, probability: float = 0.5
) -> pd.DataFrame:
    """A predictions frame with the given answers, best first; those not given are A, B, C … in order."""
    classes = sorted({*labels, *(name for ranked in answers for name in ranked), *"ABCDEFG"})
    table = np.zeros((len(labels), len(classes)))
    for row, ranked in enumerate(answers):
        for rank, name in enumerate(ranked):
            table[row, classes.index(name)] = probability / 2**rank
    context = pd.DataFrame(
        {
            "id": [f"p{row}" for row in range(len(labels))],
            "label": labels,
            "label_train_count": counts or [1] * len(labels),
            "title_group": range(len(labels)),
            "title_names_label": [row % 2 == 0 for row in range(len(labels))],
            "leaked_title": [row == 0 for row in range(len(labels))],
        }
    )
    return make_predictions(context, classes, table)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Six products of A, B and U (unseen); right are 1, 3 and 4, among the first five also 2."""
    return predictions(
        ["A", "A", "A", "B", "U", "U"],
        [["A"], ["B", "A"], ["A"], ["B"], ["A"], ["Z"]],
        counts=[300, 300, 300, 30, 0, 0],
    )


def test_score_by_hand(frame: pd.DataFrame) -> None:
    found = score(frame)
    assert list(found) == ["n", *METRICS]
    assert found["n"] == 6
    assert found["top1"] == pytest.approx(100 * 3 / 6)
    assert found["top5"] == pytest.approx(100 * 4 / 6)
    assert found["seen"] == pytest.approx(100 * 3 / 4)
    assert found["unseen"] == 0.0
    assert found["harmonic"] == 0.0
    # Recall A 2/3, B 1, U 0. F1: A 2·2/(3+3), B 2·1/(1+2), U 0; the answer Z is no class of its own.
    assert found["balanced_accuracy"] == pytest.approx(100 * (2 / 3 + 1 + 0) / 3)
    assert found["macro_f1"] == pytest.approx(100 * (4 / 6 + 2 / 3 + 0) / 3)
    assert found["ece"] == pytest.approx(0)  # confidence 0.5, accuracy 0.5


def test_harmonic_mean_by_hand() -> None:
    found = score(predictions(["A", "A", "U", "U"], [["A"], ["B"], ["U"], ["U"]], counts=[5, 5, 0, 0]))
    assert (found["seen"], found["unseen"]) == (50.0, 100.0)
    assert found["harmonic"] == pytest.approx(2 * 50 * 100 / 150)


def test_unseen_metrics_are_none_without_unseen_rows() -> None:
    found = score(predictions(["A", "B"], [["A"], ["A"]]))
    assert found["seen"] == 50.0
    assert found["unseen"] is None
    assert found["harmonic"] is None


def test_metrics_are_none_without_rows() -> None:
    found = score(predictions(["A"], [["A"]]).iloc[:0])
    assert found == {"n": 0, **dict.fromkeys(METRICS)}


def test_sixth_class_is_not_in_top5() -> None:
    answers = ["A", "B", "C", "D", "E", "F"]
    found = score(predictions(["E", "F"], [answers, answers]))
    assert (found["top1"], found["top5"]) == (0.0, 50.0)


def test_ece_is_of_the_first_class() -> None:
    found = score(predictions(["A", "A"], [["A", "B"], ["B", "A"]], probability=0.6))
    assert found["ece"] == pytest.approx(100 * abs(0.6 - 0.5))


def random_frame(rows: int, groups: int | None = None) -> pd.DataFrame:
    generator = np.random.default_rng(11)
    names = np.array([f"class {n:03}" for n in range(60)])
    share = 1 / np.arange(1, 61)
    label = generator.choice(names[5:], rows, p=share[5:] / share[5:].sum())  # five classes never occur
    guess = np.where(generator.random(rows) < 0.6, label, generator.choice(names, rows))
    table = np.full((rows, 60), 0.001)
    table[np.arange(rows), np.searchsorted(names, guess)] = generator.uniform(0.3, 0.9, rows)
    context = pd.DataFrame(
        {
            "id": np.arange(rows).astype(str),
            "label": label,
            "label_train_count": np.where(np.isin(label, names[40:]), 0, 50),
            "title_group": generator.integers(0, groups or rows, rows),
            "title_names_label": False,
            "leaked_title": False,
        }
    )
    return make_predictions(context, names.tolist(), table)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_score_agrees_with_scikit_learn() -> None:
    frame = random_frame(3000)
    present = sorted(set(frame["label"]))
    found = score(frame)
    expected = 100 * f1_score(
        frame["label"].tolist(), frame["label_1"].tolist(), labels=present, average="macro"
    )
    assert found["macro_f1"] == pytest.approx(expected, abs=1e-9)
    expected = 100 * balanced_accuracy_score(frame["label"].tolist(), frame["label_1"].tolist())
    assert found["balanced_accuracy"] == pytest.approx(expected, abs=1e-9)


def test_intervals_hold_the_metrics() -> None:
    frame = random_frame(2000, groups=900)
    found, scores = intervals(frame), score(frame)
    assert list(found) == list(METRICS[:-1])
    for name in ("top1", "top5", "seen", "unseen", "harmonic", "balanced_accuracy", "macro_f1"):
        low, high = found[name] or (0, 0)
        assert low < scores[name] < high, name
        assert 0.5 < high - low < 15, name


def test_intervals_resample_groups_where_there_are_any() -> None:
    frame = random_frame(600)
    alone, width = intervals(frame), lambda found: found["top1"][1] - found["top1"][0]
    assert intervals(frame.assign(group=frame["title_group"])) == alone
    by_answer = frame.assign(group=(frame["label_1"] == frame["label"]) * 20 + np.arange(600) % 20)
    assert width(intervals(by_answer)) > 2 * width(alone)


@pytest.mark.slow
def test_intervals_of_a_metric_agree_with_resampling_by_hand() -> None:
    frame = random_frame(400)
    generator = np.random.default_rng(1)
    values = [score(frame.iloc[generator.integers(0, 400, 400)])["macro_f1"] for _ in range(300)]
    assert intervals(frame)["macro_f1"] == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=1.0)


def test_intervals_without_unseen_rows() -> None:
    found = intervals(predictions(["A", "B"], [["A"], ["A"]]))
    assert found["unseen"] is None
    assert found["harmonic"] is None
    assert found["top1"] == [0.0, 100.0]
    assert intervals(predictions(["A"], [["A"]]).iloc[:0]) == dict.fromkeys(METRICS[:-1])


def test_metrics_of_a_whole_test_set_take_under_two_seconds() -> None:
    frame = random_frame(20_654, groups=16_489)
    started = time.process_time()
    intervals(frame)
    assert time.process_time() - started < 2


def test_slices_by_hand(frame: pd.DataFrame) -> None:
    found = slices(frame)
    assert found["title names the type"] == {"n": 3, "top1": pytest.approx(200 / 3)}
    assert found["title does not name it"] == {"n": 3, "top1": pytest.approx(100 / 3)}
    assert found["head classes"] == {"n": 3, "top1": pytest.approx(200 / 3)}
    assert found["middle classes"] == {"n": 1, "top1": 100.0}
    assert found["tail classes"] == {"n": 0, "top1": None}
    assert found["unseen classes"] == {"n": 2, "top1": 0.0}
    assert found["title in train"] == {"n": 1, "top1": 100.0}
    assert found["title not in train"] == {"n": 5, "top1": pytest.approx(40.0)}
    assert not [name for name in found if "picture" in name]
    found = slices(frame.assign(leaked_picture=[True, *[False] * 4, True]))
    assert found["picture in train"] == {"n": 2, "top1": 50.0}
    assert found["picture not in train"] == {"n": 4, "top1": 50.0}


@pytest.mark.parametrize(
    ("count", "kind"),
    [
        (200, "head classes"),
        (199, "middle classes"),
        (20, "middle classes"),
        (19, "tail classes"),
        (1, "tail classes"),
        (0, "unseen classes"),
    ],
)
def test_bounds_between_kinds_of_classes(count: int, kind: str) -> None:
    found = slices(predictions(["A"], [["A"]], counts=[count]))
    assert [name for name in found if name.endswith("classes") and found[name]["n"]] == [kind]


def test_per_class_by_hand(frame: pd.DataFrame) -> None:
    assert per_class(frame) == [
        {"label": "A", "train_rows": 300, "test_rows": 3, "top1": pytest.approx(200 / 3), "top5": 100.0},
        {"label": "B", "train_rows": 30, "test_rows": 1, "top1": 100.0, "top5": 100.0},
        {"label": "U", "train_rows": 0, "test_rows": 2, "top1": 0.0, "top5": 0.0},
    ]


def test_run_metrics_holds_parts_and_all_classes(frame: pd.DataFrame) -> None:
    found = run_metrics("nb", {"top20": frame, "rest": frame.iloc[:3], "joint": frame})
    assert list(found) == [
        "variant",
        "parts",
        "joint",
        "intervals",
        "slices",
        "per_class",
        "hierarchy",
        "decisions",
    ]
    assert found["variant"] == "nb"
    assert list(found["parts"]) == ["top20", "rest"]
    assert found["joint"] == score(frame)
    assert found["parts"]["rest"]["n"] == 3
    assert list(found["intervals"]) == ["top20", "rest", "joint"]


def test_run_metrics_without_a_model_of_all_classes(frame: pd.DataFrame) -> None:
    assert run_metrics("nb", {"top20": frame})["joint"] == {"top1": None}
