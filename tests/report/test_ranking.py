"""The best run, its lead, and the headline."""

from pathlib import Path

import pytest

from fusionclf.report.collect import Run, read_runs
from fusionclf.report.ranking import against_best, best_values, headline, ranked, summary, verdict

PUBLISHED = [
    {"name": "ResNet50", "pictures": "small pictures", "top2": {"top1": 60.0, "top5": None}},
    {"name": "multitask", "pictures": "small pictures", "top2": {"top1": 80.5, "top5": None}},
]


@pytest.fixture
def runs(two_runs: list[Path]) -> list[Run]:
    return read_runs(two_runs)


def test_against_best_by_hand(runs: list[Run]) -> None:
    """On top2 `good` has all 20 products right, `poor` 15: 5 of 20 differ, p = 2 / 2⁵."""
    (row,) = against_best(runs, "top2")
    assert (row["best"], row["other"], row["products"]) == ("good", "poor", 20)
    assert row["difference"] == pytest.approx(25.0)
    assert (row["only_best_right"], row["only_other_right"]) == (5, 0)
    assert row["p"] == row["p_holm"] == pytest.approx(2 / 32)
    assert row["interval"][0] < 25 < row["interval"][1]


def test_p_values_are_corrected_for_the_number_of_runs(make_run) -> None:
    runs = read_runs([make_run(f"run{wrong}", wrong=wrong, seed=wrong) for wrong in (0, 6, 8)])
    rows = against_best(runs, "top2")
    assert [row["p"] for row in rows] == pytest.approx([2 / 64, 2 / 256])
    assert [row["p_holm"] for row in rows] == pytest.approx([2 / 64, 4 / 256])


def test_a_run_that_scored_fewer_products_is_not_best(make_run) -> None:
    runs = read_runs([make_run("part", keep=3), make_run("whole", wrong=5)])
    assert [run.name for run in ranked(runs, "top2")] == ["whole", "part"]
    assert all("part" not in names for names in best_values(runs, "top2").values())
    (row,) = against_best(runs, "top2")
    assert row["products"] == 3
    assert row["difference"] == pytest.approx(-100.0)


def test_best_values_name_ties_but_nobody_if_all_are_equal(make_run) -> None:
    runs = read_runs([make_run("a"), make_run("b", seed=1), make_run("c", wrong=5)])
    best = best_values(runs, "rest")
    assert best["top1"] == ["a", "b"]
    assert best["unseen"] == []  # 0 for every run


def test_lower_calibration_error_is_better(make_run) -> None:
    runs = read_runs([make_run("sure"), make_run("meant", wrong=6)])  # both say 0.7; 14 of 20 are right
    assert best_values(runs, "top2")["ece"] == ["meant"]


def test_headline_in_words(runs: list[Run]) -> None:
    text = headline(runs, "top2", against_best(runs, "top2"), PUBLISHED)
    assert text.startswith(
        "On top2, good is ahead: 100.00 % of 20 test products right, 25.00 points ahead of poor"
    )
    assert "the lead over poor does not hold." in text  # p = 0.0625
    assert text.endswith("That is 19.50 points above the reference's best published value, 80.50 "
                         "(multitask, small pictures).")  # fmt: skip


def headline_of(*folders: Path) -> str:
    runs = read_runs(list(folders))
    return headline(runs, "top2", against_best(runs, "top2"), [])


def test_headline_says_when_the_lead_holds(make_run) -> None:
    text = headline_of(
        make_run("good", variant="fusion"), make_run("poor", wrong=9), make_run("worse", wrong=12)
    )
    assert text.endswith("; every lead holds.")


def test_a_lead_that_rests_on_few_titles_does_not_hold(make_run) -> None:
    """McNemar's test takes products for independent; the interval knows that those of one title are not."""
    runs = read_runs([make_run("good", variant="fusion"), make_run("poor", wrong=9)])
    rows = against_best(runs, "top2")
    assert verdict(runs, "top2", rows)["holds"]
    rows[0]["interval"] = [0.0, 90.0]
    assert rows[0]["p_holm"] < 0.05 and not verdict(runs, "top2", rows)["holds"]
    assert "the lead over poor does not hold" in headline(runs, "top2", rows, [])


def test_headline_names_only_leads_that_do_not_hold(make_run) -> None:
    text = headline_of(
        make_run("good", variant="fusion"), make_run("near", wrong=2), make_run("far", wrong=15)
    )
    assert text.endswith("the lead over near does not hold, every other lead does.")


def test_a_run_of_another_seed_is_no_rival(make_run) -> None:
    runs = read_runs(
        [make_run("a"), make_run("a-seed1", wrong=1, seed=1), make_run("b", variant="b", wrong=9)]
    )
    text = headline(runs, "top2", against_best(runs, "top2"), [])
    assert "ahead of b " in text and "a-seed1" not in text


def test_headline_of_one_run_and_of_all_classes(runs: list[Run]) -> None:
    text = headline(runs, "joint", against_best(runs, "joint"), PUBLISHED)
    assert text == "With all classes as candidates, good gets 85.71 % of 28 test products right."


def test_seeds_of_one_model_are_not_ranked(make_run) -> None:
    runs = read_runs([make_run("a"), make_run("a-seed1", seed=1), make_run("a-again")])
    rows = against_best(runs, "top2")
    assert verdict(runs, "top2", rows)["claim"] is None
    assert headline(runs, "top2", rows, []) == (
        "On top2, a gets 100.00 % of 20 test products right; "
        "the other runs have the same settings, apart from the seed."
    )


def test_verdict_is_the_headline_as_data(make_run) -> None:
    runs = read_runs([make_run("good", variant="fusion"), make_run("poor", wrong=9, variant="nb")])
    found = verdict(runs, "top2", against_best(runs, "top2"))
    assert (found["best"], found["top1"], found["next"], found["holds"]) == ("good", 100.0, "poor", True)
    assert found["difference"] == pytest.approx(45.0)
    assert found["interval"][0] < 45 < found["interval"][1]


def test_a_verdict_holds_only_where_every_lead_does(make_run) -> None:
    runs = read_runs([make_run("a", variant="a"), make_run("b", wrong=2), make_run("c", wrong=15)])
    assert verdict(runs, "top2", against_best(runs, "top2"))["holds"] is False


@pytest.mark.parametrize(
    ("leads", "text"),
    [
        ([("a", "best"), ("a", "best"), ("a", "best")], "a is best on x, y and z"),
        ([("a", "best"), ("b", "ahead"), ("a", "best")], "a is best on x and z; b is ahead on y"),
        ([("a", "ahead"), ("a", "best"), ("b", None)], "a is best on y, ahead on x"),
        ([("a", "level with b"), ("a", "level with b")], "a is level with b on x and y"),
        ([("a", None), ("a", None), ("a", None)], "a: the metrics of one model"),
    ],
)
def test_summary_claims_no_more_than_holds(leads: list, text: str) -> None:
    parts = zip("xyz"[: len(leads)], leads, strict=True)
    verdicts = {p: {"best": n, "next": claim and "r", "claim": claim} for p, (n, claim) in parts}
    assert summary(verdicts) == text


def test_equal_runs_are_level(make_run) -> None:
    runs = read_runs([make_run("a", variant="a"), make_run("b", variant="b")])
    rows = against_best(runs, "top2")
    assert verdict(runs, "top2", rows)["claim"] == "level with b"
    assert headline(runs, "top2", rows, []).startswith("On top2, a is level with b: 100.00 %")


def test_no_lead_holds_over_a_run_ahead_on_fewer_products(make_run) -> None:
    """On its nine products `part` has all right and `whole`, which scored all, none: p is 0.004."""
    runs = read_runs([make_run("part", keep=9, variant="a"), make_run("whole", wrong=9)])
    (row,) = rows = against_best(runs, "top2")
    assert row["p_holm"] < 0.05 and row["difference"] == -100
    found = verdict(runs, "top2", rows)
    assert (found["holds"], found["next_holds"]) == (False, False)
    assert found["claim"] == "behind part on the products that both scored"
    assert headline(runs, "top2", rows, []) == (
        "On top2, whole is behind part on the products that both scored: 55.00 % of 20 test products right, "
        "100.00 points behind part (95 % interval 100.00 to 100.00, on the 9 products that both scored)."
    )


def test_a_run_ahead_on_fewer_products_qualifies_a_lead(make_run) -> None:
    folders = [make_run("part", keep=9, variant="a"), make_run("low", wrong=15, variant="b")]
    runs = read_runs([*folders, make_run("whole", wrong=9)])
    rows = against_best(runs, "top2")
    found = verdict(runs, "top2", rows)
    assert (found["best"], found["next"], found["holds"]) == ("whole", "low", False)
    assert found["claim"] == "ahead of low, but behind part on the products that both scored"
    text = headline(runs, "top2", rows, [])
    assert ", 30.00 points ahead of low (" in text and "), 100.00 points behind part (" in text
    assert text.endswith("; the lead over low holds.")  # p = 2 / 2⁶
    assert summary({"top2": found}).startswith("whole is ahead of low, but behind part on the products")


def test_the_next_lead_may_hold_where_another_does_not(make_run) -> None:
    """`good` has nine products more right than `poor`, and two more than `part`, which scored only these."""
    folders = [make_run("good", variant="a"), make_run("part", keep=2, wrong=2, variant="b")]
    runs = read_runs([*folders, make_run("poor", wrong=9)])
    found = verdict(runs, "top2", against_best(runs, "top2"))
    assert (found["next"], found["next_holds"], found["holds"]) == ("poor", True, False)
